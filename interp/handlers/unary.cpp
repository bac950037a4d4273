// Numeric instructions with one operand: counts, extensions, conversions, truncations, rounding, by operand locations.
#include "interp/handlers/handlers.h"
#include "interp/handlers/tables.h"

namespace vmrun::interp {

using vm::Op;

namespace {

template <auto F, int D, int A>
VMRUN_HANDLER unary(VMRUN_PARAMS) {
  using T = typename Signature<decltype(F)>::First;
  VMRUN_SET(D, a, F(VMRUN_GET(T, A, b)));
  VMRUN_NEXT;
}

// A conversion that can trap: the function leaves its result by reference.
template <class F>
struct Trapping;
template <class A, class R>
struct Trapping<vm::TrapCode (*)(A, R&)> {
  using First = A;
  using Result = R;
};
template <auto F, int D, int A>
VMRUN_HANDLER trapping_unary(VMRUN_PARAMS) {
  using Types = Trapping<decltype(F)>;
  typename Types::Result result;
  if (vm::TrapCode code = F(VMRUN_GET(typename Types::First, A, b), result);
      VMRUN_UNLIKELY(code != vm::TrapCode::None)) {
    cx->trap = code;
    VMRUN_TAIL(trap_pending);
  }
  VMRUN_SET(D, a, result);
  VMRUN_NEXT;
}

struct UnaryMaker : UnaryTable {
  template <int I>
  static constexpr Handler get() {
    constexpr Op op = kUnaryOps[at<Operation<kUnaryOps>>(I)];
    if constexpr (vm::op_info(op).can_trap()) {
      return &trapping_unary<vm::kMeaning<op>, at<Dest>(I), at<OperandA>(I)>;
    } else {
      return &unary<vm::kMeaning<op>, at<Dest>(I), at<OperandA>(I)>;
    }
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_unary, UnaryMaker)

}  // namespace vmrun::interp
