// Recursion with work at each level: queens on a board by bit masks, Takeuchi's function and Ackermann's.
#include "support/guest.h"

static long queens(uint32_t all, uint32_t columns, uint32_t left, uint32_t right) {
  if (columns == all) return 1;
  long found = 0;
  for (uint32_t open = all & ~(columns | left | right); open;) {
    uint32_t place = open & -open;
    open ^= place;
    found += queens(all, columns | place, (left | place) << 1, (right | place) >> 1);
  }
  return found;
}

static int tak(int x, int y, int z) { return y < x ? tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y)) : z; }

static uint32_t ackermann(uint32_t m, uint32_t n) {
  if (m == 0) return n + 1;
  return n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 900);
  uint64_t hash = 0;
  volatile int size = 10;
  for (long i = 0; i < rounds; i++) {
    hash = guest_mix(hash, (uint64_t)queens((1u << size) - 1, 0, 0, 0));
    hash = guest_mix(hash, (uint64_t)tak(size + 8, size + 2, size - 4));
    hash = guest_mix(hash, ackermann(2, (uint32_t)size * 40));
  }
  printf("queens(10) = %ld\n", queens((1u << 10) - 1, 0, 0, 0));
  guest_report("queens", hash);
}
