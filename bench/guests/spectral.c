// Floating point with a division per element: the spectral norm of an infinite matrix by power iteration, and a
// conjugate-gradient solve of a sparse system.
#include <math.h>

#include "support/guest.h"

enum { kSize = 700, kGrid = 64, kCells = kGrid * kGrid };

static double entry(int i, int j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }

static void multiply(const double* v, double* out, int transposed) {
  for (int i = 0; i < kSize; i++) {
    double sum = 0;
    for (int j = 0; j < kSize; j++) sum += (transposed ? entry(j, i) : entry(i, j)) * v[j];
    out[i] = sum;
  }
}

static double dot(const double* a, const double* b, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

static void laplace(const double* v, double* out) {
  for (int y = 0; y < kGrid; y++) {
    for (int x = 0; x < kGrid; x++) {
      int c = y * kGrid + x;
      double sum = 4.1 * v[c];
      if (x > 0) sum -= v[c - 1];
      if (x < kGrid - 1) sum -= v[c + 1];
      if (y > 0) sum -= v[c - kGrid];
      if (y < kGrid - 1) sum -= v[c + kGrid];
      out[c] = sum;
    }
  }
}

static double solve(int steps) {
  static double x[kCells], r[kCells], p[kCells], q[kCells];
  for (int i = 0; i < kCells; i++) {
    x[i] = 0;
    r[i] = p[i] = (i % 17) - 8;
  }
  double rr = dot(r, r, kCells);
  for (int s = 0; s < steps && rr > 1e-20; s++) {
    laplace(p, q);
    double alpha = rr / dot(p, q, kCells);
    for (int i = 0; i < kCells; i++) {
      x[i] += alpha * p[i];
      r[i] -= alpha * q[i];
    }
    double next = dot(r, r, kCells), beta = next / rr;
    for (int i = 0; i < kCells; i++) p[i] = r[i] + beta * p[i];
    rr = next;
  }
  return dot(x, x, kCells);
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 150);
  static double u[kSize], v[kSize], t[kSize];
  for (int i = 0; i < kSize; i++) u[i] = 1;
  double answer = 0, solved = 0;
  for (long i = 0; i < rounds; i++) {
    multiply(u, t, 0);
    multiply(t, v, 1);
    answer = sqrt(dot(u, v, kSize) / dot(v, v, kSize));
    double scale = 1 / sqrt(dot(v, v, kSize));
    for (int k = 0; k < kSize; k++) u[k] = v[k] * scale;
    solved += solve(60 + (int)(i & 7));
  }
  printf("%.9f\n", answer);
  guest_report("spectral", guest_mix_double(guest_mix_double(1, answer), solved));
}
