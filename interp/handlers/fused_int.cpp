// Pairs of integer operations, minimum and maximum.
#include "interp/handlers/formulas.h"
#include "interp/handlers/fused_tables.h"
#include "interp/handlers/handlers.h"

namespace vmrun::interp::ir {

namespace {

template <auto F>
using OperandOf = typename Signature<decltype(F)>::First;

template <auto F1, auto F2, int D, int A, int C>
VMRUN_HANDLER imm_then_reg(VMRUN_PARAMS) {
  using T = OperandOf<F1>;
  T k = static_cast<T>(static_cast<int64_t>(static_cast<int16_t>(pc->d)));
  T x = VMRUN_GET(T, A, b), z = VMRUN_GET(T, C, c);
  VMRUN_SET(D, a, rules::imm_then_reg(F1, F2, x, k, z));
  VMRUN_NEXT;
}
template <auto F1, auto F2, int D, int A, int B, int C>
VMRUN_HANDLER reg_then_reg(VMRUN_PARAMS) {
  using T = OperandOf<F1>;
  T x = VMRUN_GET(T, A, b), y = VMRUN_GET(T, B, c), z = VMRUN_GET(T, C, d);
  VMRUN_SET(D, a, rules::reg_then_reg(F1, F2, x, y, z));
  VMRUN_NEXT;
}
template <auto F1, auto F2, int D, int A>
VMRUN_HANDLER imm_then_imm(VMRUN_PARAMS) {
  using T = OperandOf<F1>;
  T x = VMRUN_GET(T, A, b);
  VMRUN_SET(D, a, rules::imm_then_imm(F1, F2, x, static_cast<T>(pc[1].w), static_cast<T>(pc[1].u)));
  VMRUN_NEXT2;
}
template <auto F1, auto F2, int D, int A>
VMRUN_HANDLER xor_pair(VMRUN_PARAMS) {
  using T = OperandOf<F1>;
  T x = VMRUN_GET(T, A, b);
  VMRUN_SET(D, a, rules::xor_pair(F1, F2, x, T{pc->c}, T{pc->d}));
  VMRUN_NEXT;
}

/// The two operations of entry kI of a list of pairs.
template <const auto& kPairs, int kI>
inline constexpr auto kInner = vm::kMeaning<kPairs[kI].o1>;
template <const auto& kPairs, int kI>
inline constexpr auto kOuter = vm::kMeaning<kPairs[kI].o2>;

struct ImmThenRegMaker : ImmThenRegTable {
  template <int I>
  static constexpr Handler get() {
    constexpr int i = at<Operation<kImmThenReg>>(I);
    return &imm_then_reg<kInner<kImmThenReg, i>, kOuter<kImmThenReg, i>, at<Dest>(I), at<OperandA>(I), at<OperandC>(I)>;
  }
};
struct RegThenRegMaker : RegThenRegTable {
  template <int I>
  static constexpr Handler get() {
    constexpr int i = at<Operation<kRegThenReg>>(I), a = at<OperandA>(I), b = at<OperandB>(I);
    if constexpr (vm::commutes(kRegThenReg[i].o1) && a > b) {
      return nullptr;
    } else {
      return &reg_then_reg<kInner<kRegThenReg, i>, kOuter<kRegThenReg, i>, at<Dest>(I), a, b, at<OperandC>(I)>;
    }
  }
};
struct ImmThenImmMaker : ImmThenImmTable {
  template <int I>
  static constexpr Handler get() {
    constexpr int i = at<Operation<kImmThenImm>>(I);
    return &imm_then_imm<kInner<kImmThenImm, i>, kOuter<kImmThenImm, i>, at<Dest>(I), at<OperandA>(I)>;
  }
};
struct XorPairMaker : XorPairTable {
  template <int I>
  static constexpr Handler get() {
    constexpr int i = at<Operation<kXorPair>>(I);
    return &xor_pair<kInner<kXorPair, i>, kOuter<kXorPair, i>, at<Dest>(I), at<OperandA>(I)>;
  }
};

// ---- minimum and maximum -----------------------------------------------------------------------------------------------

template <auto F, int D, int A, int B>
VMRUN_HANDLER min_max(VMRUN_PARAMS) {
  using T = OperandOf<F>;
  T x = VMRUN_GET(T, A, b), y = VMRUN_GET(T, B, c);
  VMRUN_SET(D, a, rules::choose(F, x, y));
  VMRUN_NEXT;
}
struct MinMaxMaker : MinMaxTable {
  template <int I>
  static constexpr Handler get() {
    constexpr vm::Op op = kMinMaxOps[at<Operation<kMinMaxOps>>(I)];
    return &min_max<vm::kMeaning<op>, at<Dest>(I), at<OperandA>(I), at<OperandB>(I)>;
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_imm_then_reg, ImmThenRegMaker)
VMRUN_HANDLER_TABLE(vmrun_reg_then_reg, RegThenRegMaker)
VMRUN_HANDLER_TABLE(vmrun_imm_then_imm, ImmThenImmMaker)
VMRUN_HANDLER_TABLE(vmrun_xor_pair, XorPairMaker)
VMRUN_HANDLER_TABLE(vmrun_min_max, MinMaxMaker)

}  // namespace vmrun::interp::ir
