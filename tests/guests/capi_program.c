// Writes its arguments, a variable and its input; ends with the number of its arguments.
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  for (int i = 0; i < argc; ++i) printf("%s\n", argv[i]);
  const char* const key = getenv("KEY");
  printf("KEY=%s\n", key != NULL ? key : "");
  for (int c; (c = getchar()) != EOF;) putchar(c);
  fprintf(stderr, "an error\n");
  return argc;
}
