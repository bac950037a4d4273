// Float arithmetic, comparisons, moves and selects, by operand locations. An f32 lives in the low half of a register.
#include "interp/handlers.h"
#include "interp/select.h"
#include "vm/op_relations.h"

namespace vmrun::interp {

using vm::Family;
using vm::Op;

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

constexpr const auto& kOps = kOpsOf<Family::float_binary, Family::float_compare>;
using FloatFunctions = FunctionsOf<kOps>;
/// Whether there are handlers with a constant on the left.
constexpr bool takes_left_constant(Op op) {
  return op == Op::f32_sub || op == Op::f32_div || op == Op::f64_sub || op == Op::f64_div;
}
constexpr auto kIndex = make_op_index(kOps);

// Index: ((op * D + d) * A + a) * B + b with A = B = 6 (5 is the constant).
constexpr int kPerOp = kLocs * 6 * 6;
struct FloatGen {
  static constexpr int kSize = FloatFunctions::kCount * kPerOp;
  template <int I>
  static constexpr Handler get() {
    constexpr int place = I / kPerOp, d = I / 36 % kLocs, a = I / 6 % 6, b = I % 6;
    constexpr Op op = kOps[place];
    if constexpr (a == kImm) {
      if constexpr (takes_left_constant(op) && b != kImm) {
        return &float_binary<FloatFunctions::at<place>, d, a, b>;
      } else {
        return nullptr;
      }
    } else if constexpr (b != kImm && (vm::is_greater(op) || (vm::commutes(op) && a > b))) {
      return nullptr;
    } else {
      return &float_binary<FloatFunctions::at<place>, d, a, b>;
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
