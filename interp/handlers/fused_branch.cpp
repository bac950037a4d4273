// Counted loops, test-and-branch, moves in pairs, an operation and its return.
#include "interp/handlers/fused_tables.h"
#include "interp/handlers/handlers.h"

namespace vmrun::interp::ir {

namespace {

template <auto F>
using OperandOf = typename Signature<decltype(F)>::First;

// ---- branches ----------------------------------------------------------------------------------------------------------

template <bool kIfZero, bool kBack, int A, int B>
VMRUN_HANDLER branch_test(VMRUN_PARAMS) {
  uint32_t x = VMRUN_GET(uint32_t, A, a), y;
  if constexpr (B == kImm) {
    y = static_cast<uint32_t>(pc[1].u);
  } else {
    y = VMRUN_GET(uint32_t, B, b);
  }
  if (((x & y) == 0) == kIfZero) {
    if constexpr (kBack) {
      VMRUN_BACK_EDGE(pc + pc->imm);
    } else {
      VMRUN_DISPATCH(pc + pc->imm);
    }
  }
  if constexpr (B == kImm) {
    VMRUN_NEXT2;
  } else {
    VMRUN_NEXT;
  }
}
struct BranchTestMaker : BranchTestTable {
  template <int I>
  static constexpr Handler get() {
    return &branch_test<at<IfZero>(I) != 0, at<Back>(I) != 0, at<OperandA>(I), at<OperandBOrImm>(I)>;
  }
};

template <auto F, int A, int B>
VMRUN_HANDLER count_branch(VMRUN_PARAMS) {
  using T = OperandOf<F>;
  T x = static_cast<T>(VMRUN_GET(T, A, a) + static_cast<T>(static_cast<int64_t>(static_cast<int16_t>(pc->b)))), y;
  VMRUN_SET(A, a, x);
  if constexpr (B == kImm) {
    y = static_cast<T>(pc[1].u);
  } else {
    y = VMRUN_GET_OF(T, B, pc[1], a);
  }
  if (F(x, y)) VMRUN_BACK_EDGE(pc + pc->imm);
  VMRUN_NEXT2;
}
struct CountBranchMaker : CountBranchTable {
  template <int I>
  static constexpr Handler get() {
    constexpr vm::Op op = kCountOps[at<Operation<kCountOps>>(I)];
    return &count_branch<vm::kMeaning<op>, at<OperandA>(I), at<OperandBOrImm>(I)>;
  }
};

// ---- moves -------------------------------------------------------------------------------------------------------------

template <int D1, int A1, int D2, int A2>
VMRUN_HANDLER move_move(VMRUN_PARAMS) {
  uint64_t x, y;
  if constexpr (A1 == kImm) {
    x = static_cast<uint32_t>(pc->imm);
  } else {
    x = VMRUN_GET(uint64_t, A1, b);
  }
  VMRUN_SET(D1, a, x);
  if constexpr (A2 == kImm) {
    y = static_cast<uint32_t>(pc[1].imm);
  } else {
    y = VMRUN_GET_OF(uint64_t, A2, pc[1], b);
  }
  VMRUN_SET_OF(D2, pc[1], a, y);
  VMRUN_NEXT2;
}
struct MoveMoveMaker : MoveMoveTable {
  template <int I>
  static constexpr Handler get() {
    return &move_move<at<Dest>(I), at<OperandAOrImm>(I), at<SecondDest>(I), at<SecondAOrImm>(I)>;
  }
};

// ---- returns -----------------------------------------------------------------------------------------------------------

template <auto F, int A, int B>
VMRUN_HANDLER binary_return(VMRUN_PARAMS) {
  using T = OperandOf<F>;
  T x = VMRUN_GET(T, A, b), y;
  if constexpr (B == kImm) {
    y = static_cast<T>(static_cast<int64_t>(pc->imm));
  } else {
    y = VMRUN_GET(T, B, c);
  }
  r0 = F(x, y);
  VMRUN_RETURN;
}
struct BinaryReturnMaker : BinaryReturnTable {
  template <int I>
  static constexpr Handler get() {
    constexpr vm::Op op = kReturnOps[at<Operation<kReturnOps>>(I)];
    return &binary_return<vm::kMeaning<op>, at<OperandA>(I), at<OperandBOrImm>(I)>;
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_branch_test, BranchTestMaker)
VMRUN_HANDLER_TABLE(vmrun_count_branch, CountBranchMaker)
VMRUN_HANDLER_TABLE(vmrun_move_move, MoveMoveMaker)
VMRUN_HANDLER_TABLE(vmrun_binary_return, BinaryReturnMaker)

}  // namespace vmrun::interp::ir
