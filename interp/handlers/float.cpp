// Float arithmetic, comparisons, moves and selects, by operand locations. An f32 lives in the low half of a register.
#include "interp/handlers/handlers.h"
#include "interp/handlers/tables.h"
#include "vm/wasm/op_relations.h"

namespace vmrun::interp {

using vm::Op;

namespace {

template <class T>
[[gnu::always_inline]] inline T wide_constant(const Cell& cell) {
  if constexpr (sizeof(T) == 8) {
    return cell.f;
  } else {
    return std::bit_cast<float>(static_cast<uint32_t>(cell.u));
  }
}

// Arithmetic and comparisons alike: the function's result type says which file the destination is in. A constant, on
// either side, is the next cell.
template <auto F, int D, int A, int B>
VMRUN_HANDLER float_binary(VMRUN_PARAMS) {
  using T = typename Signature<decltype(F)>::First;
  T x, y;
  if constexpr (A == kImm) {
    x = wide_constant<T>(pc[1]);
  } else {
    x = VMRUN_GET(T, A, b);
  }
  if constexpr (B == kImm) {
    y = wide_constant<T>(pc[1]);
  } else {
    y = VMRUN_GET(T, B, c);
  }
  VMRUN_SET(D, a, F(x, y));
  if constexpr (A == kImm || B == kImm) {
    VMRUN_NEXT2;
  } else {
    VMRUN_NEXT;
  }
}

/// Whether there are handlers with a constant on the left.
constexpr bool takes_left_constant(Op op) {
  return op == Op::f32_sub || op == Op::f32_div || op == Op::f64_sub || op == Op::f64_div;
}

struct BinaryMaker : FloatBinaryTable {
  template <int I>
  static constexpr bool exists() {
    constexpr int a = at<OperandAOrImm>(I), b = at<OperandBOrImm>(I);
    constexpr Op op = kFloatBinaryOps[at<Operation<kFloatBinaryOps>>(I)];
    if (a == kImm) return takes_left_constant(op) && b != kImm;
    return b == kImm || !(vm::is_greater(op) || (vm::commutes(op) && a > b));
  }
  template <int I>
  static constexpr Handler get() {
    if constexpr (exists<I>()) {
      constexpr Op op = kFloatBinaryOps[at<Operation<kFloatBinaryOps>>(I)];
      return &float_binary<vm::kMeaning<op>, at<Dest>(I), at<OperandAOrImm>(I), at<OperandBOrImm>(I)>;
    } else {
      return nullptr;
    }
  }
};

template <int D, int A>
VMRUN_HANDLER float_move(VMRUN_PARAMS) {
  if constexpr (A == kImm) {
    VMRUN_SET(D, a, pc[1].f);
    VMRUN_NEXT2;
  } else {
    VMRUN_SET(D, a, VMRUN_GET(double, A, b));
    VMRUN_NEXT;
  }
}
struct MoveMaker : FloatMoveTable {
  template <int I>
  static constexpr Handler get() {
    return &float_move<at<Dest>(I), at<OperandAOrImm>(I)>;
  }
};

template <int D, int A, int B, int C>
VMRUN_HANDLER float_select(VMRUN_PARAMS) {
  double x = VMRUN_GET(double, A, b), y = VMRUN_GET(double, B, c);
  bool cond = VMRUN_GET(uint32_t, C, d) != 0;
  VMRUN_SET(D, a, cond ? x : y);
  VMRUN_NEXT;
}
struct SelectMaker : FloatSelectTable {
  template <int I>
  static constexpr Handler get() {
    return &float_select<at<Dest>(I), at<OperandA>(I), at<OperandB>(I), at<OperandC>(I)>;
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_float_binary, BinaryMaker)
VMRUN_HANDLER_TABLE(vmrun_float_move, MoveMaker)
VMRUN_HANDLER_TABLE(vmrun_float_select, SelectMaker)

}  // namespace vmrun::interp
