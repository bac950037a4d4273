// Floating point in registers with a data-dependent exit: Mandelbrot and Julia sets.
#include "support/guest.h"

enum { kSide = 320, kLimit = 200 };

static int escape(double x, double y, double cx, double cy) {
  int n = 0;
  for (; n < kLimit; n++) {
    double xx = x * x, yy = y * y;
    if (xx + yy > 4) break;
    y = 2 * x * y + cy;
    x = xx - yy + cx;
  }
  return n;
}

int main(int argc, char** argv) {
  long frames = guest_scaled(argc, argv, 5);
  uint64_t hash = 0;
  for (long f = 0; f < frames; f++) {
    double zoom = 1.0 / (1 + 0.3 * (double)f);
    for (int py = 0; py < kSide; py++) {
      for (int px = 0; px < kSide; px++) {
        double x = (3.0 * px / kSide - 1.5) * zoom, y = (3.0 * py / kSide - 1.5) * zoom;
        hash = guest_mix(hash, (uint64_t)(escape(0, 0, x - 0.6, y) * 256 + escape(x, y, -0.7269, 0.1889)));
      }
    }
  }
  guest_report("mandelbrot", hash);
}
