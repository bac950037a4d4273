// Moves, selects, branches, and compare-and-branch, by operand locations.
#include "interp/handlers.h"
#include "interp/select.h"
#include "vm/op_relations.h"

namespace vmrun::interp {

using vm::Family;
using vm::Op;

namespace {

template <int D, int A>
VMRUN_HANDLER move(VMRUN_PARAMS) {
  if constexpr (A == kWideLoc) {
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
struct MoveGen {
  static constexpr int kSize = kLocs * 7;
  template <int I>
  static constexpr Handler get() {
    return &move<I / 7, I % 7>;
  }
};

template <int D, int A, int B, int C>
VMRUN_HANDLER select_value(VMRUN_PARAMS) {
  uint64_t x = VMRUN_GET(uint64_t, A, b), y = VMRUN_GET(uint64_t, B, c);
  bool cond = VMRUN_GET(uint32_t, C, d) != 0;
  VMRUN_SET(D, a, cond ? x : y);
  VMRUN_NEXT;
}
struct SelectGen {
  static constexpr int kSize = kLocs * kLocs * kLocs * kLocs;
  template <int I>
  static constexpr Handler get() {
    return &select_value<I / 125, I / 25 % 5, I / 5 % 5, I % 5>;
  }
};

template <bool Back>
VMRUN_HANDLER branch(VMRUN_PARAMS) {
  if constexpr (Back) {
    VMRUN_BACK_EDGE(pc + pc->imm);
  } else {
    VMRUN_DISPATCH(pc + pc->imm);
  }
}

// B: a location, kImm (field b, signed) or kWideLoc (the next cell).
template <auto F, bool Back, int A, int B>
VMRUN_HANDLER branch_if(VMRUN_PARAMS) {
  using T = typename Signature<decltype(F)>::First;
  T x = VMRUN_GET(T, A, a), y;
  if constexpr (B == kImm) {
    y = static_cast<T>(static_cast<int64_t>(static_cast<int16_t>(pc->b)));
  } else if constexpr (B == kWideLoc) {
    y = static_cast<T>(pc[1].u);
  } else {
    y = VMRUN_GET(T, B, b);
  }
  if (F(x, y)) {
    if constexpr (Back) {
      VMRUN_BACK_EDGE(pc + pc->imm);
    } else {
      VMRUN_DISPATCH(pc + pc->imm);
    }
  }
  if constexpr (B == kWideLoc) {
    VMRUN_NEXT2;
  } else {
    VMRUN_NEXT;
  }
}

constexpr const auto& kCompareOps = kOpsOf<Family::int_compare>;
using CompareFunctions = FunctionsOf<kCompareOps>;
constexpr auto kCompareIndex = make_op_index(kCompareOps);

// Index: ((op * 2 + back) * A + a) * 7 + b. gt and ge have constants only.
struct BranchIfGen {
  static constexpr int kSize = CompareFunctions::kCount * 2 * kLocs * 7;
  template <int I>
  static constexpr Handler get() {
    constexpr int place = I / 70, a = I / 7 % kLocs, b = I % 7;
    constexpr Op op = kCompareOps[place];
    if constexpr (b < kImm && (vm::is_greater(op) || (vm::commutes(op) && a > b))) {
      return nullptr;
    } else {
      return &branch_if<CompareFunctions::at<place>, I / 35 % 2 != 0, a, b>;
    }
  }
};

template <auto F, bool Negate, bool Back, int A, int B>
VMRUN_HANDLER branch_float(VMRUN_PARAMS) {
  using T = typename Signature<decltype(F)>::First;
  T x = VMRUN_GET(T, A, a), y;
  if constexpr (B == kImm) {
    y = sizeof(T) == 8 ? static_cast<T>(pc[1].f) : std::bit_cast<float>(static_cast<uint32_t>(pc[1].u));
  } else {
    y = VMRUN_GET(T, B, b);
  }
  if ((F(x, y) != 0) != Negate) {
    if constexpr (Back) {
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
constexpr const auto& kFloatCompareOps = kOpsOf<Family::float_compare>;
using FloatCompareFunctions = FunctionsOf<kFloatCompareOps>;
constexpr auto kFloatCompareIndex = make_op_index(kFloatCompareOps);

// Index: (((op * 2 + negate) * 2 + back) * A + a) * 6 + b. gt and ge have constants only; ne is the negation of eq.
struct BranchFloatGen {
  static constexpr int kSize = FloatCompareFunctions::kCount * 4 * kLocs * 6;
  template <int I>
  static constexpr Handler get() {
    constexpr int place = I / 120, a = I / 6 % kLocs, b = I % 6;
    constexpr Op op = kFloatCompareOps[place];
    if constexpr (op == Op::f32_ne || op == Op::f64_ne ||
                  (b < kImm && (vm::is_greater(op) || (vm::commutes(op) && a > b)))) {
      return nullptr;
    } else {
      return &branch_float<FloatCompareFunctions::at<place>, I / 60 % 2 != 0, I / 30 % 2 != 0, a, b>;
    }
  }
};

constexpr int kTableCopies = 16;

// Copy keeps the instances apart.
template <int A, int Copy>
VMRUN_HANDLER branch_table(VMRUN_PARAMS) {
  asm volatile("" : : "i"(Copy));
  uint64_t i = VMRUN_GET(uint32_t, A, a), n = static_cast<uint32_t>(pc->imm);
  i = i < n ? i : n;
  VMRUN_DISPATCH(pc + pc[1 + i].imm);
}
struct BranchTableGen {
  static constexpr int kSize = kLocs * kTableCopies;
  template <int I>
  static constexpr Handler get() {
    return &branch_table<I % kLocs, I / kLocs>;
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_move, MoveGen)
VMRUN_HANDLER_TABLE(vmrun_select, SelectGen)
VMRUN_HANDLER_TABLE(vmrun_branch_if, BranchIfGen)
VMRUN_HANDLER_TABLE(vmrun_branch_float, BranchFloatGen)
VMRUN_HANDLER_TABLE(vmrun_branch_table, BranchTableGen)

Handler select_move(int d, int a) { return lookup_vmrun_move(d * 7 + a); }

Handler select_select(int d, int a, int b, int c) {
  return lookup_vmrun_select(((d * kLocs + a) * kLocs + b) * kLocs + c);
}

Handler select_branch(bool back) { return back ? &branch<true> : &branch<false>; }

Handler select_branch_if(Op op, bool back, int a, int b) {
  int i = kCompareIndex[static_cast<size_t>(op)];
  return i < 0 ? nullptr : lookup_vmrun_branch_if(((i * 2 + back) * kLocs + a) * 7 + b);
}

Handler select_branch_float(Op op, bool negate, bool back, int a, int b) {
  int i = kFloatCompareIndex[static_cast<size_t>(op)];
  return i < 0 ? nullptr : lookup_vmrun_branch_float((((i * 2 + negate) * 2 + back) * kLocs + a) * 6 + b);
}

Handler select_br_table(int a) {
  // Racing translations may get the same copy; that costs nothing but a shared predictor entry.
  static std::atomic<unsigned> next{0};
  return lookup_vmrun_branch_table(
      static_cast<int>(next.fetch_add(1, std::memory_order_relaxed) % kTableCopies) * kLocs + a);
}

}  // namespace vmrun::interp
