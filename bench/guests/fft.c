// Floating point over strided memory: a radix-2 fast Fourier transform there and back, with a convolution between.
// Sines come from a recurrence of our own, so that no mathematics library decides the last bit.
#include <math.h>

#include "support/guest.h"

enum { kBits = 14, kSize = 1 << kBits };

typedef struct {
  double re, im;
} Complex;

static Complex root[kSize / 2];

static void make_roots(void) {
  // The half-angle formula from exp(i*pi) down, then products: exact to a few units in the last place.
  Complex step[kBits];
  double cosine = -1;
  for (int b = 0; b < kBits; b++) {  // step[b] = exp(-2*pi*i / 2^(b+1))
    double sine2 = (1 - cosine) * (1 + cosine);
    step[b].re = cosine;
    step[b].im = -sqrt(sine2 < 0 ? 0 : sine2);
    cosine = sqrt((1 + cosine) / 2);
  }
  for (int i = 0; i < kSize / 2; i++) {
    Complex w = {1, 0};
    for (int b = 0; b < kBits; b++) {
      if (!((i >> (kBits - 1 - b)) & 1)) continue;
      Complex s = step[b], t = {w.re * s.re - w.im * s.im, w.re * s.im + w.im * s.re};
      w = t;
    }
    root[i] = w;
  }
}

static void transform(Complex* a, int inverse) {
  for (unsigned i = 1, j = 0; i < kSize; i++) {
    unsigned bit = kSize >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      Complex t = a[i];
      a[i] = a[j];
      a[j] = t;
    }
  }
  for (int half = 1; half < kSize; half *= 2) {
    int stride = kSize / (2 * half);
    for (int i = 0; i < kSize; i += 2 * half) {
      for (int k = 0; k < half; k++) {
        Complex w = root[k * stride], x = a[i + k], y = a[i + k + half];
        if (inverse) w.im = -w.im;
        Complex t = {y.re * w.re - y.im * w.im, y.re * w.im + y.im * w.re};
        a[i + k].re = x.re + t.re;
        a[i + k].im = x.im + t.im;
        a[i + k + half].re = x.re - t.re;
        a[i + k + half].im = x.im - t.im;
      }
    }
  }
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 560);
  static Complex a[kSize], b[kSize];
  make_roots();
  uint64_t seed = 7;
  for (int i = 0; i < kSize; i++) {
    a[i].re = (double)(guest_random(&seed) % 1000) / 1000;
    a[i].im = 0;
  }
  for (long round = 0; round < rounds; round++) {
    memcpy(b, a, sizeof a);
    transform(b, 0);
    for (int i = 0; i < kSize; i++) {
      Complex v = b[i];
      b[i].re = (v.re * v.re - v.im * v.im) / kSize;
      b[i].im = 2 * v.re * v.im / kSize;
    }
    transform(b, 1);
    for (int i = 0; i < kSize; i++) a[i].re = b[i].re / kSize - floor(b[i].re / kSize);
  }
  uint64_t hash = 0;
  for (int i = 0; i < kSize; i++) hash = guest_mix(hash, (uint64_t)(int64_t)(a[i].re * 1e6));
  guest_report("fft", hash);
}
