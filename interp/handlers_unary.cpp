// Numeric instructions with one operand: counts, extensions, conversions, truncations, rounding, by operand locations.
#include "interp/handlers.h"
#include "interp/select.h"

namespace vmrun::interp {

using vm::Op;
namespace ops = vm::ops;

namespace {

template <auto F, int D, int A>
VMRUN_HANDLER unary(VMRUN_PARAMS) {
  using T = typename Signature<decltype(F)>::First;
  VMRUN_SET(D, a, F(VMRUN_GET(T, A, b)));
  VMRUN_NEXT;
}

// A conversion that can trap: the function leaves its result by reference.
template <class F>
struct Trapping;
template <class A, class R>
struct Trapping<vm::TrapCode (*)(A, R&)> {
  using First = A;
  using Result = R;
};
template <auto F, int D, int A>
VMRUN_HANDLER trapping_unary(VMRUN_PARAMS) {
  using Types = Trapping<decltype(F)>;
  typename Types::Result result;
  if (vm::TrapCode code = F(VMRUN_GET(typename Types::First, A, b), result);
      VMRUN_UNLIKELY(code != vm::TrapCode::None)) {
    cx->trap = code;
    VMRUN_TAIL(trap_pending);
  }
  VMRUN_SET(D, a, result);
  VMRUN_NEXT;
}

// clang-format off
#define VMRUN_UNARY(X)                                                                                              \
  X(i32_eqz) X(i32_clz) X(i32_ctz) X(i32_popcnt) X(i32_extend8_s) X(i32_extend16_s) X(i32_wrap_i64)                 \
  X(i64_eqz) X(i64_clz) X(i64_ctz) X(i64_popcnt) X(i64_extend8_s) X(i64_extend16_s) X(i64_extend32_s)               \
  X(i64_extend_i32_s) X(i64_extend_i32_u)                                                                           \
  X(f32_abs) X(f32_neg) X(f32_ceil) X(f32_floor) X(f32_trunc) X(f32_nearest) X(f32_sqrt)                            \
  X(f64_abs) X(f64_neg) X(f64_ceil) X(f64_floor) X(f64_trunc) X(f64_nearest) X(f64_sqrt)                            \
  X(i32_trunc_sat_f32_s) X(i32_trunc_sat_f32_u) X(i32_trunc_sat_f64_s) X(i32_trunc_sat_f64_u)                       \
  X(i64_trunc_sat_f32_s) X(i64_trunc_sat_f32_u) X(i64_trunc_sat_f64_s) X(i64_trunc_sat_f64_u)                       \
  X(f32_convert_i32_s) X(f32_convert_i32_u) X(f32_convert_i64_s) X(f32_convert_i64_u) X(f32_demote_f64)             \
  X(f64_convert_i32_s) X(f64_convert_i32_u) X(f64_convert_i64_s) X(f64_convert_i64_u) X(f64_promote_f32)            \
  X(i32_reinterpret_f32) X(i64_reinterpret_f64) X(f32_reinterpret_i32) X(f64_reinterpret_i64)
// clang-format on
// clang-format off
#define VMRUN_TRAPPING_UNARY(X)                                                                 \
  X(i32_trunc_f32_s) X(i32_trunc_f32_u) X(i32_trunc_f64_s) X(i32_trunc_f64_u)                   \
  X(i64_trunc_f32_s) X(i64_trunc_f32_u) X(i64_trunc_f64_s) X(i64_trunc_f64_u)
// clang-format on

#define X(name) Op::name,
constexpr Op kOps[] = {VMRUN_UNARY(X) VMRUN_TRAPPING_UNARY(X)};
#undef X
template <auto First, auto... Rest>
using SkipFirst = Functions<Rest...>;
#define X(name) , &ops::name
using UnaryFunctions = SkipFirst<0 VMRUN_UNARY(X)>;
using TrappingFunctions = SkipFirst<0 VMRUN_TRAPPING_UNARY(X)>;
#undef X
constexpr auto kIndex = make_op_index(kOps);

struct UnaryGen {
  static constexpr int kSize = (UnaryFunctions::kCount + TrappingFunctions::kCount) * 25;
  template <int I>
  static constexpr Handler get() {
    constexpr int op = I / 25;
    if constexpr (op < UnaryFunctions::kCount) {
      return &unary<UnaryFunctions::at<op>, I / 5 % 5, I % 5>;
    } else {
      return &trapping_unary<TrappingFunctions::at<op - UnaryFunctions::kCount>, I / 5 % 5, I % 5>;
    }
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_unary, UnaryGen)

Handler select_unary(Op op, int d, int a) {
  int i = kIndex[static_cast<size_t>(op)];
  return i < 0 ? nullptr : lookup_vmrun_unary((i * kLocs + d) * kLocs + a);
}

}  // namespace vmrun::interp
