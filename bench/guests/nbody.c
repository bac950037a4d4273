// Floating point with square roots and divisions: planets under gravity.
#include <math.h>

#include "support/guest.h"

enum { kBodies = 7 };

typedef struct {
  double position[3], velocity[3], mass;
} Body;

static void advance(Body* bodies, double step) {
  for (int i = 0; i < kBodies; i++) {
    for (int j = i + 1; j < kBodies; j++) {
      double delta[3], distance2 = 1e-9;
      for (int k = 0; k < 3; k++) {
        delta[k] = bodies[i].position[k] - bodies[j].position[k];
        distance2 += delta[k] * delta[k];
      }
      double pull = step / (distance2 * sqrt(distance2));
      for (int k = 0; k < 3; k++) {
        bodies[i].velocity[k] -= delta[k] * bodies[j].mass * pull;
        bodies[j].velocity[k] += delta[k] * bodies[i].mass * pull;
      }
    }
  }
  for (int i = 0; i < kBodies; i++) {
    for (int k = 0; k < 3; k++) bodies[i].position[k] += step * bodies[i].velocity[k];
  }
}

static double energy(const Body* bodies) {
  double total = 0;
  for (int i = 0; i < kBodies; i++) {
    const double* v = bodies[i].velocity;
    total += 0.5 * bodies[i].mass * (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    for (int j = i + 1; j < kBodies; j++) {
      double distance2 = 0;
      for (int k = 0; k < 3; k++) {
        double delta = bodies[i].position[k] - bodies[j].position[k];
        distance2 += delta * delta;
      }
      total -= bodies[i].mass * bodies[j].mass / sqrt(distance2);
    }
  }
  return total;
}

int main(int argc, char** argv) {
  long steps = guest_scaled(argc, argv, 2000000);
  Body bodies[kBodies];
  uint64_t seed = 42;
  for (int i = 0; i < kBodies; i++) {
    for (int k = 0; k < 3; k++) {
      bodies[i].position[k] = (double)(int32_t)guest_random(&seed) / 1e8;
      bodies[i].velocity[k] = (double)(int32_t)guest_random(&seed) / 4e9;
    }
    bodies[i].mass = i == 0 ? 39.5 : 0.001 * (i + 1);
  }
  double before = energy(bodies);
  for (long i = 0; i < steps; i++) advance(bodies, 0.001);
  printf("energy %.9f -> %.9f\n", before, energy(bodies));
  guest_report("nbody", guest_mix_double(1, energy(bodies)));
}
