// Properties of numeric instructions that translation needs: which commute, which compare, which can trap.
#pragma once

#include "vm/opcode.h"

namespace vmrun::interp {

/// Integer operations whose operands may change places.
constexpr bool commutes(vm::Op op) {
  using vm::Op;
  switch (op) {
    case Op::i32_add:
    case Op::i32_mul:
    case Op::i32_and:
    case Op::i32_or:
    case Op::i32_xor:
    case Op::i64_add:
    case Op::i64_mul:
    case Op::i64_and:
    case Op::i64_or:
    case Op::i64_xor:
    case Op::i32_eq:
    case Op::i32_ne:
    case Op::i64_eq:
    case Op::i64_ne: return true;
    default: return false;
  }
}
/// The float ones; which of two NaNs the result takes its payload from is not specified.
constexpr bool float_commutes(vm::Op op) {
  using vm::Op;
  switch (op) {
    case Op::f32_add:
    case Op::f32_mul:
    case Op::f32_eq:
    case Op::f32_ne:
    case Op::f64_add:
    case Op::f64_mul:
    case Op::f64_eq:
    case Op::f64_ne: return true;
    default: return false;
  }
}

constexpr bool is_division(vm::Op op) {
  using vm::Op;
  return (op >= Op::i32_div_s && op <= Op::i32_rem_u) || (op >= Op::i64_div_s && op <= Op::i64_rem_u);
}
constexpr bool is_int_compare(vm::Op op) {
  using vm::Op;
  return (op >= Op::i32_eq && op <= Op::i32_ge_u) || (op >= Op::i64_eq && op <= Op::i64_ge_u);
}
constexpr bool is_float_compare(vm::Op op) {
  using vm::Op;
  return (op >= Op::f32_eq && op <= Op::f32_ge) || (op >= Op::f64_eq && op <= Op::f64_ge);
}

/// The comparison that holds for (b, a) when `op` holds for (a, b); `op` itself if it is none.
constexpr vm::Op mirrored(vm::Op op) {
  using vm::Op;
  switch (op) {
#define VMRUN_MIRROR(x, y)  \
  case Op::x: return Op::y; \
  case Op::y: return Op::x;
    // clang-format off
    VMRUN_MIRROR(i32_lt_s, i32_gt_s) VMRUN_MIRROR(i32_lt_u, i32_gt_u) VMRUN_MIRROR(i32_le_s, i32_ge_s)
    VMRUN_MIRROR(i32_le_u, i32_ge_u) VMRUN_MIRROR(i64_lt_s, i64_gt_s) VMRUN_MIRROR(i64_lt_u, i64_gt_u)
    VMRUN_MIRROR(i64_le_s, i64_ge_s) VMRUN_MIRROR(i64_le_u, i64_ge_u) VMRUN_MIRROR(f32_lt, f32_gt)
    VMRUN_MIRROR(f32_le, f32_ge) VMRUN_MIRROR(f64_lt, f64_gt) VMRUN_MIRROR(f64_le, f64_ge)
    default: return op;
    // clang-format on
  }
}

/// The integer comparison that holds when `op` does not. Floats have none: NaN.
constexpr vm::Op inverted(vm::Op op) {
  using vm::Op;
  switch (op) {
#define VMRUN_INVERT(x, y)  \
  case Op::x: return Op::y; \
  case Op::y: return Op::x;
    // clang-format off
    VMRUN_INVERT(i32_eq, i32_ne) VMRUN_INVERT(i32_lt_s, i32_ge_s) VMRUN_INVERT(i32_lt_u, i32_ge_u)
    VMRUN_INVERT(i32_gt_s, i32_le_s) VMRUN_INVERT(i32_gt_u, i32_le_u)
    VMRUN_INVERT(i64_eq, i64_ne) VMRUN_INVERT(i64_lt_s, i64_ge_s) VMRUN_INVERT(i64_lt_u, i64_ge_u)
    VMRUN_INVERT(i64_gt_s, i64_le_s) VMRUN_INVERT(i64_gt_u, i64_le_u)
    default: return op;
    // clang-format on
  }
}

}  // namespace vmrun::interp
