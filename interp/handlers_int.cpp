// Integer arithmetic, logic, shifts, comparisons and division, by operand locations.
#include "interp/handlers.h"
#include "interp/op_traits.h"
#include "interp/select.h"

namespace vmrun::interp {

using vm::Op;
namespace ops = vm::ops;

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

enum class Shape { commutative, ordered, immediate_only };

// clang-format off
#define VMRUN_WIDTHS(N, X)                                                                                  \
  X(N##_add, commutative) X(N##_mul, commutative) X(N##_and, commutative) X(N##_or, commutative)            \
  X(N##_xor, commutative) X(N##_eq, commutative) X(N##_ne, commutative) X(N##_sub, ordered)                 \
  X(N##_shl, ordered) X(N##_shr_s, ordered) X(N##_shr_u, ordered) X(N##_rotl, ordered) X(N##_rotr, ordered) \
  X(N##_lt_s, ordered) X(N##_lt_u, ordered) X(N##_le_s, ordered) X(N##_le_u, ordered)                       \
  X(N##_gt_s, immediate_only) X(N##_gt_u, immediate_only) X(N##_ge_s, immediate_only) X(N##_ge_u, immediate_only)
// clang-format on
#define VMRUN_DIVISIONS(N, X) X(N##_div_s) X(N##_div_u) X(N##_rem_s) X(N##_rem_u)

#define X(name, shape) Op::name,
constexpr Op kBinaryOps[] = {VMRUN_WIDTHS(i32, X) VMRUN_WIDTHS(i64, X)};
#undef X
#define X(name, shape) Shape::shape,
constexpr Shape kShapes[] = {VMRUN_WIDTHS(i32, X) VMRUN_WIDTHS(i64, X)};
#undef X
#define X(name, shape) , &ops::name
template <auto First, auto... Rest>
using SkipFirst = Functions<Rest...>;
using BinaryFunctions = SkipFirst<0 VMRUN_WIDTHS(i32, X) VMRUN_WIDTHS(i64, X)>;
#undef X
#define X(name) Op::name,
constexpr Op kDivisionOps[] = {VMRUN_DIVISIONS(i32, X) VMRUN_DIVISIONS(i64, X)};
#undef X
#define X(name) , &ops::name
using DivisionFunctions = SkipFirst<0 VMRUN_DIVISIONS(i32, X) VMRUN_DIVISIONS(i64, X)>;
#undef X

constexpr auto kBinaryIndex = make_op_index(kBinaryOps);
constexpr auto kDivisionIndex = make_op_index(kDivisionOps);

// Index: ((op * D + d) * A + a) * B + b with B = 6 (5 is the immediate).
constexpr int kPerOp = kLocs * kLocs * 6;

struct BinaryGen {
  static constexpr int kSize = BinaryFunctions::kCount * kPerOp;
  template <int I>
  static constexpr Handler get() {
    constexpr int op = I / kPerOp, d = I / 30 % kLocs, a = I / 6 % kLocs, b = I % 6;
    if constexpr (b != kImm && (kShapes[op] == Shape::immediate_only || (kShapes[op] == Shape::commutative && a > b))) {
      return nullptr;
    } else {
      return &binary<BinaryFunctions::at<op>, d, a, b>;
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
using LeftFunctions = Functions<&ops::i32_sub, &ops::i32_shl, &ops::i64_sub, &ops::i64_shl>;
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
  if (commutes(op)) return {op, a > b};
  switch (op) {
    case Op::i32_gt_s: return b == kImm ? Normal{op, false} : Normal{Op::i32_lt_s, true};
    case Op::i32_gt_u: return b == kImm ? Normal{op, false} : Normal{Op::i32_lt_u, true};
    case Op::i32_ge_s: return b == kImm ? Normal{op, false} : Normal{Op::i32_le_s, true};
    case Op::i32_ge_u: return b == kImm ? Normal{op, false} : Normal{Op::i32_le_u, true};
    case Op::i64_gt_s: return b == kImm ? Normal{op, false} : Normal{Op::i64_lt_s, true};
    case Op::i64_gt_u: return b == kImm ? Normal{op, false} : Normal{Op::i64_lt_u, true};
    case Op::i64_ge_s: return b == kImm ? Normal{op, false} : Normal{Op::i64_le_s, true};
    case Op::i64_ge_u: return b == kImm ? Normal{op, false} : Normal{Op::i64_le_u, true};
    default: return {op, false};
  }
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
