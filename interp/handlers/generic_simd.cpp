// Generic handlers of the vector instructions that do not access memory.
#include "interp/handlers/generic_ops.h"
#include "vm/numeric/simd.h"

namespace vmrun::interp::generic {

#define PURE(name)                   \
  VMRUN_GENERIC(name) {              \
    compute<&vm::ops::name>(pc, fp); \
    VMRUN_NEXT;                      \
  }
// clang-format off
PURE(i8x16_swizzle) PURE(i8x16_splat) PURE(i16x8_splat) PURE(i32x4_splat) PURE(i64x2_splat) PURE(f32x4_splat)
PURE(f64x2_splat) PURE(i8x16_eq) PURE(i8x16_ne) PURE(i8x16_lt_s) PURE(i8x16_lt_u) PURE(i8x16_gt_s) PURE(i8x16_gt_u)
PURE(i8x16_le_s) PURE(i8x16_le_u) PURE(i8x16_ge_s) PURE(i8x16_ge_u) PURE(i16x8_eq) PURE(i16x8_ne) PURE(i16x8_lt_s)
PURE(i16x8_lt_u) PURE(i16x8_gt_s) PURE(i16x8_gt_u) PURE(i16x8_le_s) PURE(i16x8_le_u) PURE(i16x8_ge_s) PURE(i16x8_ge_u)
PURE(i32x4_eq) PURE(i32x4_ne) PURE(i32x4_lt_s) PURE(i32x4_lt_u) PURE(i32x4_gt_s) PURE(i32x4_gt_u) PURE(i32x4_le_s)
PURE(i32x4_le_u) PURE(i32x4_ge_s) PURE(i32x4_ge_u) PURE(f32x4_eq) PURE(f32x4_ne) PURE(f32x4_lt) PURE(f32x4_gt)
PURE(f32x4_le) PURE(f32x4_ge) PURE(f64x2_eq) PURE(f64x2_ne) PURE(f64x2_lt) PURE(f64x2_gt) PURE(f64x2_le)
PURE(f64x2_ge) PURE(v128_not) PURE(v128_and) PURE(v128_andnot) PURE(v128_or) PURE(v128_xor) PURE(v128_bitselect)
PURE(v128_any_true) PURE(f32x4_demote_f64x2_zero) PURE(f64x2_promote_low_f32x4) PURE(i8x16_abs) PURE(i8x16_neg)
PURE(i8x16_popcnt) PURE(i8x16_all_true) PURE(i8x16_bitmask) PURE(i8x16_narrow_i16x8_s) PURE(i8x16_narrow_i16x8_u)
PURE(f32x4_ceil) PURE(f32x4_floor) PURE(f32x4_trunc) PURE(f32x4_nearest) PURE(i8x16_shl) PURE(i8x16_shr_s)
PURE(i8x16_shr_u) PURE(i8x16_add) PURE(i8x16_add_sat_s) PURE(i8x16_add_sat_u) PURE(i8x16_sub) PURE(i8x16_sub_sat_s)
PURE(i8x16_sub_sat_u) PURE(f64x2_ceil) PURE(f64x2_floor) PURE(i8x16_min_s) PURE(i8x16_min_u) PURE(i8x16_max_s)
PURE(i8x16_max_u) PURE(f64x2_trunc) PURE(i8x16_avgr_u) PURE(i16x8_extadd_pairwise_i8x16_s)
PURE(i16x8_extadd_pairwise_i8x16_u) PURE(i32x4_extadd_pairwise_i16x8_s) PURE(i32x4_extadd_pairwise_i16x8_u)
PURE(i16x8_abs) PURE(i16x8_neg) PURE(i16x8_q15mulr_sat_s) PURE(i16x8_all_true) PURE(i16x8_bitmask)
PURE(i16x8_narrow_i32x4_s) PURE(i16x8_narrow_i32x4_u) PURE(i16x8_extend_low_i8x16_s) PURE(i16x8_extend_high_i8x16_s)
PURE(i16x8_extend_low_i8x16_u) PURE(i16x8_extend_high_i8x16_u) PURE(i16x8_shl) PURE(i16x8_shr_s) PURE(i16x8_shr_u)
PURE(i16x8_add) PURE(i16x8_add_sat_s) PURE(i16x8_add_sat_u) PURE(i16x8_sub) PURE(i16x8_sub_sat_s)
PURE(i16x8_sub_sat_u) PURE(f64x2_nearest) PURE(i16x8_mul) PURE(i16x8_min_s) PURE(i16x8_min_u) PURE(i16x8_max_s)
PURE(i16x8_max_u) PURE(i16x8_avgr_u) PURE(i16x8_extmul_low_i8x16_s) PURE(i16x8_extmul_high_i8x16_s)
PURE(i16x8_extmul_low_i8x16_u) PURE(i16x8_extmul_high_i8x16_u) PURE(i32x4_abs) PURE(i32x4_neg) PURE(i32x4_all_true)
PURE(i32x4_bitmask) PURE(i32x4_extend_low_i16x8_s) PURE(i32x4_extend_high_i16x8_s) PURE(i32x4_extend_low_i16x8_u)
PURE(i32x4_extend_high_i16x8_u) PURE(i32x4_shl) PURE(i32x4_shr_s) PURE(i32x4_shr_u) PURE(i32x4_add) PURE(i32x4_sub)
PURE(i32x4_mul) PURE(i32x4_min_s) PURE(i32x4_min_u) PURE(i32x4_max_s) PURE(i32x4_max_u) PURE(i32x4_dot_i16x8_s)
PURE(i32x4_extmul_low_i16x8_s) PURE(i32x4_extmul_high_i16x8_s) PURE(i32x4_extmul_low_i16x8_u)
PURE(i32x4_extmul_high_i16x8_u) PURE(i64x2_abs) PURE(i64x2_neg) PURE(i64x2_all_true) PURE(i64x2_bitmask)
PURE(i64x2_extend_low_i32x4_s) PURE(i64x2_extend_high_i32x4_s) PURE(i64x2_extend_low_i32x4_u)
PURE(i64x2_extend_high_i32x4_u) PURE(i64x2_shl) PURE(i64x2_shr_s) PURE(i64x2_shr_u) PURE(i64x2_add) PURE(i64x2_sub)
PURE(i64x2_mul) PURE(i64x2_eq) PURE(i64x2_ne) PURE(i64x2_lt_s) PURE(i64x2_gt_s) PURE(i64x2_le_s) PURE(i64x2_ge_s)
PURE(i64x2_extmul_low_i32x4_s) PURE(i64x2_extmul_high_i32x4_s) PURE(i64x2_extmul_low_i32x4_u)
PURE(i64x2_extmul_high_i32x4_u) PURE(f32x4_abs) PURE(f32x4_neg) PURE(f32x4_sqrt) PURE(f32x4_add) PURE(f32x4_sub)
PURE(f32x4_mul) PURE(f32x4_div) PURE(f32x4_min) PURE(f32x4_max) PURE(f32x4_pmin) PURE(f32x4_pmax) PURE(f64x2_abs)
PURE(f64x2_neg) PURE(f64x2_sqrt) PURE(f64x2_add) PURE(f64x2_sub) PURE(f64x2_mul) PURE(f64x2_div) PURE(f64x2_min)
PURE(f64x2_max) PURE(f64x2_pmin) PURE(f64x2_pmax) PURE(i32x4_trunc_sat_f32x4_s) PURE(i32x4_trunc_sat_f32x4_u)
PURE(f32x4_convert_i32x4_s) PURE(f32x4_convert_i32x4_u) PURE(i32x4_trunc_sat_f64x2_s_zero)
PURE(i32x4_trunc_sat_f64x2_u_zero) PURE(f64x2_convert_low_i32x4_s) PURE(f64x2_convert_low_i32x4_u)
PURE(i8x16_relaxed_swizzle) PURE(i32x4_relaxed_trunc_f32x4_s) PURE(i32x4_relaxed_trunc_f32x4_u)
PURE(i32x4_relaxed_trunc_f64x2_s_zero) PURE(i32x4_relaxed_trunc_f64x2_u_zero) PURE(f32x4_relaxed_madd)
PURE(f32x4_relaxed_nmadd) PURE(f64x2_relaxed_madd) PURE(f64x2_relaxed_nmadd) PURE(i8x16_relaxed_laneselect)
PURE(i16x8_relaxed_laneselect) PURE(i32x4_relaxed_laneselect) PURE(i64x2_relaxed_laneselect) PURE(f32x4_relaxed_min)
PURE(f32x4_relaxed_max) PURE(f64x2_relaxed_min) PURE(f64x2_relaxed_max) PURE(i16x8_relaxed_q15mulr_s)
PURE(i16x8_relaxed_dot_i8x16_i7x16_s) PURE(i32x4_relaxed_dot_i8x16_i7x16_add_s)
// clang-format on

#define EXTRACT(name)                                          \
  VMRUN_GENERIC(name) {                                        \
    put(fp, pc->a, vm::ops::name(get<Vec>(fp, pc->b), pc->d)); \
    VMRUN_NEXT;                                                \
  }
    // clang-format off
EXTRACT(i8x16_extract_lane_s) EXTRACT(i8x16_extract_lane_u) EXTRACT(i16x8_extract_lane_s) EXTRACT(i16x8_extract_lane_u)
EXTRACT(i32x4_extract_lane) EXTRACT(i64x2_extract_lane) EXTRACT(f32x4_extract_lane) EXTRACT(f64x2_extract_lane)
// clang-format on

#define REPLACE(name, type)                                                          \
  VMRUN_GENERIC(name) {                                                              \
    put(fp, pc->a, vm::ops::name(get<Vec>(fp, pc->b), get<type>(fp, pc->c), pc->d)); \
    VMRUN_NEXT;                                                                      \
  }
    // clang-format off
REPLACE(i8x16_replace_lane, uint32_t)
REPLACE(i16x8_replace_lane, uint32_t)
REPLACE(i32x4_replace_lane, uint32_t)
REPLACE(i64x2_replace_lane, uint64_t)
REPLACE(f32x4_replace_lane, float)
REPLACE(f64x2_replace_lane, double)
    // clang-format on

    VMRUN_GENERIC(v128_const) {
  put(fp, pc->a, std::bit_cast<Vec>(pc[1]));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(i8x16_shuffle) {
  put(fp, pc->a, vm::ops::i8x16_shuffle(get<Vec>(fp, pc->b), get<Vec>(fp, pc->c), std::bit_cast<Vec>(pc[1])));
  VMRUN_NEXT2;
}

}  // namespace vmrun::interp::generic
