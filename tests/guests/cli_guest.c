// Prints its arguments, the variables and the file that it is asked for, and exits with the status it is given.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char** argv) {
  int status = 0;
  for (int i = 0; i < argc; ++i) printf("arg %s\n", argv[i]);
  for (int i = 1; i < argc; ++i) {
    if (strncmp(argv[i], "env:", 4) == 0) {
      const char* value = getenv(argv[i] + 4);
      printf("%s=%s\n", argv[i] + 4, value ? value : "(unset)");
    } else if (strncmp(argv[i], "file:", 5) == 0) {
      char line[100];
      FILE* file = fopen(argv[i] + 5, "r");
      if (!file) {
        perror(argv[i] + 5);
        return 3;
      }
      while (fgets(line, sizeof line, file)) fputs(line, stdout);
      fclose(file);
    } else if (strncmp(argv[i], "exit:", 5) == 0) {
      status = atoi(argv[i] + 5);
    }
  }
  return status;
}
