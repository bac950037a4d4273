// Pairs of float operations, such as a product and a sum. Each operation is rounded by itself: never contracted.
#include "interp/fused.h"
#include "interp/handlers.h"

namespace vmrun::interp::ir {

using vm::Op;
namespace ops = vm::ops;

namespace {

// The forms; the inner operation commutes in all but kDifferencePlus and kDifferenceTimes.
enum FloatForm : int {
  kProductPlus,      // a * b + c
  kProductMinus,     // a * b - c
  kMinusProduct,     // c - a * b
  kSumTimes,         // (a + b) * c
  kProductTimes,     // (a * b) * c
  kSumPlus,          // (a + b) + c
  kDifferencePlus,   // (a - b) + c
  kDifferenceTimes,  // (a - b) * c
  kFloatForms,
};

template <class T, int F, int D, int A, int B, int C>
VMRUN_HANDLER float_pair(VMRUN_PARAMS) {
#pragma clang fp contract(off)
  T a = VMRUN_GET(T, A, b), b = VMRUN_GET(T, B, c), c = VMRUN_GET(T, C, d);
  T result;
  if constexpr (F == kProductPlus) {
    result = a * b + c;
  } else if constexpr (F == kProductMinus) {
    result = a * b - c;
  } else if constexpr (F == kMinusProduct) {
    result = c - a * b;
  } else if constexpr (F == kSumTimes) {
    result = (a + b) * c;
  } else if constexpr (F == kProductTimes) {
    result = (a * b) * c;
  } else if constexpr (F == kSumPlus) {
    result = (a + b) + c;
  } else if constexpr (F == kDifferencePlus) {
    result = (a - b) + c;
  } else {
    result = (a - b) * c;
  }
  VMRUN_SET(D, a, result);
  VMRUN_NEXT;
}

template <class T>
struct FloatPairGen {
  static constexpr int kSize = kFloatForms * 625;
  template <int I>
  static constexpr Handler get() {
    constexpr int form = I / 625, a = I / 25 % 5, b = I / 5 % 5;
    if constexpr (form < kDifferencePlus && a > b) {
      return nullptr;
    } else {
      return &float_pair<T, form, I / 125 % 5, a, b, I % 5>;
    }
  }
};
using FloatPair32 = FloatPairGen<float>;
using FloatPair64 = FloatPairGen<double>;

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_float_pair32, FloatPair32)
VMRUN_HANDLER_TABLE(vmrun_float_pair64, FloatPair64)

int fused_float(Op inner, Op outer, bool crossed) {
  // The same for both types: name them by the double ones.
  auto as_double = [](Op op) {
    switch (op) {
      case Op::f32_add: return Op::f64_add;
      case Op::f32_sub: return Op::f64_sub;
      case Op::f32_mul: return Op::f64_mul;
      default: return op;
    }
  };
  inner = as_double(inner);
  switch (as_double(outer)) {
    case Op::f64_add:
      if (inner == Op::f64_mul) return kProductPlus;
      if (inner == Op::f64_add) return kSumPlus;
      if (inner == Op::f64_sub) return kDifferencePlus;
      return -1;
    case Op::f64_sub:
      if (inner == Op::f64_mul) return crossed ? kMinusProduct : kProductMinus;
      return -1;
    case Op::f64_mul:
      if (inner == Op::f64_mul) return kProductTimes;
      if (inner == Op::f64_add) return kSumTimes;
      if (inner == Op::f64_sub) return kDifferenceTimes;
      return -1;
    default: return -1;
  }
}

Handler select_float_pair(Op op, int form, int d, int a, int b, int c) {
  int index = (((form * 5 + d) * 5 + a) * 5 + b) * 5 + c;
  bool single = op == Op::f32_add || op == Op::f32_sub || op == Op::f32_mul;
  return single ? lookup_vmrun_float_pair32(index) : lookup_vmrun_float_pair64(index);
}

}  // namespace vmrun::interp::ir
