// Division by constants as multiplication: the numbers to multiply with (Granlund and Montgomery, "Division by Invariant
// Integers using Multiplication", 1994; Lemire, Kaser and Kurz, "Faster Remainder by Direct Computation", 2019).
#pragma once

#include <bit>
#include <cstdint>

namespace vmrun::jit::baseline {

/// n / d is the upper half of n * reciprocal32(d), 64 bits each, for all 32-bit n. d >= 2.
constexpr uint64_t reciprocal32(uint32_t d) { return ~uint64_t{0} / d + 1; }

/// |n| / d rounded towards zero: n * factor >> shift, arithmetically in 64 bits, and 1 more for negative n; for all
/// 32-bit n. 2 <= d <= 2^31.
struct SignedReciprocal32 {
  uint64_t factor;  // at most 2^32
  unsigned shift;
};
constexpr SignedReciprocal32 signed_reciprocal32(uint32_t d) {
  const unsigned shift = 31 + static_cast<unsigned>(std::bit_width(d - 1));
  return {(uint64_t{1} << shift) / d + 1, shift};
}

/// With t the upper half of n * factor: n / d is t >> shift or, when `add`, (((n - t) >> 1) + t) >> shift; for all
/// 64-bit n. d >= 3, no power of two.
struct Reciprocal64 {
  uint64_t factor;
  unsigned shift;
  bool add;
};
constexpr Reciprocal64 reciprocal64(uint64_t d) {
  using Wide = unsigned __int128;
  const auto bits = static_cast<unsigned>(std::bit_width(d - 1));
  for (unsigned shift = 0; shift < bits; ++shift) {
    const Wide power = Wide{1} << (64 + shift);
    const uint64_t error = d - static_cast<uint64_t>(power % d);
    if (error <= uint64_t{1} << shift) return {static_cast<uint64_t>(power / d + 1), shift, false};
  }
  // The factor has 65 bits, of which the highest is not multiplied with.
  const uint64_t beyond = bits == 64 ? 0 - d : (uint64_t{1} << bits) - d;
  return {static_cast<uint64_t>((Wide{beyond} << 64) / d + 1), bits - 1, true};
}

/// With t the upper half of the signed product n * factor, plus n when `add`: n / d rounded towards zero is t >> shift,
/// and 1 more for negative n; for all 64-bit n. 2 <= d <= 2^63.
constexpr Reciprocal64 signed_reciprocal64(uint64_t d) {
  using Wide = unsigned __int128;
  const auto bits = static_cast<unsigned>(std::bit_width(d - 1));
  const auto factor = static_cast<uint64_t>((Wide{1} << (63 + bits)) / d + 1);
  return {factor, bits - 1, factor >> 63 != 0};
}

}  // namespace vmrun::jit::baseline
