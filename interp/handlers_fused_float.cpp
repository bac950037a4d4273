// Pairs of float operations, such as a product and a sum. Each operation is rounded by itself: never contracted.
#include "interp/fused_tables.h"
#include "interp/handlers.h"

namespace vmrun::interp::ir {

namespace {

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

template <class FloatPairTable, class T>
struct FloatPairMaker : FloatPairTable {
  template <int I>
  static constexpr Handler get() {
    using Of = FloatPairTable;
    constexpr int form = Of::template at<FloatFormPlace>(I);
    constexpr int a = Of::template at<OperandA>(I), b = Of::template at<OperandB>(I);
    if constexpr (form < kDifferencePlus && a > b) {
      return nullptr;
    } else {
      return &float_pair<T, form, Of::template at<Dest>(I), a, b, Of::template at<OperandC>(I)>;
    }
  }
};
using FloatPair32Maker = FloatPairMaker<FloatPair32Table, float>;
using FloatPair64Maker = FloatPairMaker<FloatPair64Table, double>;

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_float_pair32, FloatPair32Maker)
VMRUN_HANDLER_TABLE(vmrun_float_pair64, FloatPair64Maker)

}  // namespace vmrun::interp::ir
