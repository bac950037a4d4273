// Division by constants as multiplication: the numbers to multiply with (Granlund and Montgomery, "Division by Invariant
// Integers using Multiplication", 1994; Lemire, Kaser and Kurz, "Faster Remainder by Direct Computation", 2019). Each for
// integers of any width up to 64, so that small ones can be tried exhaustively; rules.h says what is done with them.
#pragma once

#include <bit>
#include <cstdint>

namespace vmrun::jit::baseline {

/// n / d is the upper half of n * double_reciprocal(d), both of twice the width, for all n of `width` bits, at most 32.
/// d >= 2.
constexpr uint64_t double_reciprocal(uint64_t d, unsigned width) { return (~uint64_t{0} >> (64 - 2 * width)) / d + 1; }

/// |n| / d rounded towards zero: n * factor >> shift, arithmetically in twice the width, and 1 more for negative n; for
/// all n of `width` bits, at most 32. 2 <= d <= 2^(width - 1).
struct NarrowReciprocal {
  uint64_t factor;  // at most 2^width
  unsigned shift;
};
constexpr NarrowReciprocal signed_narrow_reciprocal(uint64_t d, unsigned width) {
  const unsigned shift = width - 1 + static_cast<unsigned>(std::bit_width(d - 1));
  return {(uint64_t{1} << shift) / d + 1, shift};
}

/// With t the upper half of n * factor: n / d is t >> shift or, when `add`, (((n - t) >> 1) + t) >> shift; for all n of
/// `width` bits. d >= 3, no power of two.
struct Reciprocal {
  uint64_t factor;
  unsigned shift;
  bool add;
};
constexpr Reciprocal reciprocal(uint64_t d, unsigned width) {
  using Wide = unsigned __int128;
  const auto bits = static_cast<unsigned>(std::bit_width(d - 1));
  for (unsigned shift = 0; shift < bits; ++shift) {
    const Wide power = Wide{1} << (width + shift);
    const uint64_t error = d - static_cast<uint64_t>(power % d);
    if (error <= uint64_t{1} << shift) return {static_cast<uint64_t>(power / d + 1), shift, false};
  }
  // The factor has one bit more than the width, which is not multiplied with.
  const uint64_t beyond = bits == 64 ? 0 - d : (uint64_t{1} << bits) - d;
  return {static_cast<uint64_t>((Wide{beyond} << width) / d + 1), bits - 1, true};
}

/// With t the upper half of the signed product n * factor, plus n when `add`: n / d rounded towards zero is t >> shift,
/// and 1 more for negative n; for all n of `width` bits. 2 <= d <= 2^(width - 1).
constexpr Reciprocal signed_reciprocal(uint64_t d, unsigned width) {
  using Wide = unsigned __int128;
  const auto bits = static_cast<unsigned>(std::bit_width(d - 1));
  const auto factor = static_cast<uint64_t>((Wide{1} << (width - 1 + bits)) / d + 1);
  return {factor, bits - 1, (factor >> (width - 1) & 1) != 0};
}

}  // namespace vmrun::jit::baseline
