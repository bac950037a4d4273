// What every guest program shares: the size argument, a seeded generator, and the checksum line that is compared
// between engines. argv[1], where given, is the amount of work in percent of the default.
#ifndef BENCH_GUESTS_SUPPORT_GUEST_H_
#define BENCH_GUESTS_SUPPORT_GUEST_H_

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// `n` scaled by the percentage in argv[1]; never less than 1.
static inline long guest_scaled(int argc, char** argv, long n) {
  long percent = argc > 1 ? strtol(argv[1], NULL, 10) : 100;
  long scaled = (long)((long long)n * percent / 100);
  return scaled < 1 ? 1 : scaled;
}

// A 64-bit generator (splitmix64); the same seed gives the same numbers everywhere.
static inline uint64_t guest_random(uint64_t* state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static inline uint64_t guest_mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x100000001b3u;
  return hash ^ (hash >> 29);
}

static inline uint64_t guest_mix_double(uint64_t hash, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return guest_mix(hash, bits);
}

static inline uint64_t guest_mix_bytes(uint64_t hash, const void* data, size_t size) {
  const unsigned char* bytes = (const unsigned char*)data;
  for (size_t i = 0; i < size; i++) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return hash ^ (hash >> 32);
}

static inline void guest_report(const char* what, uint64_t checksum) {
  printf("%s %016llx\n", what, (unsigned long long)checksum);
}

#endif  // BENCH_GUESTS_SUPPORT_GUEST_H_
