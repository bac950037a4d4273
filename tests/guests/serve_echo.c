// Gives back what comes on its standard input, until that ends.
#include <unistd.h>

int main(void) {
  static char buffer[4096];
  for (;;) {
    const ssize_t n = read(0, buffer, sizeof buffer);
    if (n <= 0) return n < 0;
    for (ssize_t done = 0; done < n;) {
      const ssize_t written = write(1, buffer + done, (size_t)(n - done));
      if (written < 0) return 1;
      done += written;
    }
  }
}
