// Pairs of float operations, such as a product and a sum. Each operation is rounded by itself: never contracted.
#include "interp/handlers/fused_tables.h"
#include "interp/handlers/handlers.h"

namespace vmrun::interp::ir {

namespace {

template <class T, FloatForm F, int D, int A, int B, int C>
VMRUN_HANDLER float_pair(VMRUN_PARAMS) {
#pragma clang fp contract(off)
  T a = VMRUN_GET(T, A, b), b = VMRUN_GET(T, B, c), c = VMRUN_GET(T, C, d);
  T result;
  if constexpr (F == FloatForm::product_plus) {
    result = a * b + c;
  } else if constexpr (F == FloatForm::product_minus) {
    result = a * b - c;
  } else if constexpr (F == FloatForm::minus_product) {
    result = c - a * b;
  } else if constexpr (F == FloatForm::sum_times) {
    result = (a + b) * c;
  } else if constexpr (F == FloatForm::product_times) {
    result = (a * b) * c;
  } else if constexpr (F == FloatForm::sum_plus) {
    result = (a + b) + c;
  } else {
    result = (a - b) + c;
  }
  VMRUN_SET(D, a, result);
  VMRUN_NEXT;
}

struct FloatPairMaker : FloatPairTable {
  template <int I>
  static constexpr Handler get() {
    constexpr FloatPair pair = kFloatPairs[at<Operation<kFloatPairs>>(I)];
    constexpr int a = at<OperandA>(I), b = at<OperandB>(I);
    if constexpr (pair.form != FloatForm::difference_plus && a > b) {
      return nullptr;
    } else {
      using T = std::conditional_t<pair.is_double, double, float>;
      return &float_pair<T, pair.form, at<Dest>(I), a, b, at<OperandC>(I)>;
    }
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_float_pair, FloatPairMaker)

}  // namespace vmrun::interp::ir
