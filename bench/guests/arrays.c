// Operations over arrays of a million elements, the second of the classic three: fill, map, reduce, prefix sums,
// filtering, gathering through an index, reversal, and a sieve.
#include "support/guest.h"

enum { kSize = 1000000 };

static int32_t a[kSize], b[kSize], order[kSize];
static double d[kSize];
static uint8_t composite[kSize];

static uint64_t one_round(uint32_t seed) {
  uint32_t x = seed;
  for (int i = 0; i < kSize; i++) {
    x = x * 1664525u + 1013904223u;
    a[i] = (int32_t)(x >> 8);
    order[i] = (int32_t)((uint64_t)x * kSize >> 32);
  }
  for (int i = 0; i < kSize; i++) b[i] = a[i] * 3 + (b[i] >> 1);
  int64_t sum = 0;
  int32_t most = a[0];
  for (int i = 0; i < kSize; i++) {
    sum += b[i];
    if (b[i] > most) most = b[i];
  }
  for (int i = 1; i < kSize; i++) a[i] = (int32_t)((uint32_t)a[i] + (uint32_t)a[i - 1]);
  int kept = 0;
  for (int i = 0; i < kSize; i++) {
    if ((a[i] ^ b[i]) & 4) b[kept++] = a[i];
  }
  int64_t gathered = 0;
  for (int i = 0; i < kSize; i++) gathered += a[order[i]] & 0xffff;
  for (int i = 0, j = kSize - 1; i < j; i++, j--) {
    int32_t t = a[i];
    a[i] = a[j];
    a[j] = t;
  }
  for (int i = 0; i < kSize; i++) d[i] = d[i] * 0.5 + a[i];
  double mean = 0;
  for (int i = 0; i < kSize; i++) mean += d[i];
  mean /= kSize;

  memset(composite, 0, sizeof composite);
  int primes = 0;
  for (int i = 2; i < kSize; i++) {
    if (composite[i]) continue;
    primes++;
    for (int64_t j = (int64_t)i * i; j < kSize; j += i) composite[j] = 1;
  }
  uint64_t hash = guest_mix((uint64_t)sum, (uint64_t)most);
  hash = guest_mix(hash, (uint64_t)gathered + (uint64_t)kept);
  return guest_mix_double(guest_mix(hash, (uint64_t)primes), mean);
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 30);
  uint64_t hash = 0;
  for (long i = 0; i < rounds; i++) hash = guest_mix(hash, one_round((uint32_t)i));
  guest_report("arrays", hash);
}
