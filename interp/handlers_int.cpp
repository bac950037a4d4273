// Integer arithmetic, logic, shifts, comparisons and division, by operand locations.
#include "interp/handlers.h"
#include "interp/select.h"
#include "vm/op_relations.h"

namespace vmrun::interp {

using vm::Family;
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

constexpr const auto& kBinaryOps = kOpsOf<Family::int_binary, Family::int_compare>;
using BinaryFunctions = FunctionsOf<kBinaryOps>;
constexpr const auto& kDivisionOps = kOpsOf<Family::int_divide>;
using DivisionFunctions = FunctionsOf<kDivisionOps>;

constexpr auto kBinaryIndex = make_op_index(kBinaryOps);
constexpr auto kDivisionIndex = make_op_index(kDivisionOps);

// Index: ((op * D + d) * A + a) * B + b with B = 6 (5 is the immediate).
constexpr int kPerOp = kLocs * kLocs * 6;

struct BinaryGen {
  static constexpr int kSize = BinaryFunctions::kCount * kPerOp;
  template <int I>
  static constexpr Handler get() {
    constexpr int place = I / kPerOp, d = I / 30 % kLocs, a = I / 6 % kLocs, b = I % 6;
    constexpr Op op = kBinaryOps[place];
    if constexpr (b != kImm && (vm::is_greater(op) || (vm::commutes(op) && a > b))) {
      return nullptr;  // normal_int asks for another one
    } else {
      return &binary<BinaryFunctions::at<place>, d, a, b>;
    }
  }
};
struct DivisionGen {
  static constexpr int kSize = DivisionFunctions::kCount * kPerOp;
  template <int I>
  static constexpr Handler get() {
    return &divide<DivisionFunctions::at<I / kPerOp>, I / 30 % kLocs, I / 6 % kLocs, I % 6>;
  }
};

constexpr Op kLeftOps[] = {Op::i32_sub, Op::i32_shl, Op::i64_sub, Op::i64_shl};
using LeftFunctions = FunctionsOf<kLeftOps>;
struct LeftGen {
  static constexpr int kSize = LeftFunctions::kCount * kLocs * kLocs;
  template <int I>
  static constexpr Handler get() {
    return &binary_left<LeftFunctions::at<I / 25>, I / 5 % 5, I % 5>;
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_int_binary, BinaryGen)
VMRUN_HANDLER_TABLE(vmrun_int_division, DivisionGen)
VMRUN_HANDLER_TABLE(vmrun_int_left, LeftGen)

Normal normal_int(Op op, int a, int b) {
  if (vm::commutes(op)) return {op, a > b};
  if (vm::is_greater(op) && b != kImm) return {vm::mirrored(op), true};
  return {op, false};
}

Handler select_int(Op op, int d, int a, int b) {
  if (a == kImm) return nullptr;
  int place = (d * kLocs + a) * 6 + b;
  if (int i = kBinaryIndex[static_cast<size_t>(op)]; i >= 0) return lookup_vmrun_int_binary(i * kPerOp + place);
  if (int i = kDivisionIndex[static_cast<size_t>(op)]; i >= 0) return lookup_vmrun_int_division(i * kPerOp + place);
  return nullptr;
}

Handler select_int_left(Op op, int d, int b) {
  for (int i = 0; i < LeftFunctions::kCount; i++) {
    if (kLeftOps[i] == op) return lookup_vmrun_int_left((i * kLocs + d) * kLocs + b);
  }
  return nullptr;
}

}  // namespace vmrun::interp
