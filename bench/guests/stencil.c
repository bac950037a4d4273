// Stencils: heat on a plane in doubles, seven points in a cube of floats, a box blur of bytes, and the game of life.
#include "support/guest.h"

enum { kSide = 512, kCube = 48 };

static double heat[2][kSide][kSide];
static float cube[2][kCube][kCube][kCube];
static uint8_t life[2][kSide][kSide], image[2][kSide][kSide];

static void heat_step(int from) {
  for (int y = 1; y < kSide - 1; y++) {
    for (int x = 1; x < kSide - 1; x++) {
      heat[!from][y][x] = 0.6 * heat[from][y][x] + 0.1 * (heat[from][y - 1][x] + heat[from][y + 1][x] +
                                                          heat[from][y][x - 1] + heat[from][y][x + 1]);
    }
  }
}

static void cube_step(int from) {
  for (int z = 1; z < kCube - 1; z++) {
    for (int y = 1; y < kCube - 1; y++) {
      for (int x = 1; x < kCube - 1; x++) {
        cube[!from][z][y][x] = cube[from][z][y][x] * 0.4f +
                               0.1f * (cube[from][z - 1][y][x] + cube[from][z + 1][y][x] + cube[from][z][y - 1][x] +
                                       cube[from][z][y + 1][x] + cube[from][z][y][x - 1] + cube[from][z][y][x + 1]);
      }
    }
  }
}

static void blur_step(int from) {
  for (int y = 1; y < kSide - 1; y++) {
    for (int x = 1; x < kSide - 1; x++) {
      unsigned sum = 0;
      for (int dy = -1; dy <= 1; dy++) {
        for (int dx = -1; dx <= 1; dx++) sum += image[from][y + dy][x + dx];
      }
      image[!from][y][x] = (uint8_t)((sum + 4) / 9 + (sum & 1));
    }
  }
}

static void life_step(int from) {
  for (int y = 0; y < kSide; y++) {
    int up = (y + kSide - 1) % kSide, down = (y + 1) % kSide;
    for (int x = 0; x < kSide; x++) {
      int left = (x + kSide - 1) % kSide, right = (x + 1) % kSide;
      int n = life[from][up][left] + life[from][up][x] + life[from][up][right] + life[from][y][left] +
              life[from][y][right] + life[from][down][left] + life[from][down][x] + life[from][down][right];
      life[!from][y][x] = n == 3 || (n == 2 && life[from][y][x]);
    }
  }
}

int main(int argc, char** argv) {
  long steps = guest_scaled(argc, argv, 160);
  uint64_t seed = 11;
  for (int y = 0; y < kSide; y++) {
    for (int x = 0; x < kSide; x++) {
      life[0][y][x] = guest_random(&seed) & 1;
      image[0][y][x] = (uint8_t)guest_random(&seed);
      heat[0][y][x] = heat[1][y][x] = (double)(guest_random(&seed) % 100);
    }
  }
  memcpy(image[1], image[0], sizeof image[0]);
  for (int i = 0; i < kCube * kCube * kCube; i++) {
    ((float*)cube[0])[i] = ((float*)cube[1])[i] = (float)(guest_random(&seed) % 100);
  }
  for (long s = 0; s < steps; s++) {
    heat_step((int)(s & 1));
    cube_step((int)(s & 1));
    blur_step((int)(s & 1));
    life_step((int)(s & 1));
  }
  long alive = 0;
  double warmth = 0;
  for (int y = 0; y < kSide; y++) {
    for (int x = 0; x < kSide; x++) {
      alive += life[steps & 1][y][x] + image[steps & 1][y][x];
      warmth += heat[steps & 1][y][x];
    }
  }
  for (int i = 0; i < kCube; i++) warmth += cube[steps & 1][i][kCube / 2][i];
  guest_report("stencil", guest_mix_double((uint64_t)alive, warmth));
}
