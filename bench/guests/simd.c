// 128-bit vectors written out: blending and blurring pixels, dot products of small integers, searching text, float
// polynomials, min and max reductions, and a shuffle-based transpose. Compiled with the vector instructions on.
#include "support/guest.h"

typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef int8_t i8x16 __attribute__((vector_size(16)));
typedef uint16_t u16x8 __attribute__((vector_size(16)));
typedef int16_t i16x8 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef uint32_t u32x4 __attribute__((vector_size(16)));
typedef uint64_t u64x2 __attribute__((vector_size(16)));
typedef float f32x4 __attribute__((vector_size(16)));
typedef double f64x2 __attribute__((vector_size(16)));
typedef uint8_t u8x8 __attribute__((vector_size(8)));

enum { kBytes = 1 << 18 };

static uint8_t a[kBytes] __attribute__((aligned(16))), b[kBytes] __attribute__((aligned(16)));
static uint8_t out[kBytes] __attribute__((aligned(16)));
static float floats[kBytes / 4] __attribute__((aligned(16)));

#define LOAD(type, p) (*(const type*)(const void*)(p))
#define STORE(type, p, v) (*(type*)(void*)(p) = (v))

static void blend(unsigned alpha) {
  u16x8 wa = (u16x8){} + (uint16_t)alpha, wb = (u16x8){} + (uint16_t)(256 - alpha);
  for (int i = 0; i < kBytes; i += 8) {
    u16x8 x = __builtin_convertvector(LOAD(u8x8, a + i), u16x8), y = __builtin_convertvector(LOAD(u8x8, b + i), u16x8);
    STORE(u8x8, out + i, __builtin_convertvector((x * wa + y * wb) >> 8, u8x8));
  }
}

static uint64_t saturate(void) {
  u8x16 sum = {};
  for (int i = 0; i < kBytes; i += 16) {
    u8x16 x = LOAD(u8x16, a + i), y = LOAD(u8x16, out + i);
    u8x16 bright = __builtin_elementwise_add_sat(x, y), dark = __builtin_elementwise_sub_sat(x, y);
    sum ^= __builtin_elementwise_max(bright, dark) - __builtin_elementwise_min(x, y);
  }
  return ((u64x2)sum)[0] + 3 * ((u64x2)sum)[1];
}

static uint64_t dot(void) {
  i32x4 sum = {};
  for (int i = 0; i < kBytes - 16; i += 16) {
    i16x8 x = LOAD(i16x8, a + i), y = LOAD(i16x8, b + i);
    i16x8 low = x >> 4, high = y >> 4;
    i32x4 l = __builtin_convertvector(__builtin_shufflevector(low, low, 0, 2, 4, 6), i32x4);
    i32x4 h = __builtin_convertvector(__builtin_shufflevector(high, high, 1, 3, 5, 7), i32x4);
    sum += l * h;
  }
  return (uint64_t)(uint32_t)(sum[0] + sum[1] + sum[2] + sum[3]);
}

static uint64_t count_byte(uint8_t wanted) {
  uint64_t total = 0;
  for (int i = 0; i < kBytes;) {
    i8x16 part = {};
    for (int k = 0; k < 127 && i < kBytes; k++, i += 16) part -= (i8x16)(LOAD(u8x16, out + i) == wanted);
    u16x8 wide =
        __builtin_convertvector(__builtin_shufflevector((u8x16)part, (u8x16)part, 0, 1, 2, 3, 4, 5, 6, 7), u16x8) +
        __builtin_convertvector(__builtin_shufflevector((u8x16)part, (u8x16)part, 8, 9, 10, 11, 12, 13, 14, 15), u16x8);
    for (int k = 0; k < 8; k++) total += wide[k];
  }
  return total;
}

static double polynomial(void) {
  f32x4 total = {};
  for (int i = 0; i < kBytes / 4; i += 4) {
    f32x4 x = LOAD(f32x4, floats + i);
    f32x4 y = ((0.25f * x + 0.5f) * x - 0.125f) * x + 1.0f;
    i32x4 positive = y > x;
    y = (f32x4)(((i32x4)y & positive) | ((i32x4)x & ~positive));
    STORE(f32x4, floats + i, y * 0.5f);
    total += y;
  }
  f64x2 wide = __builtin_convertvector(__builtin_shufflevector(total, total, 0, 1), f64x2) +
               __builtin_convertvector(__builtin_shufflevector(total, total, 2, 3), f64x2);
  return wide[0] + wide[1];
}

static void transpose(void) {
  for (int i = 0; i + 64 <= kBytes; i += 64) {
    u32x4 r0 = LOAD(u32x4, out + i), r1 = LOAD(u32x4, out + i + 16);
    u32x4 r2 = LOAD(u32x4, out + i + 32), r3 = LOAD(u32x4, out + i + 48);
    u32x4 t0 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5), t1 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
    u32x4 t2 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5), t3 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
    STORE(u32x4, out + i, __builtin_shufflevector(t0, t2, 0, 1, 4, 5));
    STORE(u32x4, out + i + 16, __builtin_shufflevector(t0, t2, 2, 3, 6, 7));
    STORE(u32x4, out + i + 32, __builtin_shufflevector(t1, t3, 0, 1, 4, 5));
    STORE(u32x4, out + i + 48, __builtin_shufflevector(t1, t3, 2, 3, 6, 7));
  }
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 3500);
  uint64_t seed = 77, hash = 0;
  for (int i = 0; i < kBytes; i++) {
    uint64_t r = guest_random(&seed);
    a[i] = (uint8_t)r;
    b[i] = (uint8_t)(r >> 8);
    if (i % 4 == 0) floats[i / 4] = (float)(r >> 40) / 16777216.0f;
  }
  for (long round = 0; round < rounds; round++) {
    blend((unsigned)(round % 257));
    hash = guest_mix(hash, saturate());
    transpose();
    hash = guest_mix(hash, dot() + count_byte((uint8_t)round));
    hash = guest_mix_double(hash, polynomial());
    a[round % kBytes] += 3;
  }
  guest_report("simd", hash);
}
