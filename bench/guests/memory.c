// Copying memory: memcpy, memmove, memset and memcmp from a few bytes to a megabyte, and copies by hand.
#include "support/guest.h"

enum { kSize = 4 << 20 };

static uint8_t from[kSize], to[kSize];

// A copy through a volatile-free loop over records, as programs do between formats.
typedef struct {
  uint32_t id;
  uint16_t kind, flags;
  uint64_t value;
} Record;

static uint64_t repack(const Record* in, uint8_t* out, int n) {
  uint64_t sum = 0;
  for (int i = 0; i < n; i++) {
    memcpy(out, &in[i].id, 4);
    memcpy(out + 4, &in[i].kind, 2);
    memcpy(out + 6, &in[i].value, 8);
    sum += out[5] + out[13];
    out += 14;
  }
  return sum;
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 330);
  uint64_t seed = 8, hash = 0;
  for (int i = 0; i < kSize; i += 8) {
    uint64_t r = guest_random(&seed);
    memcpy(from + i, &r, 8);
  }
  for (long round = 0; round < rounds; round++) {
    memset(to, (int)round, kSize / 2);
    memcpy(to + kSize / 2, from + (round & 4095), kSize / 2 - 4096);
    for (int i = 0; i < 40000; i++) {
      uint64_t r = guest_random(&seed);
      size_t size = r & 127, a = r >> 8 & (kSize / 2 - 1), b = r >> 32 & (kSize / 2 - 1);
      memcpy(to + a, from + b, size);
      memmove(to + b, to + b + (r >> 60), size + 16);
    }
    memmove(to + 1, to, kSize - 1);
    memmove(to, to + 3, kSize - 3);
    hash = guest_mix(hash, repack((const Record*)(const void*)from, to, 100000));
    hash = guest_mix(hash, (uint64_t)(memcmp(to, from, kSize) > 0));
    hash = guest_mix(hash, guest_mix_bytes(0, to + (round * 1000) % (kSize / 2), 4096));
  }
  guest_report("memory", hash);
}
