// A program of the web by the contract of CGI, which does by its path what servers have to bear.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int is(const char* path, const char* name) { return strcmp(path, name) == 0; }

int main(int argc, char** argv) {
  const char* path = getenv("PATH_INFO");
  if (is(path, "/trap")) __builtin_trap();
  if (is(path, "/loop")) {
    for (volatile int forever = 1; forever;) {
    }
  }
  if (is(path, "/sleep")) {
    const struct timespec long_time = {3600, 0};
    nanosleep(&long_time, NULL);
  }
  if (is(path, "/nothing")) return 0;
  if (is(path, "/status")) {
    printf("Status: 418 I'm a teapot\nX-Args: %d\nContent-Type: text/plain\n\nshort", argc);
    return 0;
  }
  if (is(path, "/exit")) {
    printf("Content-Type: text/plain\n\nbefore the end");
    exit(3);
  }
  printf("Content-Type: text/plain\n\n");
  if (is(path, "/long")) {
    for (int i = 0; i < 50000; ++i) printf("%07d\n", i);
    return 0;
  }
  const char* length = getenv("CONTENT_LENGTH");
  printf("%s %s?%s %s %s\n", getenv("REQUEST_METHOD"), path, getenv("QUERY_STRING"), length ? length : "none",
         argc > 1 ? argv[1] : "");
  for (int c; (c = getchar()) != EOF;) putchar(c);
  return 0;
}
