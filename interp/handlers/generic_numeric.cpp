// Generic handlers of the scalar numeric instructions.
#include "interp/handlers/generic_ops.h"
#include "vm/numeric/numeric.h"

namespace vmrun::interp::generic {

#define PURE(name)                   \
  VMRUN_GENERIC(name) {              \
    compute<&vm::ops::name>(pc, fp); \
    VMRUN_NEXT;                      \
  }
#define TRAPPING(name)                                  \
  VMRUN_GENERIC(name) {                                 \
    VMRUN_TRAP_IF(try_compute<&vm::ops::name>(pc, fp)); \
    VMRUN_NEXT;                                         \
  }

// clang-format off
PURE(i32_eqz) PURE(i32_eq) PURE(i32_ne) PURE(i32_lt_s) PURE(i32_lt_u) PURE(i32_gt_s) PURE(i32_gt_u) PURE(i32_le_s)
PURE(i32_le_u) PURE(i32_ge_s) PURE(i32_ge_u) PURE(i64_eqz) PURE(i64_eq) PURE(i64_ne) PURE(i64_lt_s) PURE(i64_lt_u)
PURE(i64_gt_s) PURE(i64_gt_u) PURE(i64_le_s) PURE(i64_le_u) PURE(i64_ge_s) PURE(i64_ge_u) PURE(f32_eq) PURE(f32_ne)
PURE(f32_lt) PURE(f32_gt) PURE(f32_le) PURE(f32_ge) PURE(f64_eq) PURE(f64_ne) PURE(f64_lt) PURE(f64_gt) PURE(f64_le)
PURE(f64_ge) PURE(i32_clz) PURE(i32_ctz) PURE(i32_popcnt) PURE(i32_add) PURE(i32_sub) PURE(i32_mul) PURE(i32_and)
PURE(i32_or) PURE(i32_xor) PURE(i32_shl) PURE(i32_shr_s) PURE(i32_shr_u) PURE(i32_rotl) PURE(i32_rotr) PURE(i64_clz)
PURE(i64_ctz) PURE(i64_popcnt) PURE(i64_add) PURE(i64_sub) PURE(i64_mul) PURE(i64_and) PURE(i64_or) PURE(i64_xor)
PURE(i64_shl) PURE(i64_shr_s) PURE(i64_shr_u) PURE(i64_rotl) PURE(i64_rotr) PURE(f32_abs) PURE(f32_neg) PURE(f32_ceil)
PURE(f32_floor) PURE(f32_trunc) PURE(f32_nearest) PURE(f32_sqrt) PURE(f32_add) PURE(f32_sub) PURE(f32_mul)
PURE(f32_div) PURE(f32_min) PURE(f32_max) PURE(f32_copysign) PURE(f64_abs) PURE(f64_neg) PURE(f64_ceil)
PURE(f64_floor) PURE(f64_trunc) PURE(f64_nearest) PURE(f64_sqrt) PURE(f64_add) PURE(f64_sub) PURE(f64_mul)
PURE(f64_div) PURE(f64_min) PURE(f64_max) PURE(f64_copysign) PURE(i32_wrap_i64) PURE(i64_extend_i32_s)
PURE(i64_extend_i32_u) PURE(f32_convert_i32_s) PURE(f32_convert_i32_u) PURE(f32_convert_i64_s) PURE(f32_convert_i64_u)
PURE(f32_demote_f64) PURE(f64_convert_i32_s) PURE(f64_convert_i32_u) PURE(f64_convert_i64_s) PURE(f64_convert_i64_u)
PURE(f64_promote_f32) PURE(i32_reinterpret_f32) PURE(i64_reinterpret_f64) PURE(f32_reinterpret_i32)
PURE(f64_reinterpret_i64) PURE(i32_extend8_s) PURE(i32_extend16_s) PURE(i64_extend8_s) PURE(i64_extend16_s)
PURE(i64_extend32_s) PURE(i32_trunc_sat_f32_s) PURE(i32_trunc_sat_f32_u) PURE(i32_trunc_sat_f64_s)
PURE(i32_trunc_sat_f64_u) PURE(i64_trunc_sat_f32_s) PURE(i64_trunc_sat_f32_u) PURE(i64_trunc_sat_f64_s)
PURE(i64_trunc_sat_f64_u)

TRAPPING(i32_div_s) TRAPPING(i32_div_u) TRAPPING(i32_rem_s) TRAPPING(i32_rem_u) TRAPPING(i64_div_s)
TRAPPING(i64_div_u) TRAPPING(i64_rem_s) TRAPPING(i64_rem_u) TRAPPING(i32_trunc_f32_s) TRAPPING(i32_trunc_f32_u)
TRAPPING(i32_trunc_f64_s) TRAPPING(i32_trunc_f64_u) TRAPPING(i64_trunc_f32_s) TRAPPING(i64_trunc_f32_u)
TRAPPING(i64_trunc_f64_s) TRAPPING(i64_trunc_f64_u)
// clang-format on

// Four operands and two results.
#define WIDE_SUM(name)                                                                                                \
  VMRUN_GENERIC(name) {                                                                                               \
    vm::ops::Wide sum = vm::ops::name(get<uint64_t>(fp, pc->b), get<uint64_t>(fp, pc->c), get<uint64_t>(fp, pc[1].a), \
                                      get<uint64_t>(fp, pc[1].b));                                                    \
    put(fp, pc->a, sum.lo);                                                                                           \
    put(fp, pc->d, sum.hi);                                                                                           \
    VMRUN_NEXT2;                                                                                                      \
  }
    // clang-format off
WIDE_SUM(i64_add128)
WIDE_SUM(i64_sub128)
// clang-format on

#define WIDE_PRODUCT(name)                                                                     \
  VMRUN_GENERIC(name) {                                                                        \
    vm::ops::Wide product = vm::ops::name(get<uint64_t>(fp, pc->b), get<uint64_t>(fp, pc->c)); \
    put(fp, pc->a, product.lo);                                                                \
    put(fp, pc->d, product.hi);                                                                \
    VMRUN_NEXT;                                                                                \
  }
    // clang-format off
WIDE_PRODUCT(i64_mul_wide_s)
WIDE_PRODUCT(i64_mul_wide_u)
// clang-format on

}  // namespace vmrun::interp::generic
