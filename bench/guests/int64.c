// 64-bit integers: primality by modular powers, permuted congruential and xorshift generators, and big numbers
// (a factorial and digits of e in base 10^9).
#include "support/guest.h"

static uint64_t multiply_mod(uint64_t a, uint64_t b, uint64_t m) {
  // 64x64 to 128 bits in halves, then reduced bit by bit from the top word: no 128-bit type is used.
  uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
  uint64_t low = al * bl, mid1 = ah * bl + (low >> 32), mid2 = al * bh + (uint32_t)mid1;
  uint64_t high = ah * bh + (mid1 >> 32) + (mid2 >> 32);
  low = mid2 << 32 | (uint32_t)low;
  high %= m;
  for (int i = 63; i >= 0; i--) {
    uint64_t carry = high >> 63;
    high = high << 1 | (low >> i & 1);
    if (carry || high >= m) high -= m;
  }
  return high;
}

static uint64_t power_mod(uint64_t base, uint64_t exponent, uint64_t m) {
  uint64_t result = 1;
  for (base %= m; exponent; exponent >>= 1) {
    if (exponent & 1) result = m >> 32 ? multiply_mod(result, base, m) : result * base % m;
    base = m >> 32 ? multiply_mod(base, base, m) : base * base % m;
  }
  return result;
}

static int is_prime(uint64_t n) {
  static const uint64_t witnesses[] = {2, 3, 5, 7, 11, 13};
  for (int i = 0; i < 6; i++) {
    if (n % witnesses[i] == 0) return n == witnesses[i];
  }
  uint64_t d = n - 1;
  int twos = __builtin_ctzll(d);
  d >>= twos;
  for (int i = 0; i < 6; i++) {
    uint64_t x = power_mod(witnesses[i], d, n);
    if (x == 1 || x == n - 1) continue;
    int probable = 0;
    for (int k = 1; k < twos && !probable; k++) {
      x = n >> 32 ? multiply_mod(x, x, n) : x * x % n;
      probable = x == n - 1;
    }
    if (!probable) return 0;
  }
  return 1;
}

static uint64_t generators(long n) {
  uint64_t pcg = 0x853c49e6748fea9bu, shift = 0x2545f4914f6cdd1du, sum = 0;
  for (long i = 0; i < n; i++) {
    uint64_t old = pcg;
    pcg = old * 6364136223846793005u + 1442695040888963407u;
    uint32_t x = (uint32_t)((old >> 18 ^ old) >> 27), r = (uint32_t)(old >> 59);
    sum += x >> r | x << (-r & 31);
    shift ^= shift << 13;
    shift ^= shift >> 7;
    shift ^= shift << 17;
    sum ^= shift + (uint64_t)__builtin_popcountll(shift) + (uint64_t)__builtin_clzll(shift | 1);
  }
  return sum;
}

enum { kWords = 240, kBase = 1000000000 };

static uint64_t factorial_hash(uint32_t n) {
  static uint32_t digits[kWords];
  memset(digits, 0, sizeof digits);
  digits[0] = 1;
  int used = 1;
  for (uint32_t i = 2; i <= n; i++) {
    uint64_t carry = 0;
    for (int k = 0; k < used; k++) {
      carry += (uint64_t)digits[k] * i;
      digits[k] = (uint32_t)(carry % kBase);
      carry /= kBase;
    }
    if (carry && used < kWords) digits[used++] = (uint32_t)carry;
  }
  return guest_mix_bytes(0, digits, sizeof digits);
}

static uint64_t digits_of_e(int terms) {
  static uint32_t sum[kWords], term[kWords];
  memset(sum, 0, sizeof sum);
  memset(term, 0, sizeof term);
  term[0] = 1;
  for (int i = 1; i <= terms; i++) {
    uint32_t carry = 0;
    for (int k = kWords - 1; k >= 0; k--) {
      uint32_t s = sum[k] + term[k] + carry;
      carry = s >= kBase;
      sum[k] = carry ? s - kBase : s;
    }
    uint64_t rest = 0;
    for (int k = 0; k < kWords; k++) {
      uint64_t v = rest * kBase + term[k];
      term[k] = (uint32_t)(v / (uint64_t)i);
      rest = v % (uint64_t)i;
    }
  }
  return guest_mix_bytes(0, sum, sizeof sum);
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 64);
  uint64_t hash = 0, seed = 4;
  for (long i = 0; i < rounds; i++) {
    int primes = 0;
    for (int k = 0; k < 60; k++) primes += is_prime(guest_random(&seed) >> (k & 3 ? 33 : 1) | 1);
    hash = guest_mix(hash, (uint64_t)primes);
    hash = guest_mix(hash, generators(1000000));
    hash = guest_mix(hash, factorial_hash(700 + (uint32_t)i % 50));
    hash = guest_mix(hash, digits_of_e(780));
  }
  guest_report("int64", hash);
}
