// Integer arithmetic, logic, shifts, comparisons and division, by operand locations.
#include "interp/handlers/handlers.h"
#include "interp/handlers/tables.h"
#include "vm/wasm/op_relations.h"

namespace vmrun::interp {

using vm::Op;

namespace {

// B is a location, or kImm for the cell's sign-extended immediate.
template <auto F, int D, int A, int B>
VMRUN_HANDLER binary(VMRUN_PARAMS) {
  using T = typename Signature<decltype(F)>::First;
  T x = VMRUN_GET(T, A, b), y;
  if constexpr (B == kImm) {
    y = static_cast<T>(static_cast<int64_t>(pc->imm));
  } else {
    y = VMRUN_GET(T, B, c);
  }
  VMRUN_SET(D, a, F(x, y));
  VMRUN_NEXT;
}

// The immediate is the left operand.
template <auto F, int D, int B>
VMRUN_HANDLER binary_left(VMRUN_PARAMS) {
  using T = typename Signature<decltype(F)>::First;
  VMRUN_SET(D, a, F(static_cast<T>(static_cast<int64_t>(pc->imm)), VMRUN_GET(T, B, b)));
  VMRUN_NEXT;
}

template <auto F, int D, int A, int B>
VMRUN_HANDLER divide(VMRUN_PARAMS) {
  using T = typename Signature<decltype(F)>::First;
  T x = VMRUN_GET(T, A, b), y, result;
  if constexpr (B == kImm) {
    y = static_cast<T>(static_cast<int64_t>(pc->imm));
    if (y == 0 || y == static_cast<T>(-1)) __builtin_unreachable();  // the emitter never asks for these
  } else {
    y = VMRUN_GET(T, B, c);
  }
  if (vm::TrapCode code = F(x, y, result); VMRUN_UNLIKELY(code != vm::TrapCode::None)) {
    cx->trap = code;
    VMRUN_TAIL(trap_pending);
  }
  VMRUN_SET(D, a, result);
  VMRUN_NEXT;
}

struct BinaryMaker : IntBinaryTable {
  template <int I>
  static constexpr Handler get() {
    constexpr int i = at<Operation<kIntBinaryOps>>(I), d = at<Dest>(I), a = at<OperandA>(I), b = at<OperandBOrImm>(I);
    constexpr Op op = kIntBinaryOps[i];
    if constexpr (b != kImm && (vm::is_greater(op) || (vm::commutes(op) && a > b))) {
      return nullptr;  // normal_int asks for another one
    } else {
      return &binary<vm::kMeaning<op>, d, a, b>;
    }
  }
};
struct DivisionMaker : IntDivisionTable {
  template <int I>
  static constexpr Handler get() {
    constexpr Op op = kIntDivisionOps[at<Operation<kIntDivisionOps>>(I)];
    return &divide<vm::kMeaning<op>, at<Dest>(I), at<OperandA>(I), at<OperandBOrImm>(I)>;
  }
};
struct LeftMaker : IntLeftTable {
  template <int I>
  static constexpr Handler get() {
    return &binary_left<vm::kMeaning<kIntLeftOps[at<Operation<kIntLeftOps>>(I)]>, at<Dest>(I), at<OperandB>(I)>;
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_int_binary, BinaryMaker)
VMRUN_HANDLER_TABLE(vmrun_int_division, DivisionMaker)
VMRUN_HANDLER_TABLE(vmrun_int_left, LeftMaker)

}  // namespace vmrun::interp
