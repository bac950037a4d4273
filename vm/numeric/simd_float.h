// Vector instructions on floating-point lanes, and the conversions to and from them. See vm/numeric/simd.h, and
// vm/numeric/numeric_float.h for NaNs and rounding; here both are computed without branches.
#pragma once

#include <cstdint>
#include <limits>

#include "vm/numeric/numeric_convert.h"
#include "vm/numeric/numeric_float.h"
#include "vm/numeric/simd_lanes.h"

namespace vmrun::vm::ops {

namespace detail {

template <class F>
VMRUN_SIMD Lanes<F> float_lanes(Lanes<BitsOf<F>> bits) {
  return (Lanes<F>)bits;
}
template <class F>
VMRUN_SIMD Lanes<BitsOf<F>> bits_of(Lanes<F> a) {
  return (Lanes<BitsOf<F>>)a;
}
template <class F>
inline constexpr BitsOf<F> kSignBit = BitsOf<F>{1} << (sizeof(F) * 8 - 1);

template <class F>
VMRUN_SIMD Lanes<F> abs_lanes(Lanes<F> a) {
  return (Lanes<F>)(bits_of<F>(a) & ~kSignBit<F>);
}
template <class F>
VMRUN_SIMD Lanes<F> copysign_lanes(Lanes<F> a, Lanes<F> b) {
  return (Lanes<F>)((bits_of<F>(a) & ~kSignBit<F>) | (bits_of<F>(b) & kSignBit<F>));
}

/// `rounded` with the sign of a where |a| is below the magnitude from which everything is integral, else a, quieted.
template <class F>
VMRUN_SIMD Vec rounded_or_same(Lanes<F> a, Lanes<F> rounded) {
  auto nan = (Lanes<BitsOf<F>>)(a != a);
  auto same = (Lanes<F>)(bits_of<F>(a) | (nan & kQuietBit<F>));
  return (Vec)select<F>(abs_lanes<F>(a) < kIntegral<F>, copysign_lanes<F>(rounded, a), same);
}
template <class F>
VMRUN_SIMD Lanes<F> round_lanes(Lanes<F> a) {
  auto magic = copysign_lanes<F>(Lanes<F>{} + kIntegral<F>, a);
  auto sum = a + magic;
  return sum - magic;
}
/// 1.0 where the mask is set, else 0.
template <class F>
VMRUN_SIMD Lanes<F> one_where(Mask<F> mask) {
  return (Lanes<F>)(mask & (Mask<F>)(Lanes<F>{} + F(1)));
}

template <class F>
VMRUN_SIMD Vec nearest_lanes(Vec v) {
  auto a = (Lanes<F>)v;
  if constexpr (VMRUN_HOST_ROUNDS) return (Vec)__builtin_elementwise_roundeven(a);
  return rounded_or_same<F>(a, round_lanes<F>(a));
}
template <class F>
VMRUN_SIMD Vec floor_lanes(Vec v) {
  auto a = (Lanes<F>)v;
  if constexpr (VMRUN_HOST_ROUNDS) return (Vec)__builtin_elementwise_floor(a);
  auto r = round_lanes<F>(a);
  return rounded_or_same<F>(a, r - one_where<F>(r > a));
}
template <class F>
VMRUN_SIMD Vec ceil_lanes(Vec v) {
  auto a = (Lanes<F>)v;
  if constexpr (VMRUN_HOST_ROUNDS) return (Vec)__builtin_elementwise_ceil(a);
  auto r = round_lanes<F>(a);
  return rounded_or_same<F>(a, r + one_where<F>(r < a));
}
template <class F>
VMRUN_SIMD Vec trunc_lanes(Vec v) {
  auto a = (Lanes<F>)v;
  if constexpr (VMRUN_HOST_ROUNDS) return (Vec)__builtin_elementwise_trunc(a);
  auto magnitude = abs_lanes<F>(a);
  auto r = round_lanes<F>(magnitude);
  return rounded_or_same<F>(a, r - one_where<F>(r > magnitude));
}

/// Lanes of `bits` where the mask says NaN become the canonical NaN.
template <class F>
VMRUN_SIMD Vec canonical_where(Mask<F> nan, Lanes<BitsOf<F>> bits) {
  auto mask = (Lanes<BitsOf<F>>)nan;
  // All ones, without the payload bits below the quiet bit.
  return (Vec)((bits | mask) & ~(mask & (kQuietBit<F> - 1)));
}
template <class F>
VMRUN_SIMD Vec min_lanes(Vec va, Vec vb) {
  auto a = (Lanes<F>)va, b = (Lanes<F>)vb;
  // Equal for all but zeros of different sign, whose `or` is the negative one.
  auto x = select<F>(a < b, a, b), y = select<F>(b < a, b, a);
  return canonical_where<F>((a != a) | (b != b), bits_of<F>(x) | bits_of<F>(y));
}
template <class F>
VMRUN_SIMD Vec max_lanes(Vec va, Vec vb) {
  auto a = (Lanes<F>)va, b = (Lanes<F>)vb;
  auto x = select<F>(a > b, a, b), y = select<F>(b > a, b, a);
  return canonical_where<F>((a != a) | (b != b), bits_of<F>(x) & bits_of<F>(y));
}
template <class F>
VMRUN_SIMD Vec pmin_lanes(Vec va, Vec vb) {
  auto a = (Lanes<F>)va, b = (Lanes<F>)vb;
  return (Vec)select<F>(b < a, b, a);
}
template <class F>
VMRUN_SIMD Vec pmax_lanes(Vec va, Vec vb) {
  auto a = (Lanes<F>)va, b = (Lanes<F>)vb;
  return (Vec)select<F>(a < b, b, a);
}

/// Saturating truncation of f32 lanes: what does not fit is converted as 0 and then replaced.
template <class I>
VMRUN_SIMD Vec trunc_sat_f32x4(Vec v) {
  auto a = (Lanes<float>)v;
  constexpr float kUpper = 2.0f * static_cast<float>(I{1} << (std::numeric_limits<I>::digits - 1));
  Mask<float> below, above = a >= kUpper;
  if constexpr (std::numeric_limits<I>::is_signed) {
    below = a < -kUpper;
  } else {
    below = a <= -1.0f;
  }
  auto inside = ~(above | below | (a != a));
  auto converted = (Mask<float>)__builtin_convertvector((Lanes<float>)((Mask<float>)a & inside), Lanes<I>);
  auto lowest = Mask<float>{} + static_cast<int32_t>(std::numeric_limits<I>::min());
  auto highest = Mask<float>{} + static_cast<int32_t>(std::numeric_limits<I>::max());
  return (Vec)((converted & inside) | (lowest & below) | (highest & above));
}

template <class I>
VMRUN_SIMD Vec trunc_sat_f64x2_zero(Vec v) {
  auto a = (Lanes<double>)v;
  return (Vec)Lanes<I>{trunc_sat<I>(a[0]), trunc_sat<I>(a[1]), 0, 0};
}

}  // namespace detail

// N is the shape, F the lane type.
#define VMRUN_FLOAT_LANE_OPS(N, F)                                                        \
  VMRUN_SIMD Vec N##_add(Vec a, Vec b) { return (Vec)((Lanes<F>)a + (Lanes<F>)b); }       \
  VMRUN_SIMD Vec N##_sub(Vec a, Vec b) { return (Vec)((Lanes<F>)a - (Lanes<F>)b); }       \
  VMRUN_SIMD Vec N##_mul(Vec a, Vec b) { return (Vec)((Lanes<F>)a * (Lanes<F>)b); }       \
  VMRUN_SIMD Vec N##_div(Vec a, Vec b) { return (Vec)((Lanes<F>)a / (Lanes<F>)b); }       \
  VMRUN_SIMD Vec N##_min(Vec a, Vec b) { return detail::min_lanes<F>(a, b); }             \
  VMRUN_SIMD Vec N##_max(Vec a, Vec b) { return detail::max_lanes<F>(a, b); }             \
  VMRUN_SIMD Vec N##_pmin(Vec a, Vec b) { return detail::pmin_lanes<F>(a, b); }           \
  VMRUN_SIMD Vec N##_pmax(Vec a, Vec b) { return detail::pmax_lanes<F>(a, b); }           \
  VMRUN_SIMD Vec N##_abs(Vec a) { return (Vec)detail::abs_lanes<F>((Lanes<F>)a); }        \
  VMRUN_SIMD Vec N##_neg(Vec a) { return (Vec)(-(Lanes<F>)a); }                           \
  VMRUN_SIMD Vec N##_sqrt(Vec a) { return (Vec)__builtin_elementwise_sqrt((Lanes<F>)a); } \
  VMRUN_SIMD Vec N##_ceil(Vec a) { return detail::ceil_lanes<F>(a); }                     \
  VMRUN_SIMD Vec N##_floor(Vec a) { return detail::floor_lanes<F>(a); }                   \
  VMRUN_SIMD Vec N##_trunc(Vec a) { return detail::trunc_lanes<F>(a); }                   \
  VMRUN_SIMD Vec N##_nearest(Vec a) { return detail::nearest_lanes<F>(a); }               \
  VMRUN_SIMD Vec N##_eq(Vec a, Vec b) { return (Vec)((Lanes<F>)a == (Lanes<F>)b); }       \
  VMRUN_SIMD Vec N##_ne(Vec a, Vec b) { return (Vec)((Lanes<F>)a != (Lanes<F>)b); }       \
  VMRUN_SIMD Vec N##_lt(Vec a, Vec b) { return (Vec)((Lanes<F>)a < (Lanes<F>)b); }        \
  VMRUN_SIMD Vec N##_gt(Vec a, Vec b) { return (Vec)((Lanes<F>)a > (Lanes<F>)b); }        \
  VMRUN_SIMD Vec N##_le(Vec a, Vec b) { return (Vec)((Lanes<F>)a <= (Lanes<F>)b); }       \
  VMRUN_SIMD Vec N##_ge(Vec a, Vec b) { return (Vec)((Lanes<F>)a >= (Lanes<F>)b); }

VMRUN_FLOAT_LANE_OPS(f32x4, float)
VMRUN_FLOAT_LANE_OPS(f64x2, double)
#undef VMRUN_FLOAT_LANE_OPS

VMRUN_SIMD Vec i32x4_trunc_sat_f32x4_s(Vec a) { return detail::trunc_sat_f32x4<int32_t>(a); }
VMRUN_SIMD Vec i32x4_trunc_sat_f32x4_u(Vec a) { return detail::trunc_sat_f32x4<uint32_t>(a); }
VMRUN_SIMD Vec i32x4_trunc_sat_f64x2_s_zero(Vec a) { return detail::trunc_sat_f64x2_zero<int32_t>(a); }
VMRUN_SIMD Vec i32x4_trunc_sat_f64x2_u_zero(Vec a) { return detail::trunc_sat_f64x2_zero<uint32_t>(a); }
VMRUN_SIMD Vec f32x4_convert_i32x4_s(Vec a) { return (Vec) __builtin_convertvector((Lanes<int32_t>)a, Lanes<float>); }
VMRUN_SIMD Vec f32x4_convert_i32x4_u(Vec a) { return (Vec) __builtin_convertvector((Lanes<uint32_t>)a, Lanes<float>); }
VMRUN_SIMD Vec f64x2_convert_low_i32x4_s(Vec a) {
  auto lanes = (Lanes<int32_t>)a;
  return (Vec)Lanes<double>{static_cast<double>(lanes[0]), static_cast<double>(lanes[1])};
}
VMRUN_SIMD Vec f64x2_convert_low_i32x4_u(Vec a) {
  auto lanes = (Lanes<uint32_t>)a;
  return (Vec)Lanes<double>{static_cast<double>(lanes[0]), static_cast<double>(lanes[1])};
}
VMRUN_SIMD Vec f32x4_demote_f64x2_zero(Vec a) {
  auto lanes = (Lanes<double>)a;
  return (Vec)Lanes<float>{static_cast<float>(lanes[0]), static_cast<float>(lanes[1]), 0, 0};
}
VMRUN_SIMD Vec f64x2_promote_low_f32x4(Vec a) {
  auto lanes = (Lanes<float>)a;
  return (Vec)Lanes<double>{static_cast<double>(lanes[0]), static_cast<double>(lanes[1])};
}

}  // namespace vmrun::vm::ops
