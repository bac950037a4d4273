// Prints how many bytes its standard input has.
#include <stdio.h>
#include <unistd.h>

int main(void) {
  char buffer[1000];
  long sum = 0;
  for (ssize_t n; (n = read(0, buffer, sizeof buffer)) > 0;) sum += n;
  printf("%ld\n", sum);
}
