// Matrix kernels: products of double matrices, blocked products of float matrices, and a factorisation with pivoting.
#include <math.h>

#include "support/guest.h"

enum { kSize = 192, kBlock = 32 };

static double a[kSize][kSize], b[kSize][kSize], c[kSize][kSize];
static float fa[kSize][kSize], fb[kSize][kSize], fc[kSize][kSize];

static void multiply(void) {
  for (int i = 0; i < kSize; i++) {
    for (int j = 0; j < kSize; j++) c[i][j] = 0;
    for (int k = 0; k < kSize; k++) {
      for (int j = 0; j < kSize; j++) c[i][j] += a[i][k] * b[k][j];
    }
  }
}

static void multiply_transposed(void) {
  for (int i = 0; i < kSize; i++) {
    for (int j = 0; j < kSize; j++) {
      double sum = 0;
      for (int k = 0; k < kSize; k++) sum += a[i][k] * b[j][k];
      c[i][j] += sum;
    }
  }
}

static void multiply_float(void) {
  memset(fc, 0, sizeof fc);
  for (int ii = 0; ii < kSize; ii += kBlock) {
    for (int kk = 0; kk < kSize; kk += kBlock) {
      for (int jj = 0; jj < kSize; jj += kBlock) {
        for (int i = ii; i < ii + kBlock; i++) {
          for (int k = kk; k < kk + kBlock; k++) {
            float f = fa[i][k];
            for (int j = jj; j < jj + kBlock; j++) fc[i][j] += f * fb[k][j];
          }
        }
      }
    }
  }
}

// Gaussian elimination of `c` in place; returns the logarithm-free size of the pivots.
static double eliminate(void) {
  double product = 1;
  for (int k = 0; k < kSize; k++) {
    int pivot = k;
    for (int i = k + 1; i < kSize; i++) {
      if (fabs(c[i][k]) > fabs(c[pivot][k])) pivot = i;
    }
    for (int j = 0; j < kSize; j++) {
      double t = c[k][j];
      c[k][j] = c[pivot][j];
      c[pivot][j] = t;
    }
    for (int i = k + 1; i < kSize; i++) {
      double f = c[i][k] / c[k][k];
      for (int j = k; j < kSize; j++) c[i][j] -= f * c[k][j];
    }
    product += fabs(c[k][k]);
  }
  return product;
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 40);
  uint64_t seed = 3, hash = 0;
  for (int i = 0; i < kSize; i++) {
    for (int j = 0; j < kSize; j++) {
      a[i][j] = (double)(guest_random(&seed) % 2000) / 1000 - 1;
      b[i][j] = (double)(guest_random(&seed) % 2000) / 1000 - 1;
      fa[i][j] = (float)a[i][j];
      fb[i][j] = (float)b[i][j];
    }
  }
  for (long i = 0; i < rounds; i++) {
    multiply();
    multiply_transposed();
    hash = guest_mix_double(hash, c[i % kSize][3]);
    hash = guest_mix_double(hash, eliminate());
    multiply_float();
    hash = guest_mix_double(hash, fc[i % kSize][5]);
    a[i % kSize][0] += 0.25;
    fa[i % kSize][0] += 0.25f;
  }
  guest_report("matmul", hash);
}
