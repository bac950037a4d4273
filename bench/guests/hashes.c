// Hashing by table and by multiplication: CRC-32, Adler-32, SipHash-2-4, a 64-bit multiplicative hash over stripes,
// and an open-addressing hash table keyed by strings.
#include "support/guest.h"

enum { kBytes = 1 << 20, kSlots = 1 << 16 };

static uint8_t data[kBytes];
static uint32_t crc_table[256];

static uint32_t crc32(const uint8_t* p, size_t n) {
  uint32_t crc = ~0u;
  for (size_t i = 0; i < n; i++) crc = crc_table[(crc ^ p[i]) & 255] ^ crc >> 8;
  return ~crc;
}

static uint32_t adler32(const uint8_t* p, size_t n) {
  uint32_t a = 1, b = 0;
  for (size_t i = 0; i < n; i++) {
    a = (a + p[i]) % 65521;
    b = (b + a) % 65521;
  }
  return b << 16 | a;
}

static uint64_t rotate(uint64_t x, int n) { return x << n | x >> (64 - n); }

static uint64_t read64(const uint8_t* p) {
  uint64_t v;
  memcpy(&v, p, 8);
  return v;
}

static uint64_t siphash(const uint8_t* p, size_t n, uint64_t k0, uint64_t k1) {
  uint64_t v0 = k0 ^ 0x736f6d6570736575u, v1 = k1 ^ 0x646f72616e646f6du;
  uint64_t v2 = k0 ^ 0x6c7967656e657261u, v3 = k1 ^ 0x7465646279746573u;
#define SIP_ROUND()                                               \
  do {                                                            \
    v0 += v1, v1 = rotate(v1, 13), v1 ^= v0, v0 = rotate(v0, 32); \
    v2 += v3, v3 = rotate(v3, 16), v3 ^= v2;                      \
    v0 += v3, v3 = rotate(v3, 21), v3 ^= v0;                      \
    v2 += v1, v1 = rotate(v1, 17), v1 ^= v2, v2 = rotate(v2, 32); \
  } while (0)
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    uint64_t m = read64(p + i);
    v3 ^= m;
    SIP_ROUND();
    SIP_ROUND();
    v0 ^= m;
  }
  uint64_t last = (uint64_t)n << 56;
  for (size_t k = 0; i + k < n; k++) last |= (uint64_t)p[i + k] << (8 * k);
  v3 ^= last;
  SIP_ROUND();
  SIP_ROUND();
  v0 ^= last;
  v2 ^= 0xff;
  for (int k = 0; k < 4; k++) SIP_ROUND();
  return v0 ^ v1 ^ v2 ^ v3;
}

static uint64_t stripes(const uint8_t* p, size_t n) {
  const uint64_t k1 = 0x9e3779b185ebca87u, k2 = 0xc2b2ae3d27d4eb4fu;
  uint64_t lane[4] = {k1 + k2, k2, 0, 0 - k1};
  size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    for (int k = 0; k < 4; k++) lane[k] = rotate(lane[k] + read64(p + i + 8 * k) * k2, 31) * k1;
  }
  uint64_t h = rotate(lane[0], 1) + rotate(lane[1], 7) + rotate(lane[2], 12) + rotate(lane[3], 18);
  for (; i < n; i++) h = rotate(h ^ p[i] * k1, 11) * k2;
  h ^= h >> 33;
  h *= k2;
  return h ^ h >> 29;
}

typedef struct {
  char key[24];
  uint32_t count;
} Slot;

static uint64_t count_words(long words, uint64_t seed) {
  static Slot table[kSlots];
  memset(table, 0, sizeof table);
  uint64_t probes = 0, distinct = 0;
  for (long i = 0; i < words; i++) {
    char key[24];
    uint64_t r = guest_random(&seed);
    int n = 0;
    for (uint64_t v = r % 40000; n == 0 || v; v /= 26) key[n++] = (char)('a' + v % 26);
    key[n] = 0;
    uint32_t at = (uint32_t)siphash((const uint8_t*)key, (size_t)n, 1, 2) & (kSlots - 1);
    while (table[at].count && strcmp(table[at].key, key) != 0) {
      at = (at + 1) & (kSlots - 1);
      probes++;
    }
    if (table[at].count++ == 0) {
      memcpy(table[at].key, key, sizeof key);
      distinct++;
    }
  }
  return guest_mix(probes, distinct);
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 30);
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
    crc_table[i] = c;
  }
  uint64_t seed = 5, hash = 0;
  for (size_t i = 0; i < kBytes; i++) data[i] = (uint8_t)guest_random(&seed);
  for (long i = 0; i < rounds; i++) {
    hash = guest_mix(hash, crc32(data, kBytes));
    hash = guest_mix(hash, adler32(data, kBytes / 2));
    hash = guest_mix(hash, siphash(data, kBytes - 3, hash, 7));
    hash = guest_mix(hash, stripes(data, kBytes - 5));
    hash = guest_mix(hash, count_words(60000, hash));
    data[i % kBytes] ^= (uint8_t)hash;
  }
  guest_report("hashes", hash);
}
