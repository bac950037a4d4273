// Conversions between numeric types (WebAssembly 3.0, 4.3.4). See vm/numeric/numeric.h for the conventions.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

#include "vm/base/trap.h"

namespace vmrun::vm::ops {

namespace detail {

/// Whether trunc(a) is representable in I. NaN is not. The bounds are the last float outside on either side: where the
/// first integer outside is not a float (a narrow F), the nearest inside bound is compared inclusively instead.
template <class I, class F>
constexpr bool truncates_into(F a) {
  constexpr F kUpper = F(2) * F(I{1} << (std::numeric_limits<I>::digits - 1));  // the first integer above the range
  if constexpr (!std::numeric_limits<I>::is_signed) {
    return a > F(-1) && a < kUpper;
  } else if constexpr (std::numeric_limits<F>::digits > std::numeric_limits<I>::digits) {
    return a > -kUpper - F(1) && a < kUpper;
  } else {
    return a >= -kUpper && a < kUpper;
  }
}

template <class I, class F, class U>
constexpr TrapCode trunc_into(F a, U& result) {
  if (!truncates_into<I>(a)) [[unlikely]] {
    return a != a ? TrapCode::InvalidConversionToInteger : TrapCode::IntegerOverflow;
  }
  result = static_cast<U>(static_cast<I>(a));
  return TrapCode::None;
}

template <class I, class F>
constexpr I trunc_sat(F a) {
  if (truncates_into<I>(a)) [[likely]]
    return static_cast<I>(a);
  if (a != a) return 0;
  return a < F(0) ? std::numeric_limits<I>::min() : std::numeric_limits<I>::max();
}

}  // namespace detail

// I and F are mnemonics of the integer and the float type, U, S and T the C++ types for them.
#define VMRUN_CONVERSIONS(I, U, S, F, T)                                                            \
  constexpr TrapCode I##_trunc_##F##_s(T a, U& result) { return detail::trunc_into<S>(a, result); } \
  constexpr TrapCode I##_trunc_##F##_u(T a, U& result) { return detail::trunc_into<U>(a, result); } \
  constexpr U I##_trunc_sat_##F##_s(T a) { return static_cast<U>(detail::trunc_sat<S>(a)); }        \
  constexpr U I##_trunc_sat_##F##_u(T a) { return detail::trunc_sat<U>(a); }                        \
  constexpr T F##_convert_##I##_s(U a) { return static_cast<T>(static_cast<S>(a)); }                \
  constexpr T F##_convert_##I##_u(U a) { return static_cast<T>(a); }

VMRUN_CONVERSIONS(i32, uint32_t, int32_t, f32, float)
VMRUN_CONVERSIONS(i32, uint32_t, int32_t, f64, double)
VMRUN_CONVERSIONS(i64, uint64_t, int64_t, f32, float)
VMRUN_CONVERSIONS(i64, uint64_t, int64_t, f64, double)
#undef VMRUN_CONVERSIONS

constexpr float f32_demote_f64(double a) { return static_cast<float>(a); }
constexpr double f64_promote_f32(float a) { return static_cast<double>(a); }
constexpr uint32_t i32_reinterpret_f32(float a) { return std::bit_cast<uint32_t>(a); }
constexpr uint64_t i64_reinterpret_f64(double a) { return std::bit_cast<uint64_t>(a); }
constexpr float f32_reinterpret_i32(uint32_t a) { return std::bit_cast<float>(a); }
constexpr double f64_reinterpret_i64(uint64_t a) { return std::bit_cast<double>(a); }

}  // namespace vmrun::vm::ops
