// Numeric instructions with one operand: counts, extensions, conversions, truncations, rounding, by operand locations.
#include "interp/handlers.h"
#include "interp/select.h"

namespace vmrun::interp {

using vm::Family;
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

constexpr const auto& kOps = kOpsOf<Family::int_test, Family::int_unary, Family::float_unary, Family::convert>;
using UnaryFunctions = FunctionsOf<kOps>;
constexpr auto kIndex = make_op_index(kOps);

struct UnaryGen {
  static constexpr int kSize = UnaryFunctions::kCount * 25;
  template <int I>
  static constexpr Handler get() {
    constexpr int op = I / 25;
    if constexpr (vm::op_info(kOps[op]).can_trap()) {
      return &trapping_unary<UnaryFunctions::at<op>, I / 5 % 5, I % 5>;
    } else {
      return &unary<UnaryFunctions::at<op>, I / 5 % 5, I % 5>;
    }
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_unary, UnaryGen)

Handler select_unary(Op op, int d, int a) {
  int i = kIndex[static_cast<size_t>(op)];
  return i < 0 ? nullptr : lookup_vmrun_unary((i * kLocs + d) * kLocs + a);
}

}  // namespace vmrun::interp
