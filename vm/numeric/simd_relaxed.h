// Relaxed vector instructions. The specification leaves each a choice; ours is the deterministic profile's (WebAssembly
// 3.0, appendix on profiles), the same on every host:
//   swizzle       an index above 15 gives 0            laneselect    bit by bit, as v128.bitselect
//   trunc         saturates, NaN gives 0               min, max      as the strict instructions
//   madd, nmadd   product and sum are rounded          q15mulr       saturates
//   dot           both operands signed, sums wrap
#pragma once

#include "vm/numeric/simd_float.h"
#include "vm/numeric/simd_int.h"

namespace vmrun::vm::ops {

VMRUN_SIMD Vec i8x16_relaxed_swizzle(Vec a, Vec s) { return i8x16_swizzle(a, s); }

VMRUN_SIMD Vec i32x4_relaxed_trunc_f32x4_s(Vec a) { return i32x4_trunc_sat_f32x4_s(a); }
VMRUN_SIMD Vec i32x4_relaxed_trunc_f32x4_u(Vec a) { return i32x4_trunc_sat_f32x4_u(a); }
VMRUN_SIMD Vec i32x4_relaxed_trunc_f64x2_s_zero(Vec a) { return i32x4_trunc_sat_f64x2_s_zero(a); }
VMRUN_SIMD Vec i32x4_relaxed_trunc_f64x2_u_zero(Vec a) { return i32x4_trunc_sat_f64x2_u_zero(a); }

VMRUN_SIMD Vec f32x4_relaxed_madd(Vec a, Vec b, Vec c) { return f32x4_add(f32x4_mul(a, b), c); }
VMRUN_SIMD Vec f32x4_relaxed_nmadd(Vec a, Vec b, Vec c) { return f32x4_add(f32x4_neg(f32x4_mul(a, b)), c); }
VMRUN_SIMD Vec f64x2_relaxed_madd(Vec a, Vec b, Vec c) { return f64x2_add(f64x2_mul(a, b), c); }
VMRUN_SIMD Vec f64x2_relaxed_nmadd(Vec a, Vec b, Vec c) { return f64x2_add(f64x2_neg(f64x2_mul(a, b)), c); }

VMRUN_SIMD Vec i8x16_relaxed_laneselect(Vec a, Vec b, Vec mask) { return v128_bitselect(a, b, mask); }
VMRUN_SIMD Vec i16x8_relaxed_laneselect(Vec a, Vec b, Vec mask) { return v128_bitselect(a, b, mask); }
VMRUN_SIMD Vec i32x4_relaxed_laneselect(Vec a, Vec b, Vec mask) { return v128_bitselect(a, b, mask); }
VMRUN_SIMD Vec i64x2_relaxed_laneselect(Vec a, Vec b, Vec mask) { return v128_bitselect(a, b, mask); }

VMRUN_SIMD Vec f32x4_relaxed_min(Vec a, Vec b) { return f32x4_min(a, b); }
VMRUN_SIMD Vec f32x4_relaxed_max(Vec a, Vec b) { return f32x4_max(a, b); }
VMRUN_SIMD Vec f64x2_relaxed_min(Vec a, Vec b) { return f64x2_min(a, b); }
VMRUN_SIMD Vec f64x2_relaxed_max(Vec a, Vec b) { return f64x2_max(a, b); }

VMRUN_SIMD Vec i16x8_relaxed_q15mulr_s(Vec a, Vec b) { return i16x8_q15mulr_sat_s(a, b); }

VMRUN_SIMD Vec i16x8_relaxed_dot_i8x16_i7x16_s(Vec a, Vec b) {
  auto product = __builtin_convertvector((Lanes<int8_t>)a, WideLanes<int16_t>) *
                 __builtin_convertvector((Lanes<int8_t>)b, WideLanes<int16_t>);
  return (Vec)detail::add_pairs<uint16_t>((WideLanes<uint16_t>)product);
}
VMRUN_SIMD Vec i32x4_relaxed_dot_i8x16_i7x16_add_s(Vec a, Vec b, Vec c) {
  return i32x4_add(i32x4_extadd_pairwise_i16x8_s(i16x8_relaxed_dot_i8x16_i7x16_s(a, b)), c);
}

}  // namespace vmrun::vm::ops
