// Moves, selects, branches, and compare-and-branch, by operand locations.
#include "interp/handlers/handlers.h"
#include "interp/handlers/tables.h"
#include "vm/wasm/op_relations.h"

namespace vmrun::interp {

using vm::Op;

namespace {

template <int D, int A>
VMRUN_HANDLER move(VMRUN_PARAMS) {
  if constexpr (A == kWide) {
    VMRUN_SET(D, a, pc[1].u);
    VMRUN_NEXT2;
  } else if constexpr (A == kImm) {
    VMRUN_SET(D, a, static_cast<uint32_t>(pc->imm));
    VMRUN_NEXT;
  } else {
    VMRUN_SET(D, a, VMRUN_GET(uint64_t, A, b));
    VMRUN_NEXT;
  }
}
struct MoveMaker : MoveTable {
  template <int I>
  static constexpr Handler get() {
    return &move<at<Dest>(I), at<MoveSource>(I)>;
  }
};

template <int D, int A, int B, int C>
VMRUN_HANDLER select_value(VMRUN_PARAMS) {
  uint64_t x = VMRUN_GET(uint64_t, A, b), y = VMRUN_GET(uint64_t, B, c);
  bool cond = VMRUN_GET(uint32_t, C, d) != 0;
  VMRUN_SET(D, a, cond ? x : y);
  VMRUN_NEXT;
}
struct SelectMaker : SelectTable {
  template <int I>
  static constexpr Handler get() {
    return &select_value<at<Dest>(I), at<OperandA>(I), at<OperandB>(I), at<OperandC>(I)>;
  }
};

template <bool kBack>
VMRUN_HANDLER branch(VMRUN_PARAMS) {
  if constexpr (kBack) {
    VMRUN_BACK_EDGE(pc + pc->imm);
  } else {
    VMRUN_DISPATCH(pc + pc->imm);
  }
}

// B: a location, kImm (field b, signed) or kWide (the next cell).
template <auto F, bool kBack, int A, int B>
VMRUN_HANDLER branch_if(VMRUN_PARAMS) {
  using T = typename Signature<decltype(F)>::First;
  T x = VMRUN_GET(T, A, a), y;
  if constexpr (B == kImm) {
    y = static_cast<T>(static_cast<int64_t>(static_cast<int16_t>(pc->b)));
  } else if constexpr (B == kWide) {
    y = static_cast<T>(pc[1].u);
  } else {
    y = VMRUN_GET(T, B, b);
  }
  if (F(x, y)) {
    if constexpr (kBack) {
      VMRUN_BACK_EDGE(pc + pc->imm);
    } else {
      VMRUN_DISPATCH(pc + pc->imm);
    }
  }
  if constexpr (B == kWide) {
    VMRUN_NEXT2;
  } else {
    VMRUN_NEXT;
  }
}

// gt and ge have constants only.
struct BranchIfMaker : BranchIfTable {
  template <int I>
  static constexpr Handler get() {
    constexpr int a = at<OperandA>(I), b = at<Comparand>(I);
    constexpr Op op = kIntCompareOps[at<Operation<kIntCompareOps>>(I)];
    if constexpr (b < kImm && (vm::is_greater(op) || (vm::commutes(op) && a > b))) {
      return nullptr;
    } else {
      return &branch_if<vm::kMeaning<op>, at<Back>(I) != 0, a, b>;
    }
  }
};

template <auto F, bool kNegate, bool kBack, int A, int B>
VMRUN_HANDLER branch_float(VMRUN_PARAMS) {
  using T = typename Signature<decltype(F)>::First;
  T x = VMRUN_GET(T, A, a), y;
  if constexpr (B == kImm) {
    y = sizeof(T) == 8 ? static_cast<T>(pc[1].f) : std::bit_cast<float>(static_cast<uint32_t>(pc[1].u));
  } else {
    y = VMRUN_GET(T, B, b);
  }
  if ((F(x, y) != 0) != kNegate) {
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

// gt and ge have constants only; ne is the negation of eq.
struct BranchFloatMaker : BranchFloatTable {
  template <int I>
  static constexpr Handler get() {
    constexpr int a = at<OperandA>(I), b = at<OperandBOrImm>(I);
    constexpr Op op = kFloatCompareOps[at<Operation<kFloatCompareOps>>(I)];
    if constexpr (op == Op::f32_ne || op == Op::f64_ne ||
                  (b < kImm && (vm::is_greater(op) || (vm::commutes(op) && a > b)))) {
      return nullptr;
    } else {
      return &branch_float<vm::kMeaning<op>, at<Negate>(I) != 0, at<Back>(I) != 0, a, b>;
    }
  }
};

// Copy keeps the instances apart.
template <int A, int Copy>
VMRUN_HANDLER branch_table(VMRUN_PARAMS) {
  asm volatile("" : : "i"(Copy));
  uint64_t i = VMRUN_GET(uint32_t, A, a), n = static_cast<uint32_t>(pc->imm);
  i = i < n ? i : n;
  VMRUN_DISPATCH(pc + pc[1 + i].imm);
}
struct BranchTableMaker : BranchTableTable {
  template <int I>
  static constexpr Handler get() {
    return &branch_table<at<OperandA>(I), at<TableCopy>(I)>;
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_move, MoveMaker)
VMRUN_HANDLER_TABLE(vmrun_select, SelectMaker)
VMRUN_HANDLER_TABLE(vmrun_branch_if, BranchIfMaker)
VMRUN_HANDLER_TABLE(vmrun_branch_float, BranchFloatMaker)
VMRUN_HANDLER_TABLE(vmrun_branch_table, BranchTableMaker)

Handler select_branch(bool back) { return back ? &branch<true> : &branch<false>; }

}  // namespace vmrun::interp
