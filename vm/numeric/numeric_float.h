// Floating-point instructions (WebAssembly 3.0, 4.3.3). See vm/numeric/numeric.h for the conventions.
//
// NaNs: a result computed by the host's arithmetic is the quieted operand or the host's default NaN, both of which the
// specification allows (4.3.3, NaN propagation). What is computed here by other means quiets explicitly.
//
// The rounding instructions avoid the C library, because a call in a handler would spill every pinned register: they
// use the host's instruction where the compiler may (which quiets NaNs too), and arithmetic elsewhere.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

/// Whether the compiler has instructions for ceil, floor, trunc and nearest.
#if defined(__SSE4_1__) || defined(__aarch64__)
#define VMRUN_HOST_ROUNDS 1
#else
#define VMRUN_HOST_ROUNDS 0
#endif

namespace vmrun::vm::ops {

namespace detail {

template <class F>
using BitsOf = std::conditional_t<sizeof(F) == 4, uint32_t, uint64_t>;

template <class F>
inline constexpr BitsOf<F> kQuietBit = sizeof(F) == 4 ? 0x00400000u : 0x0008000000000000u;

/// The smallest magnitude from which on every value is an integer: 2^23 or 2^52.
template <class F>
inline constexpr F kIntegral = sizeof(F) == 4 ? F(0x1p23) : F(0x1p52);

template <class F>
constexpr F quiet(F nan) {
  return std::bit_cast<F>(std::bit_cast<BitsOf<F>>(nan) | kQuietBit<F>);
}

constexpr float abs(float a) { return __builtin_fabsf(a); }
constexpr double abs(double a) { return __builtin_fabs(a); }
constexpr float copysign(float a, float b) { return __builtin_copysignf(a, b); }
constexpr double copysign(double a, double b) { return __builtin_copysign(a, b); }

/// Round half to even, by letting an addition push the fraction out of the significand. For |a| < kIntegral.
template <class F>
constexpr F round_small(F a) {
  F magic = copysign(kIntegral<F>, a);
  F sum = a + magic;
  return sum - magic;
}

template <class F>
constexpr F min(F a, F b) {
  if (__builtin_isunordered(a, b)) [[unlikely]]
    return a != a ? quiet(a) : quiet(b);
  // Equal for all but zeros of different sign, whose `or` is the negative one.
  F x = a < b ? a : b, y = b < a ? b : a;
  return std::bit_cast<F>(std::bit_cast<BitsOf<F>>(x) | std::bit_cast<BitsOf<F>>(y));
}
template <class F>
constexpr F max(F a, F b) {
  if (__builtin_isunordered(a, b)) [[unlikely]]
    return a != a ? quiet(a) : quiet(b);
  F x = a > b ? a : b, y = b > a ? b : a;
  return std::bit_cast<F>(std::bit_cast<BitsOf<F>>(x) & std::bit_cast<BitsOf<F>>(y));
}

template <class F>
[[gnu::always_inline]] constexpr F nearest(F a) {
  if (VMRUN_HOST_ROUNDS && !std::is_constant_evaluated()) return __builtin_elementwise_roundeven(a);
  if (abs(a) < kIntegral<F>) [[likely]]
    return copysign(round_small(a), a);
  return a != a ? quiet(a) : a;
}
template <class F>
[[gnu::always_inline]] constexpr F floor(F a) {
  if (VMRUN_HOST_ROUNDS && !std::is_constant_evaluated()) return __builtin_elementwise_floor(a);
  if (abs(a) < kIntegral<F>) [[likely]] {
    F rounded = round_small(a);
    return copysign(rounded - (rounded > a ? F(1) : F(0)), a);
  }
  return a != a ? quiet(a) : a;
}
template <class F>
[[gnu::always_inline]] constexpr F ceil(F a) {
  if (VMRUN_HOST_ROUNDS && !std::is_constant_evaluated()) return __builtin_elementwise_ceil(a);
  if (abs(a) < kIntegral<F>) [[likely]] {
    F rounded = round_small(a);
    return copysign(rounded + (rounded < a ? F(1) : F(0)), a);
  }
  return a != a ? quiet(a) : a;
}
template <class F>
[[gnu::always_inline]] constexpr F trunc(F a) {
  if (VMRUN_HOST_ROUNDS && !std::is_constant_evaluated()) return __builtin_elementwise_trunc(a);
  if (abs(a) < kIntegral<F>) [[likely]] {
    F rounded = round_small(abs(a));
    return copysign(rounded - (rounded > abs(a) ? F(1) : F(0)), a);
  }
  return a != a ? quiet(a) : a;
}

}  // namespace detail

// N is the mnemonic prefix, F the C++ type.
#define VMRUN_FLOAT_OPS(N, F)                                           \
  constexpr F N##_add(F a, F b) { return a + b; }                       \
  constexpr F N##_sub(F a, F b) { return a - b; }                       \
  constexpr F N##_mul(F a, F b) { return a * b; }                       \
  constexpr F N##_div(F a, F b) { return a / b; }                       \
  constexpr F N##_min(F a, F b) { return detail::min(a, b); }           \
  constexpr F N##_max(F a, F b) { return detail::max(a, b); }           \
  constexpr F N##_copysign(F a, F b) { return detail::copysign(a, b); } \
  constexpr F N##_abs(F a) { return detail::abs(a); }                   \
  constexpr F N##_neg(F a) { return -a; }                               \
  constexpr F N##_ceil(F a) { return detail::ceil(a); }                 \
  constexpr F N##_floor(F a) { return detail::floor(a); }               \
  constexpr F N##_trunc(F a) { return detail::trunc(a); }               \
  constexpr F N##_nearest(F a) { return detail::nearest(a); }           \
  constexpr uint32_t N##_eq(F a, F b) { return a == b; }                \
  constexpr uint32_t N##_ne(F a, F b) { return a != b; }                \
  constexpr uint32_t N##_lt(F a, F b) { return a < b; }                 \
  constexpr uint32_t N##_gt(F a, F b) { return a > b; }                 \
  constexpr uint32_t N##_le(F a, F b) { return a <= b; }                \
  constexpr uint32_t N##_ge(F a, F b) { return a >= b; }

VMRUN_FLOAT_OPS(f32, float)
VMRUN_FLOAT_OPS(f64, double)
#undef VMRUN_FLOAT_OPS

// The intrinsic, not the C library's function, which sets errno and so costs a call.
inline float f32_sqrt(float a) { return __builtin_elementwise_sqrt(a); }
inline double f64_sqrt(double a) { return __builtin_elementwise_sqrt(a); }

}  // namespace vmrun::vm::ops
