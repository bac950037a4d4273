// Floats in small structs: a ray tracer over spheres with shadows and reflections.
#include <cmath>
#include <vector>

#include "support/guest.h"

namespace {

struct Vec {
  float x, y, z;
};
Vec operator+(Vec a, Vec b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
Vec operator-(Vec a, Vec b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
Vec operator*(Vec a, float s) { return {a.x * s, a.y * s, a.z * s}; }
float dot(Vec a, Vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
Vec unit(Vec a) { return a * (1 / std::sqrt(dot(a, a))); }

struct Sphere {
  Vec centre;
  float radius;
  Vec colour;
  float shine;
};

// The distance along the ray to the sphere, or a negative number.
float hit(const Sphere& s, Vec from, Vec direction) {
  Vec to = s.centre - from;
  float along = dot(to, direction), gap = dot(to, to) - along * along, r2 = s.radius * s.radius;
  if (along < 0 || gap > r2) return -1;
  return along - std::sqrt(r2 - gap);
}

const Sphere* nearest(const std::vector<Sphere>& scene, Vec from, Vec direction, float* distance) {
  const Sphere* found = nullptr;
  *distance = 1e30f;
  for (const Sphere& s : scene) {
    float t = hit(s, from, direction);
    if (t > 1e-3f && t < *distance) {
      *distance = t;
      found = &s;
    }
  }
  return found;
}

Vec trace(const std::vector<Sphere>& scene, Vec from, Vec direction, int depth) {
  float distance;
  const Sphere* s = nearest(scene, from, direction, &distance);
  if (!s) return Vec{0.4f, 0.5f, 0.7f} * (0.5f + 0.5f * direction.y);
  Vec at = from + direction * distance, normal = unit(at - s->centre);
  Vec light = unit({0.5f, 0.8f, -0.4f});
  float blocked;
  float brightness =
      nearest(scene, at + normal * 1e-2f, light, &blocked) ? 0.1f : 0.1f + 0.9f * std::fmax(0.0f, dot(normal, light));
  Vec colour = s->colour * brightness;
  if (depth == 0 || s->shine == 0) return colour;
  Vec mirrored = direction - normal * (2 * dot(direction, normal));
  return colour * (1 - s->shine) + trace(scene, at + normal * 1e-2f, mirrored, depth - 1) * s->shine;
}

}  // namespace

int main(int argc, char** argv) {
  long frames = guest_scaled(argc, argv, 110);
  constexpr int kSide = 160;
  uint64_t seed = 1234, hash = 0;
  std::vector<Sphere> scene;
  for (int i = 0; i < 24; i++) {
    auto unit_float = [&] { return static_cast<float>(guest_random(&seed) >> 40) / 16777216.0f; };
    float x = unit_float(), y = unit_float(), z = unit_float(), r = unit_float();
    scene.push_back(
        {{x * 8 - 4, y * 6 - 3, 4 + z * 6}, 0.3f + r, {unit_float(), unit_float(), unit_float()}, i % 3 ? 0.4f : 0.0f});
  }
  for (long frame = 0; frame < frames; frame++) {
    for (int py = 0; py < kSide; py++) {
      for (int px = 0; px < kSide; px++) {
        Vec direction = unit({(px - kSide / 2) / 120.0f, (kSide / 2 - py) / 120.0f, 1});
        Vec c = trace(scene, {0, 0, -3}, direction, 3);
        hash = guest_mix(hash, static_cast<uint64_t>(c.x * 255) << 16 | static_cast<uint64_t>(c.y * 255) << 8 |
                                   static_cast<uint64_t>(c.z * 255));
      }
    }
    for (Sphere& s : scene) s.centre.x += 0.05f;
  }
  guest_report("raytrace", hash);
}
