// A guest that waits: for a timer, or with -DREADS for its standard input; with -DENDS it ends at once. What it touches
// of its memory is one page of the host.
#include <time.h>
#include <unistd.h>

static int calls = 1;

int main(void) {
#if defined(READS)
  char byte;
  calls += read(0, &byte, 1) == 1;
#elif !defined(ENDS)
  const struct timespec day = {.tv_sec = 86400};
  calls += nanosleep(&day, NULL) == 0;
#endif
  return calls == 0;
}
