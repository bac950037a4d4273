// A guest that waits a millisecond again and again. Usage: waits WAITS
#include <stdlib.h>
#include <time.h>

int main(int argc, char** argv) {
  const long waits = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
  const struct timespec millisecond = {.tv_nsec = 1000000};
  if (waits <= 0) return 2;
  for (long i = 0; i < waits; ++i) {
    if (nanosleep(&millisecond, NULL) != 0) return 1;
  }
  return 0;
}
