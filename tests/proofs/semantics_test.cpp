// The solver's meaning of each integer instruction is the one in vm/numeric/numeric.h, on values at the edges and random ones.
#include <random>
#include <vector>

#include "tests/proofs/prover.h"
#include "vm/numeric/numeric.h"

namespace vmrun::proofs {
namespace {

namespace ops = vm::ops;
using vm::Op;

uint64_t evaluate(const Bits& e) { return e.simplify().get_numeral_uint64(); }

template <class T>
std::vector<T> samples() {
  constexpr unsigned width = sizeof(T) * 8;
  std::vector<T> values{0, 1, 2, 7, width - 1, width, width + 1, static_cast<T>(-1), static_cast<T>(-2)};
  for (unsigned bit : {7u, 8u, 15u, 16u, 31u, 32u, 63u}) {
    if (bit >= width) continue;
    const T power = T{1} << bit;
    for (T v : {power, static_cast<T>(power - 1), static_cast<T>(power + 1), static_cast<T>(-power)})
      values.push_back(v);
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < 6; ++i) values.push_back(static_cast<T>(random()));
  return values;
}

template <class T, class F>
void binary(Prover& p, Op op, F f) {
  for (T a : samples<T>()) {
    for (T b : samples<T>()) {
      CAPTURE(vm::op_info(op).mnemonic);
      CAPTURE(a);
      CAPTURE(b);
      constexpr unsigned width = sizeof(T) * 8;
      REQUIRE(evaluate(compute(op, p.value(a, width), p.value(b, width))) == f(a, b));
    }
  }
}
template <class T, class F>
void division(Prover& p, Op op, F f) {
  for (T a : samples<T>()) {
    for (T b : samples<T>()) {
      T wanted = 0;
      if (f(a, b, wanted) != vm::TrapCode::None) continue;
      constexpr unsigned width = sizeof(T) * 8;
      CAPTURE(vm::op_info(op).mnemonic);
      REQUIRE(evaluate(compute(op, p.value(a, width), p.value(b, width))) == wanted);
    }
  }
}
template <class T, class F>
void unary(Prover& p, Op op, F f) {
  for (T a : samples<T>()) {
    CAPTURE(vm::op_info(op).mnemonic);
    CAPTURE(a);
    REQUIRE(evaluate(compute(op, p.value(a, sizeof(T) * 8))) == f(a));
  }
}

TEST_CASE("the solver's instructions are ours") {
  Prover p;
#define VMRUN_BOTH(kind, name)                        \
  kind<uint32_t>(p, Op::i32_##name, ops::i32_##name); \
  kind<uint64_t>(p, Op::i64_##name, ops::i64_##name);
  // clang-format off
  VMRUN_BOTH(binary, add) VMRUN_BOTH(binary, sub) VMRUN_BOTH(binary, mul) VMRUN_BOTH(binary, and) VMRUN_BOTH(binary, or)
  VMRUN_BOTH(binary, xor) VMRUN_BOTH(binary, shl) VMRUN_BOTH(binary, shr_s) VMRUN_BOTH(binary, shr_u)
  VMRUN_BOTH(binary, rotl) VMRUN_BOTH(binary, rotr) VMRUN_BOTH(binary, eq) VMRUN_BOTH(binary, ne)
  VMRUN_BOTH(binary, lt_s) VMRUN_BOTH(binary, lt_u) VMRUN_BOTH(binary, gt_s) VMRUN_BOTH(binary, gt_u)
  VMRUN_BOTH(binary, le_s) VMRUN_BOTH(binary, le_u) VMRUN_BOTH(binary, ge_s) VMRUN_BOTH(binary, ge_u)
  VMRUN_BOTH(division, div_s) VMRUN_BOTH(division, div_u) VMRUN_BOTH(division, rem_s) VMRUN_BOTH(division, rem_u)
  VMRUN_BOTH(unary, eqz) VMRUN_BOTH(unary, clz) VMRUN_BOTH(unary, ctz) VMRUN_BOTH(unary, popcnt)
  VMRUN_BOTH(unary, extend8_s) VMRUN_BOTH(unary, extend16_s)
  // clang-format on
#undef VMRUN_BOTH
                                  unary<uint64_t>(p, Op::i64_extend32_s, ops::i64_extend32_s);
  unary<uint64_t>(p, Op::i32_wrap_i64, ops::i32_wrap_i64);
  unary<uint32_t>(p, Op::i64_extend_i32_s, ops::i64_extend_i32_s);
  unary<uint32_t>(p, Op::i64_extend_i32_u, ops::i64_extend_i32_u);
}

TEST_CASE("the solver finds what does not hold") {
  Prover p;
  z3::solver s(p.context());
  s.add(!(p.any32("a") + p.value(1, 32) > p.any32("a")));
  CHECK(s.check() == z3::sat);
}

}  // namespace
}  // namespace vmrun::proofs
