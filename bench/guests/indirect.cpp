// Indirect calls: virtual functions over mixed shapes, tables of function pointers, and closures in a pipeline.
#include <memory>
#include <vector>

#include "support/guest.h"

namespace {

class Shape {
 public:
  virtual ~Shape() = default;
  virtual double area() const = 0;
  virtual double perimeter() const = 0;
  virtual void grow(double by) = 0;
};

class Box : public Shape {
 public:
  Box(double w, double h) : w_(w), h_(h) {}
  double area() const override { return w_ * h_; }
  double perimeter() const override { return 2 * (w_ + h_); }
  void grow(double by) override { w_ += by, h_ -= by * 0.5; }

 private:
  double w_, h_;
};

class Circle : public Shape {
 public:
  explicit Circle(double r) : r_(r) {}
  double area() const override { return 3.14159265358979 * r_ * r_; }
  double perimeter() const override { return 6.28318530717959 * r_; }
  void grow(double by) override { r_ = r_ * 0.99 + by; }

 private:
  double r_;
};

class Triangle : public Shape {
 public:
  Triangle(double base, double height) : base_(base), height_(height) {}
  double area() const override { return base_ * height_ / 2; }
  double perimeter() const override { return base_ + height_ * 2; }
  void grow(double by) override { base_ += by, height_ += by; }

 private:
  double base_, height_;
};

class Scaled : public Shape {
 public:
  Scaled(std::unique_ptr<Shape> inner, double factor) : inner_(std::move(inner)), factor_(factor) {}
  double area() const override { return inner_->area() * factor_ * factor_; }
  double perimeter() const override { return inner_->perimeter() * factor_; }
  void grow(double by) override { inner_->grow(by / factor_); }

 private:
  std::unique_ptr<Shape> inner_;
  double factor_;
};

std::unique_ptr<Shape> make(uint64_t r) {
  double a = static_cast<double>(r >> 8 & 255) / 16 + 1, b = static_cast<double>(r >> 16 & 255) / 16 + 1;
  switch (r & 3) {
    case 0: return std::make_unique<Box>(a, b);
    case 1: return std::make_unique<Circle>(a);
    case 2: return std::make_unique<Triangle>(a, b);
    default: return std::make_unique<Scaled>(make(r >> 24), 1.5);
  }
}

using Step = uint32_t (*)(uint32_t, uint32_t);
uint32_t add(uint32_t a, uint32_t b) { return a + b; }
uint32_t mix(uint32_t a, uint32_t b) { return (a ^ b) * 2654435761u; }
uint32_t turn(uint32_t a, uint32_t b) { return a << (b & 31) | a >> (-b & 31); }
uint32_t fold(uint32_t a, uint32_t b) { return a - (b >> 3); }
uint32_t pick(uint32_t a, uint32_t b) { return a & 1 ? a : b; }

}  // namespace

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 900);
  uint64_t seed = 17, hash = 0;
  std::vector<std::unique_ptr<Shape>> shapes;
  for (int i = 0; i < 2000; i++) shapes.push_back(make(guest_random(&seed)));
  static const Step table[] = {add, mix, turn, fold, pick, mix, add, turn};
  std::vector<uint8_t> script(30000);
  for (auto& step : script) step = guest_random(&seed) & 7;
  for (long round = 0; round < rounds; round++) {
    double total = 0;
    for (auto& shape : shapes) total += shape->area() / shape->perimeter();
    shapes[static_cast<size_t>(round) % shapes.size()]->grow(0.01);
    uint32_t value = static_cast<uint32_t>(round);
    for (uint8_t step : script) value = table[step](value, value + step);
    hash = guest_mix(guest_mix_double(hash, total), value);
  }
  guest_report("indirect", hash);
}
