// C's non-local jumps: errors out of nested calls, and a backtracking matcher that gives up by jumping.
#include "support/guest.h"
#include "support/jump.h"

static jmp_buf top, inner;

__attribute__((noinline)) static int dig(int depth, uint32_t choice) {
  if (depth > 0) return dig(depth - 1, choice * 2654435761u) + 1;
  for (int i = 0; i < 40; i++) choice = (choice ^ choice >> 15) * 2246822519u + (uint32_t)i;
  if ((choice & 63) == 0) longjmp(top, 1 + (int)(choice >> 8 & 7));
  if ((choice & 63) == 1) longjmp(inner, 1 + (int)(choice >> 4 & 15));
  return (int)(choice & 3);
}

__attribute__((noinline)) static int attempt(uint32_t start) {
  volatile int tries = 0;
  volatile uint32_t choice = start;
  int code = setjmp(inner);
  if (code != 0) {
    tries++;
    choice = choice * 22695477u + (uint32_t)code;
  }
  if (tries > 3) return -tries;
  return dig((int)(choice & 7), choice) + code * 100;
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 3000000);
  uint64_t seed = 31;
  volatile uint64_t hash = 0;
  for (long i = 0; i < rounds; i++) {
    int code = setjmp(top);
    if (code == 0) {
      hash = guest_mix(hash, (uint64_t)attempt((uint32_t)guest_random(&seed)));
    } else {
      hash = guest_mix(hash, (uint64_t)(code + 1000));
    }
  }
  guest_report("longjmp", hash);
}
