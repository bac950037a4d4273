// Writes `count` blocks of 200,000 bytes, each by one call: the letter that it is given, and an end of line.
// usage: many_blocks LETTER COUNT
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char** argv) {
  static char block[200000];
  if (argc < 3) return 2;
  memset(block, argv[1][0], sizeof block);
  block[sizeof block - 1] = '\n';
  for (int i = atoi(argv[2]); i > 0; --i) {
    if (write(1, block, sizeof block) != sizeof block) return 1;
  }
}
