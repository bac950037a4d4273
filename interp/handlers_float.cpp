// Float arithmetic, comparisons, moves and selects, by operand locations. An f32 lives in the low half of a register.
#include "interp/handlers.h"
#include "interp/select.h"

namespace vmrun::interp {

using vm::Op;
namespace ops = vm::ops;

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

enum class Shape { commutative, ordered, both_ways, immediate_only };

// clang-format off
#define VMRUN_FLOATS(N, X)                                                                                    \
  X(N##_add, commutative) X(N##_mul, commutative) X(N##_sub, both_ways) X(N##_div, both_ways)                 \
  X(N##_min, ordered) X(N##_max, ordered) X(N##_copysign, ordered) X(N##_eq, commutative) X(N##_ne, commutative) \
  X(N##_lt, ordered) X(N##_le, ordered) X(N##_gt, immediate_only) X(N##_ge, immediate_only)
// clang-format on

#define X(name, shape) Op::name,
constexpr Op kOps[] = {VMRUN_FLOATS(f32, X) VMRUN_FLOATS(f64, X)};
#undef X
#define X(name, shape) Shape::shape,
constexpr Shape kShapes[] = {VMRUN_FLOATS(f32, X) VMRUN_FLOATS(f64, X)};
#undef X
template <auto First, auto... Rest>
using SkipFirst = Functions<Rest...>;
#define X(name, shape) , &ops::name
using FloatFunctions = SkipFirst<0 VMRUN_FLOATS(f32, X) VMRUN_FLOATS(f64, X)>;
#undef X
constexpr auto kIndex = make_op_index(kOps);

// Index: ((op * D + d) * A + a) * B + b with A = B = 6 (5 is the constant).
constexpr int kPerOp = kLocs * 6 * 6;
struct FloatGen {
  static constexpr int kSize = FloatFunctions::kCount * kPerOp;
  template <int I>
  static constexpr Handler get() {
    constexpr int op = I / kPerOp, d = I / 36 % kLocs, a = I / 6 % 6, b = I % 6;
    constexpr Shape shape = kShapes[op];
    if constexpr (a == kImm) {
      if constexpr (shape == Shape::both_ways && b != kImm) {
        return &float_binary<FloatFunctions::at<op>, d, a, b>;
      } else {
        return nullptr;
      }
    } else if constexpr (b != kImm && (shape == Shape::immediate_only || (shape == Shape::commutative && a > b))) {
      return nullptr;
    } else {
      return &float_binary<FloatFunctions::at<op>, d, a, b>;
    }
  }
};

template <int D, int A>
VMRUN_HANDLER float_move(VMRUN_PARAMS) {
  if constexpr (A == kWideLoc) {
    VMRUN_SET(D, a, pc[1].f);
    VMRUN_NEXT2;
  } else {
    VMRUN_SET(D, a, VMRUN_GET(double, A, b));
    VMRUN_NEXT;
  }
}
struct FloatMoveGen {
  static constexpr int kSize = kLocs * 6;
  template <int I>
  static constexpr Handler get() {
    return &float_move<I / 6, (I % 6 == 5 ? kWideLoc : I % 6)>;
  }
};

template <int D, int A, int B, int C>
VMRUN_HANDLER float_select(VMRUN_PARAMS) {
  double x = VMRUN_GET(double, A, b), y = VMRUN_GET(double, B, c);
  bool cond = VMRUN_GET(uint32_t, C, d) != 0;
  VMRUN_SET(D, a, cond ? x : y);
  VMRUN_NEXT;
}
struct FloatSelectGen {
  static constexpr int kSize = kLocs * kLocs * kLocs * kLocs;
  template <int I>
  static constexpr Handler get() {
    return &float_select<I / 125, I / 25 % 5, I / 5 % 5, I % 5>;
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_float_binary, FloatGen)
VMRUN_HANDLER_TABLE(vmrun_float_move, FloatMoveGen)
VMRUN_HANDLER_TABLE(vmrun_float_select, FloatSelectGen)

Handler select_float(Op op, int d, int a, int b) {
  int i = kIndex[static_cast<size_t>(op)];
  return i < 0 ? nullptr : lookup_vmrun_float_binary(((i * kLocs + d) * 6 + a) * 6 + b);
}

Handler select_float_compare(Op op, int d, int a, int b) { return select_float(op, d, a, b); }

Handler select_float_move(int d, int a) { return lookup_vmrun_float_move(d * 6 + (a == kWide ? 5 : a)); }

Handler select_float_select(int d, int a, int b, int c) {
  return lookup_vmrun_float_select(((d * kLocs + a) * kLocs + b) * kLocs + c);
}

}  // namespace vmrun::interp
