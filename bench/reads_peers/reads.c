// Reads a file from its beginning to its end again and again, so many bytes a call. Prints the nanoseconds of a call.
// Usage: reads FILE BYTES CALLS
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const int fd = open(argv[1], O_RDONLY);
  const size_t bytes = strtoul(argv[2], NULL, 10), calls = strtoul(argv[3], NULL, 10);
  char* buffer = malloc(bytes);
  if (fd < 0 || buffer == NULL) return 1;
  off_t size = lseek(fd, 0, SEEK_END), at = 0;
  uint64_t start = 0;
  for (size_t i = 0; i < calls + calls / 4; ++i) {
    if (i == calls / 4) start = now();  // what comes before is for the code and the caches to be warm
    if (pread(fd, buffer, bytes, at) != (ssize_t)bytes) return 1;
    at += (off_t)bytes;
    if (at + (off_t)bytes > size) at = 0;
  }
  printf("%.1f\n", (double)(now() - start) / (double)calls);
  return 0;
}
