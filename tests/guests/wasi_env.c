// Prints its arguments, variables and standard input, and exits with the status that its first argument says.
#include <stdio.h>
#include <stdlib.h>

extern char** environ;

int main(int argc, char** argv) {
  for (int i = 0; i < argc; ++i) printf("arg %d: %s\n", i, argv[i]);
  for (char** v = environ; *v != NULL; ++v) printf("env %s\n", *v);
  char line[256];
  while (fgets(line, sizeof(line), stdin) != NULL) printf("in %s", line);
  fputs("to stderr\n", stderr);
  return argc > 1 ? atoi(argv[1]) : 0;
}
