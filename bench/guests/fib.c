// Recursion, the classic: fibonacci(30) over and over.
#include "support/guest.h"

static uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 100);
  volatile uint32_t n = 30;  // read anew each round, so that no round can be folded into another
  uint64_t hash = 0;
  for (long i = 0; i < rounds; i++) hash = guest_mix(hash, fib(n));
  printf("fibonacci(%u) = %u\n", (unsigned)n, (unsigned)fib(n));
  guest_report("fib", hash);
}
