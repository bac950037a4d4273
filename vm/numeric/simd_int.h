// Vector instructions on integer lanes. See vm/numeric/simd.h.
#pragma once

#include <cstdint>
#include <limits>

#include "vm/numeric/simd_lanes.h"

namespace vmrun::vm::ops {

namespace detail {

template <class To, class From>
VMRUN_SIMD Vec widen_low(Vec a) {
  using Half = HalfLanes<From>;
  return (Vec) __builtin_convertvector((Half)(((Lanes<uint64_t>)a)[0]), Lanes<To>);
}
template <class To, class From>
VMRUN_SIMD Vec widen_high(Vec a) {
  using Half = HalfLanes<From>;
  return (Vec) __builtin_convertvector((Half)(((Lanes<uint64_t>)a)[1]), Lanes<To>);
}

/// All lanes of a, then all of b.
template <class T>
VMRUN_SIMD WideLanes<T> concat(Vec a, Vec b) {
  return (WideLanes<T>)__builtin_shufflevector((Lanes<uint64_t>)a, (Lanes<uint64_t>)b, 0, 1, 2, 3);
}

template <class To, class From>
VMRUN_SIMD Vec narrow(Vec a, Vec b) {
  WideLanes<From> lanes = concat<From>(a, b);
  lanes = __builtin_elementwise_max(lanes, WideLanes<From>{} + From{std::numeric_limits<To>::min()});
  lanes = __builtin_elementwise_min(lanes, WideLanes<From>{} + From{std::numeric_limits<To>::max()});
  return (Vec) __builtin_convertvector(lanes, Lanes<To>);
}

/// Sums of the even and the odd lane of each pair.
template <class T>
VMRUN_SIMD Lanes<T> add_pairs(WideLanes<T> a) {
  if constexpr (sizeof(T) == 2) {
    return __builtin_shufflevector(a, a, 0, 2, 4, 6, 8, 10, 12, 14) +
           __builtin_shufflevector(a, a, 1, 3, 5, 7, 9, 11, 13, 15);
  } else {
    return __builtin_shufflevector(a, a, 0, 2, 4, 6) + __builtin_shufflevector(a, a, 1, 3, 5, 7);
  }
}

template <class To, class From>
VMRUN_SIMD Vec extadd_pairwise(Vec a) {
  return (Vec)add_pairs<To>(__builtin_convertvector((Lanes<From>)a, WideLanes<To>));
}

template <class T>
VMRUN_SIMD Vec avgr(Vec a, Vec b) {
  using Wide = std::conditional_t<sizeof(T) == 1, uint16_t, uint32_t>;
  auto sum =
      __builtin_convertvector((Lanes<T>)a, WideLanes<Wide>) + __builtin_convertvector((Lanes<T>)b, WideLanes<Wide>) + 1;
  return (Vec) __builtin_convertvector(sum >> 1, Lanes<T>);
}

}  // namespace detail

// N is the shape, U and S the unsigned and signed lane types.
#define VMRUN_LANE_OPS(N, U, S)                                                                                     \
  VMRUN_SIMD Vec N##_add(Vec a, Vec b) { return (Vec)((Lanes<U>)a + (Lanes<U>)b); }                                 \
  VMRUN_SIMD Vec N##_sub(Vec a, Vec b) { return (Vec)((Lanes<U>)a - (Lanes<U>)b); }                                 \
  VMRUN_SIMD Vec N##_neg(Vec a) { return (Vec)(Lanes<U>{} - (Lanes<U>)a); }                                         \
  VMRUN_SIMD Vec N##_abs(Vec a) { return (Vec)__builtin_elementwise_abs((Lanes<S>)a); }                             \
  VMRUN_SIMD uint32_t N##_all_true(Vec a) { return detail::bitmask<S>((Lanes<S>)((Lanes<U>)a == 0)) == 0; }         \
  VMRUN_SIMD uint32_t N##_bitmask(Vec a) { return detail::bitmask<S>((Lanes<S>)a); }                                \
  VMRUN_SIMD Vec N##_shl(Vec a, uint32_t b) { return (Vec)((Lanes<U>)a << static_cast<U>(b % (sizeof(U) * 8))); }   \
  VMRUN_SIMD Vec N##_shr_u(Vec a, uint32_t b) { return (Vec)((Lanes<U>)a >> static_cast<U>(b % (sizeof(U) * 8))); } \
  VMRUN_SIMD Vec N##_shr_s(Vec a, uint32_t b) { return (Vec)((Lanes<S>)a >> static_cast<S>(b % (sizeof(U) * 8))); } \
  VMRUN_SIMD Vec N##_eq(Vec a, Vec b) { return (Vec)((Lanes<U>)a == (Lanes<U>)b); }                                 \
  VMRUN_SIMD Vec N##_ne(Vec a, Vec b) { return (Vec)((Lanes<U>)a != (Lanes<U>)b); }                                 \
  VMRUN_SIMD Vec N##_lt_s(Vec a, Vec b) { return (Vec)((Lanes<S>)a < (Lanes<S>)b); }                                \
  VMRUN_SIMD Vec N##_gt_s(Vec a, Vec b) { return (Vec)((Lanes<S>)a > (Lanes<S>)b); }                                \
  VMRUN_SIMD Vec N##_le_s(Vec a, Vec b) { return (Vec)((Lanes<S>)a <= (Lanes<S>)b); }                               \
  VMRUN_SIMD Vec N##_ge_s(Vec a, Vec b) { return (Vec)((Lanes<S>)a >= (Lanes<S>)b); }

// What 64-bit lanes do not have.
#define VMRUN_NARROW_LANE_OPS(N, U, S)                                                                        \
  VMRUN_SIMD Vec N##_lt_u(Vec a, Vec b) { return (Vec)((Lanes<U>)a < (Lanes<U>)b); }                          \
  VMRUN_SIMD Vec N##_gt_u(Vec a, Vec b) { return (Vec)((Lanes<U>)a > (Lanes<U>)b); }                          \
  VMRUN_SIMD Vec N##_le_u(Vec a, Vec b) { return (Vec)((Lanes<U>)a <= (Lanes<U>)b); }                         \
  VMRUN_SIMD Vec N##_ge_u(Vec a, Vec b) { return (Vec)((Lanes<U>)a >= (Lanes<U>)b); }                         \
  VMRUN_SIMD Vec N##_min_s(Vec a, Vec b) { return (Vec)__builtin_elementwise_min((Lanes<S>)a, (Lanes<S>)b); } \
  VMRUN_SIMD Vec N##_min_u(Vec a, Vec b) { return (Vec)__builtin_elementwise_min((Lanes<U>)a, (Lanes<U>)b); } \
  VMRUN_SIMD Vec N##_max_s(Vec a, Vec b) { return (Vec)__builtin_elementwise_max((Lanes<S>)a, (Lanes<S>)b); } \
  VMRUN_SIMD Vec N##_max_u(Vec a, Vec b) { return (Vec)__builtin_elementwise_max((Lanes<U>)a, (Lanes<U>)b); }

// What 8-bit and 16-bit lanes have.
#define VMRUN_SMALL_LANE_OPS(N, U, S)                                                                                 \
  VMRUN_SIMD Vec N##_add_sat_s(Vec a, Vec b) { return (Vec)__builtin_elementwise_add_sat((Lanes<S>)a, (Lanes<S>)b); } \
  VMRUN_SIMD Vec N##_add_sat_u(Vec a, Vec b) { return (Vec)__builtin_elementwise_add_sat((Lanes<U>)a, (Lanes<U>)b); } \
  VMRUN_SIMD Vec N##_sub_sat_s(Vec a, Vec b) { return (Vec)__builtin_elementwise_sub_sat((Lanes<S>)a, (Lanes<S>)b); } \
  VMRUN_SIMD Vec N##_sub_sat_u(Vec a, Vec b) { return (Vec)__builtin_elementwise_sub_sat((Lanes<U>)a, (Lanes<U>)b); } \
  VMRUN_SIMD Vec N##_avgr_u(Vec a, Vec b) { return detail::avgr<U>(a, b); }

// N is the wide shape, M the narrow one, and the lane types of both.
#define VMRUN_WIDENING_OPS(N, M, WU, WS, NU, NS)                                                       \
  VMRUN_SIMD Vec N##_extend_low_##M##_s(Vec a) { return detail::widen_low<WS, NS>(a); }                \
  VMRUN_SIMD Vec N##_extend_low_##M##_u(Vec a) { return detail::widen_low<WU, NU>(a); }                \
  VMRUN_SIMD Vec N##_extend_high_##M##_s(Vec a) { return detail::widen_high<WS, NS>(a); }              \
  VMRUN_SIMD Vec N##_extend_high_##M##_u(Vec a) { return detail::widen_high<WU, NU>(a); }              \
  VMRUN_SIMD Vec N##_extmul_low_##M##_s(Vec a, Vec b) {                                                \
    return (Vec)((Lanes<WU>)detail::widen_low<WS, NS>(a) * (Lanes<WU>)detail::widen_low<WS, NS>(b));   \
  }                                                                                                    \
  VMRUN_SIMD Vec N##_extmul_low_##M##_u(Vec a, Vec b) {                                                \
    return (Vec)((Lanes<WU>)detail::widen_low<WU, NU>(a) * (Lanes<WU>)detail::widen_low<WU, NU>(b));   \
  }                                                                                                    \
  VMRUN_SIMD Vec N##_extmul_high_##M##_s(Vec a, Vec b) {                                               \
    return (Vec)((Lanes<WU>)detail::widen_high<WS, NS>(a) * (Lanes<WU>)detail::widen_high<WS, NS>(b)); \
  }                                                                                                    \
  VMRUN_SIMD Vec N##_extmul_high_##M##_u(Vec a, Vec b) {                                               \
    return (Vec)((Lanes<WU>)detail::widen_high<WU, NU>(a) * (Lanes<WU>)detail::widen_high<WU, NU>(b)); \
  }

VMRUN_LANE_OPS(i8x16, uint8_t, int8_t)
VMRUN_LANE_OPS(i16x8, uint16_t, int16_t)
VMRUN_LANE_OPS(i32x4, uint32_t, int32_t)
VMRUN_LANE_OPS(i64x2, uint64_t, int64_t)
VMRUN_NARROW_LANE_OPS(i8x16, uint8_t, int8_t)
VMRUN_NARROW_LANE_OPS(i16x8, uint16_t, int16_t)
VMRUN_NARROW_LANE_OPS(i32x4, uint32_t, int32_t)
VMRUN_SMALL_LANE_OPS(i8x16, uint8_t, int8_t)
VMRUN_SMALL_LANE_OPS(i16x8, uint16_t, int16_t)
VMRUN_WIDENING_OPS(i16x8, i8x16, uint16_t, int16_t, uint8_t, int8_t)
VMRUN_WIDENING_OPS(i32x4, i16x8, uint32_t, int32_t, uint16_t, int16_t)
VMRUN_WIDENING_OPS(i64x2, i32x4, uint64_t, int64_t, uint32_t, int32_t)

#undef VMRUN_LANE_OPS
#undef VMRUN_NARROW_LANE_OPS
#undef VMRUN_SMALL_LANE_OPS
#undef VMRUN_WIDENING_OPS

VMRUN_SIMD Vec i16x8_mul(Vec a, Vec b) { return (Vec)((Lanes<uint16_t>)a * (Lanes<uint16_t>)b); }
VMRUN_SIMD Vec i32x4_mul(Vec a, Vec b) { return (Vec)((Lanes<uint32_t>)a * (Lanes<uint32_t>)b); }
VMRUN_SIMD Vec i64x2_mul(Vec a, Vec b) { return (Vec)((Lanes<uint64_t>)a * (Lanes<uint64_t>)b); }

VMRUN_SIMD Vec i8x16_popcnt(Vec a) { return __builtin_elementwise_popcount(a); }

VMRUN_SIMD Vec i8x16_narrow_i16x8_s(Vec a, Vec b) { return detail::narrow<int8_t, int16_t>(a, b); }
VMRUN_SIMD Vec i8x16_narrow_i16x8_u(Vec a, Vec b) { return detail::narrow<uint8_t, int16_t>(a, b); }
VMRUN_SIMD Vec i16x8_narrow_i32x4_s(Vec a, Vec b) { return detail::narrow<int16_t, int32_t>(a, b); }
VMRUN_SIMD Vec i16x8_narrow_i32x4_u(Vec a, Vec b) { return detail::narrow<uint16_t, int32_t>(a, b); }

VMRUN_SIMD Vec i16x8_extadd_pairwise_i8x16_s(Vec a) { return detail::extadd_pairwise<int16_t, int8_t>(a); }
VMRUN_SIMD Vec i16x8_extadd_pairwise_i8x16_u(Vec a) { return detail::extadd_pairwise<uint16_t, uint8_t>(a); }
VMRUN_SIMD Vec i32x4_extadd_pairwise_i16x8_s(Vec a) { return detail::extadd_pairwise<int32_t, int16_t>(a); }
VMRUN_SIMD Vec i32x4_extadd_pairwise_i16x8_u(Vec a) { return detail::extadd_pairwise<uint32_t, uint16_t>(a); }

VMRUN_SIMD Vec i32x4_dot_i16x8_s(Vec a, Vec b) {
  // The one sum that overflows, of two products of -2^15 by itself, wraps: hence unsigned.
  auto product = __builtin_convertvector((Lanes<int16_t>)a, WideLanes<int32_t>) *
                 __builtin_convertvector((Lanes<int16_t>)b, WideLanes<int32_t>);
  return (Vec)detail::add_pairs<uint32_t>((WideLanes<uint32_t>)product);
}

VMRUN_SIMD Vec i16x8_q15mulr_sat_s(Vec a, Vec b) {
  auto product = __builtin_convertvector((Lanes<int16_t>)a, WideLanes<int32_t>) *
                 __builtin_convertvector((Lanes<int16_t>)b, WideLanes<int32_t>);
  auto rounded = (product + 0x4000) >> 15;
  return (Vec) __builtin_convertvector(__builtin_elementwise_min(rounded, WideLanes<int32_t>{} + 0x7fff),
                                       Lanes<int16_t>);
}

}  // namespace vmrun::vm::ops
