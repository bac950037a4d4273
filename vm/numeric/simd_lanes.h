// Vectors as a whole: lane types, bitwise instructions, splats, lane access, shuffles. See vm/numeric/simd.h.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "vm/base/value.h"

#define VMRUN_SIMD [[gnu::always_inline]] inline

namespace vmrun::vm::ops {

/// Sixteen bytes as lanes of T.
template <class T>
using Lanes = T __attribute__((vector_size(16)));
/// Eight bytes as lanes of T: half a vector before it is widened.
template <class T>
using HalfLanes = T __attribute__((vector_size(8)));
/// Thirty-two bytes as lanes of T: a widened vector.
template <class T>
using WideLanes = T __attribute__((vector_size(32)));

/// A v128 value in computation; V128 (vm/base/value.h) is one in storage.
using Vec = Lanes<uint8_t>;

VMRUN_SIMD Vec vec(V128 v) { return std::bit_cast<Vec>(v); }
VMRUN_SIMD V128 v128(Vec v) { return std::bit_cast<V128>(v); }

namespace detail {

/// What __builtin_convertvector and lane-wise selection want as masks: signed lanes of the width of T.
template <class T>
using Mask = Lanes<std::conditional_t<
    sizeof(T) == 1, int8_t,
    std::conditional_t<sizeof(T) == 2, int16_t, std::conditional_t<sizeof(T) == 4, int32_t, int64_t>>>>;

template <class T>
VMRUN_SIMD Lanes<T> select(Mask<T> mask, Lanes<T> yes, Lanes<T> no) {
  return (Lanes<T>)((mask & (Mask<T>)yes) | (~mask & (Mask<T>)no));
}

template <class T>
VMRUN_SIMD Lanes<T> splat(T value) {
  return Lanes<T>{} + value;
}

/// The most significant bit of every lane, lane 0 lowest.
template <class T>
VMRUN_SIMD uint32_t bitmask(Lanes<T> a) {
  constexpr int kLanes = 16 / sizeof(T);
  typedef bool Bits __attribute__((ext_vector_type(kLanes)));
  Bits bits = __builtin_convertvector((Mask<T>)a < 0, Bits);
  using Word = std::conditional_t<kLanes == 16, uint16_t, uint8_t>;
  return std::bit_cast<Word>(bits) & ((1u << kLanes) - 1);
}

template <class T>
VMRUN_SIMD Vec with_lane(Vec a, T value, uint32_t lane) {
  Lanes<T> lanes = (Lanes<T>)a;
  lanes[lane % (16 / sizeof(T))] = value;
  return (Vec)lanes;
}

}  // namespace detail

VMRUN_SIMD Vec v128_not(Vec a) { return ~a; }
VMRUN_SIMD Vec v128_and(Vec a, Vec b) { return a & b; }
VMRUN_SIMD Vec v128_andnot(Vec a, Vec b) { return a & ~b; }
VMRUN_SIMD Vec v128_or(Vec a, Vec b) { return a | b; }
VMRUN_SIMD Vec v128_xor(Vec a, Vec b) { return a ^ b; }
VMRUN_SIMD Vec v128_bitselect(Vec a, Vec b, Vec mask) { return (a & mask) | (b & ~mask); }
VMRUN_SIMD uint32_t v128_any_true(Vec a) {
  Lanes<uint64_t> lanes = (Lanes<uint64_t>)a;
  return (lanes[0] | lanes[1]) != 0;
}

VMRUN_SIMD Vec i8x16_splat(uint32_t a) { return detail::splat(static_cast<uint8_t>(a)); }
VMRUN_SIMD Vec i16x8_splat(uint32_t a) { return (Vec)detail::splat(static_cast<uint16_t>(a)); }
VMRUN_SIMD Vec i32x4_splat(uint32_t a) { return (Vec)detail::splat(a); }
VMRUN_SIMD Vec i64x2_splat(uint64_t a) { return (Vec)detail::splat(a); }
// Through integers: adding to zero would change a negative zero or a signalling NaN.
VMRUN_SIMD Vec f32x4_splat(float a) { return (Vec)detail::splat(std::bit_cast<uint32_t>(a)); }
VMRUN_SIMD Vec f64x2_splat(double a) { return (Vec)detail::splat(std::bit_cast<uint64_t>(a)); }

VMRUN_SIMD uint32_t i8x16_extract_lane_s(Vec a, uint32_t lane) {
  return static_cast<uint32_t>(static_cast<int32_t>(((Lanes<int8_t>)a)[lane % 16]));
}
VMRUN_SIMD uint32_t i8x16_extract_lane_u(Vec a, uint32_t lane) { return a[lane % 16]; }
VMRUN_SIMD uint32_t i16x8_extract_lane_s(Vec a, uint32_t lane) {
  return static_cast<uint32_t>(static_cast<int32_t>(((Lanes<int16_t>)a)[lane % 8]));
}
VMRUN_SIMD uint32_t i16x8_extract_lane_u(Vec a, uint32_t lane) { return ((Lanes<uint16_t>)a)[lane % 8]; }
VMRUN_SIMD uint32_t i32x4_extract_lane(Vec a, uint32_t lane) { return ((Lanes<uint32_t>)a)[lane % 4]; }
VMRUN_SIMD uint64_t i64x2_extract_lane(Vec a, uint32_t lane) { return ((Lanes<uint64_t>)a)[lane % 2]; }
VMRUN_SIMD float f32x4_extract_lane(Vec a, uint32_t lane) { return ((Lanes<float>)a)[lane % 4]; }
VMRUN_SIMD double f64x2_extract_lane(Vec a, uint32_t lane) { return ((Lanes<double>)a)[lane % 2]; }

VMRUN_SIMD Vec i8x16_replace_lane(Vec a, uint32_t b, uint32_t lane) {
  return detail::with_lane(a, static_cast<uint8_t>(b), lane);
}
VMRUN_SIMD Vec i16x8_replace_lane(Vec a, uint32_t b, uint32_t lane) {
  return detail::with_lane(a, static_cast<uint16_t>(b), lane);
}
VMRUN_SIMD Vec i32x4_replace_lane(Vec a, uint32_t b, uint32_t lane) { return detail::with_lane(a, b, lane); }
VMRUN_SIMD Vec i64x2_replace_lane(Vec a, uint64_t b, uint32_t lane) { return detail::with_lane(a, b, lane); }
VMRUN_SIMD Vec f32x4_replace_lane(Vec a, float b, uint32_t lane) { return detail::with_lane(a, b, lane); }
VMRUN_SIMD Vec f64x2_replace_lane(Vec a, double b, uint32_t lane) { return detail::with_lane(a, b, lane); }

// Shuffles by lane numbers known only at run time: one or two instructions where the compiler may use SSSE3, whose
// byte shuffle gives 0 for a lane number with the top bit set.

/// Lane i of the result is lane s[i] of a, or 0 if s[i] > 15.
VMRUN_SIMD Vec i8x16_swizzle(Vec a, Vec s) {
#if defined(__SSSE3__)
  // Saturation gives the top bit to all numbers above 15.
  Vec lanes = __builtin_elementwise_add_sat(s, Vec{} + uint8_t{0x70});
  return (Vec)__builtin_ia32_pshufb128((Lanes<char>)a, (Lanes<char>)lanes);
#else
  uint8_t from[16];
  std::memcpy(from, &a, 16);
  Vec result;
  for (int i = 0; i < 16; ++i) result[i] = from[s[i] % 16];
  return result & (Vec)(s < 16);
#endif
}

/// Lane i of the result is lane lanes[i] of the 32 lanes of a and b; lanes[i] < 32.
VMRUN_SIMD Vec i8x16_shuffle(Vec a, Vec b, Vec lanes) {
#if defined(__SSSE3__)
  // For numbers below 16 the subtraction wraps to values above 15.
  return i8x16_swizzle(a, lanes) | i8x16_swizzle(b, lanes - 16);
#else
  uint8_t from[32];
  std::memcpy(from, &a, 16);
  std::memcpy(from + 16, &b, 16);
  Vec result;
  for (int i = 0; i < 16; ++i) result[i] = from[lanes[i] % 32];
  return result;
#endif
}

}  // namespace vmrun::vm::ops
