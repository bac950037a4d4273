// Proofs of the interpreter's rewriting rules (interp/rules.h): each by its name, over the full width. A rule of the list
// that has no proof here is an undefined symbol.
#include <cstdio>
#include <vector>

#include "interp/fused.h"
#include "interp/rules.h"
#include "interp/select.h"
#include "tests/proofs/prover.h"
#include "vm/wasm/op_relations.h"
#include "vm/wasm/signature.h"

namespace vmrun::proofs::interp_rules {

using interp::Rule;
using vm::Op;
namespace rules = interp::rules;

template <Rule rule>
void prove(Prover& p);

// ---- the rules' arithmetic on the solver's values ----------------------------------------------------------------------

z3::context* solver_context = nullptr;

struct Symbolic {
  using I32 = Bits;
  using I64 = Bits;
  using Bool = Claim;
  static Bits zero_extended(const Bits& a) { return z3::zext(a, 32); }
  static Bits low(const Bits& a) { return proofs::low(a); }
  static Bits sign_extended(const Bits& a, unsigned bits) {
    return bits == 64 ? a : z3::sext(a.extract(bits - 1, 0), 64 - bits);
  }
  static Bits number(uint32_t a) { return solver_context->bv_val(uint64_t{a}, 32); }
  static Bits wide_number(uint64_t a) { return solver_context->bv_val(a, 64); }
  static Bits shifted(const Bits& a, unsigned by) { return z3::shl(a, solver_context->bv_val(by, 32)); }
  static Bits chosen(const Bits& condition, const Bits& a, const Bits& b) { return z3::ite(condition != 0, a, b); }
};

auto meaning(Op op) {
  return [op](const Bits& a, const Bits& b) { return compute(op, a, b); };
}

// ---- the instructions that rules speak of ------------------------------------------------------------------------------

std::string name(Op op) { return std::string(vm::op_info(op).mnemonic); }
bool is_wide(Op op) { return vm::takes(op, vm::kI64); }
unsigned width(Op op) { return is_wide(op) ? 64 : 32; }

/// All scalar integer instructions with two operands that cannot trap.
std::vector<Op> operations() {
  std::vector<Op> all;
  for (size_t i = 0; i < vm::kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    const vm::Family family = vm::family(op);
    if (family == vm::Family::int_binary || family == vm::Family::int_compare) all.push_back(op);
  }
  return all;
}
std::vector<Op> comparisons() {
  std::vector<Op> some;
  for (Op op : operations()) {
    if (vm::family(op) == vm::Family::int_compare) some.push_back(op);
  }
  return some;
}

Claim not_zero(const Bits& a) { return a != a.ctx().bv_val(0, a.get_sort().bv_size()); }
/// What a rule makes of a register that holds any 64 bits, and of one that holds an i32.
struct Registers {
  Bits a, b, c;
  explicit Registers(Prover& p) : a(p.any64("ra")), b(p.any64("rb")), c(p.any64("rc")) {}
};

// ---- registers ---------------------------------------------------------------------------------------------------------

template <>
void prove<Rule::read_low_half>(Prover& p) {
  const Bits x = p.any64("x");
  p.holds("the lower half is what wrap gives", Symbolic::low(x) == compute(Op::i32_wrap_i64, x));
  // A clean register is read in part, too, by the same handler.
  const Bits y = p.any32("y");
  p.holds("of a clean register, the lower half is the i32", Symbolic::low(clean(y)) == y);
}

template <>
void prove<Rule::extend_is_free>(Prover& p) {
  const Bits r = p.any64("r");
  z3::solver open(p.context());
  open.add(r != compute(Op::i64_extend_i32_u, low(r)));
  CHECK(open.check() == z3::sat);  // it does need the upper half to be zero
  p.assume(upper_half_is_zero(r));
  p.assumptions_can_hold("a clean register");
  p.holds("the register is the i64", r == compute(Op::i64_extend_i32_u, low(r)));
}

template <>
void prove<Rule::results_are_clean>(Prover& p) {
  // Handlers compute an i32 from what they read and write it zero-extended (VMRUN_SET, put).
  const Registers r(p);
  for (Op op : operations()) {
    if (!vm::gives(op, vm::kI32)) continue;
    const bool wide = is_wide(op);
    const Bits result = compute(op, wide ? r.a : low(r.a), wide ? r.b : low(r.b));
    p.holds(name(op), upper_half_is_zero(Symbolic::zero_extended(result)));
    p.holds(name(op), low(Symbolic::zero_extended(result)) == result);
  }
}

template <>
void prove<Rule::fold>(Prover& p) {
  // The folded value is computed by vm/numeric/numeric.h, which semantics_test.cpp compares with the solver's meaning. What is
  // left: the operation is the one asked for, of the lower halves for an i32, and its result has no upper half.
  const uint64_t values[] = {0, 1, 31, 32, 63, 64, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000005, ~uint64_t{0}};
  unsigned folded = 0;
  for (Op op : operations()) {
    for (uint64_t a : values) {
      for (uint64_t b : values) {
        uint64_t out;
        if (!rules::fold(op, a, b, out)) continue;
        ++folded;
        const Bits wanted = compute(op, p.value(a, width(op)), p.value(b, width(op))).simplify();
        CAPTURE(name(op));
        CHECK(wanted.get_numeral_uint64() == out);
      }
    }
  }
  CHECK(folded == 2 * 21 * 11 * 11);
}

// ---- operations --------------------------------------------------------------------------------------------------------

template <>
void prove<Rule::commute>(Prover& p) {
  unsigned found = 0;
  for (Op op : operations()) {
    if (!vm::commutes(op)) continue;
    ++found;
    const Bits a = p.any("a", width(op)), b = p.any("b", width(op));
    p.holds(name(op), compute(op, a, b) == compute(op, b, a));
  }
  CHECK(found == 14);
}

template <>
void prove<Rule::mirror>(Prover& p) {
  for (Op op : operations()) {
    const Bits a = p.any("a", width(op)), b = p.any("b", width(op));
    if (vm::mirrored(op) != op) p.holds(name(op), compute(op, a, b) == compute(vm::mirrored(op), b, a));
    // What the emitter asks handlers for.
    for (int at_a = 0; at_a < 5; ++at_a) {
      for (int at_b = 0; at_b < 6; ++at_b) {
        const interp::Normal normal = interp::normal_int(op, at_a, at_b);
        if (normal.op == op && !normal.swap) continue;
        p.holds(name(op), compute(op, a, b) == (normal.swap ? compute(normal.op, b, a) : compute(normal.op, a, b)));
      }
    }
  }
  const z3::expr x = p.context().fpa_const("x", 11, 53), y = p.context().fpa_const("y", 11, 53);
  CHECK(vm::mirrored(Op::f64_lt) == Op::f64_gt);
  CHECK(vm::mirrored(Op::f64_le) == Op::f64_ge);
  CHECK(vm::mirrored(Op::f32_gt) == Op::f32_lt);
  CHECK(vm::mirrored(Op::f32_ge) == Op::f32_le);
  p.holds("f64.lt", (x < y) == (y > x));
  p.holds("f64.le", (x <= y) == (y >= x));
}

template <>
void prove<Rule::invert>(Prover& p) {
  for (Op op : comparisons()) {
    const Bits a = p.any("a", width(op)), b = p.any("b", width(op));
    p.holds(name(op), not_zero(compute(vm::inverted(op), a, b)) == !not_zero(compute(op, a, b)));
  }
}

template <>
void prove<Rule::negate_constant>(Prover& p) {
  const Bits a = p.any64("a"), k = p.any64("k");
  p.holds("i64", compute(Op::i64_add, a, rules::negated<Symbolic>(k, true)) == compute(Op::i64_sub, a, k));
  const Bits narrow = rules::negated<Symbolic>(k, false);
  p.holds("i32", compute(Op::i32_add, low(a), low(narrow)) == compute(Op::i32_sub, low(a), low(k)));
  p.holds("i32, no upper half", upper_half_is_zero(narrow));
}

template <>
void prove<Rule::join_constants>(Prover& p) {
  const Bits a = p.any64("a"), j = p.any64("j"), k = p.any64("k");
  p.holds("i64", compute(Op::i64_add, a, rules::joined<Symbolic>(j, k, true)) ==
                     compute(Op::i64_add, compute(Op::i64_add, a, j), k));
  const Bits narrow = rules::joined<Symbolic>(j, k, false);
  p.holds("i32", compute(Op::i32_add, low(a), low(narrow)) ==
                     compute(Op::i32_add, compute(Op::i32_add, low(a), low(j)), low(k)));
  p.holds("i32, no upper half", upper_half_is_zero(narrow));
}

template <>
void prove<Rule::add_zero>(Prover& p) {
  const Bits r = p.any64("r");
  p.holds("i64", compute(Op::i64_add, r, p.value(0, 64)) == r);
  // Of an i32 that may have an upper half, the value is what narrowing it gives (Builder::value_of).
  const Bits sum = Symbolic::zero_extended(compute(Op::i32_add, low(r), p.value(0, 32)));
  p.holds("i32, narrowed", sum == Symbolic::zero_extended(compute(Op::i32_wrap_i64, r)));
  z3::solver open(p.context());
  open.add(sum != r);
  CHECK(open.check() == z3::sat);  // not every register is the sum
  p.assume(upper_half_is_zero(r));
  p.assumptions_can_hold("a clean register");
  p.holds("i32 in a clean register", sum == r);
}

template <>
void prove<Rule::test_zero>(Prover& p) {
  const Bits a = p.any64("a");
  p.holds("i64", compute(Op::i64_eqz, a) == compute(Op::i64_eq, a, p.value(0, 64)));
  p.holds("i32", compute(Op::i32_eqz, low(a)) == compute(Op::i32_eq, low(a), p.value(0, 32)));
}

template <>
void prove<Rule::test_comparison>(Prover& p) {
  for (Op op : comparisons()) {
    const Bits a = p.any("a", width(op)), b = p.any("b", width(op));
    p.holds(name(op), compute(Op::i32_eqz, compute(op, a, b)) == compute(vm::inverted(op), a, b));
  }
}

template <>
void prove<Rule::choose>(Prover& p) {
  CHECK_FALSE(rules::may_choose(false, false));
  unsigned found = 0;
  const Registers r(p);
  auto wanted = [&](Op op, const Bits& a, const Bits& b) { return z3::ite(not_zero(compute(op, a, b)), r.a, r.b); };
  std::vector<Op> narrow;
  for (Op op : comparisons()) {
    if (interp::ir::fused_min_max(op) < 0) continue;
    ++found;
    if (is_wide(op)) {
      CHECK(rules::may_choose(true, false));
      p.holds(name(op), rules::choose<Symbolic>(meaning(op), r.a, r.b) == wanted(op, r.a, r.b));
    } else {
      narrow.push_back(op);
    }
  }
  CHECK(found == 6);
  auto got = [&](Op op) {
    return Symbolic::zero_extended(rules::choose<Symbolic>(meaning(op), Symbolic::low(r.a), Symbolic::low(r.b)));
  };
  z3::solver open(p.context());
  open.add(got(Op::i32_lt_s) != wanted(Op::i32_lt_s, low(r.a), low(r.b)));
  CHECK(open.check() == z3::sat);  // an i64 must not be chosen by its lower half
  p.assume(upper_half_is_zero(r.a));
  p.assume(upper_half_is_zero(r.b));
  p.assumptions_can_hold("two clean registers");
  for (Op op : narrow) p.holds(name(op), got(op) == wanted(op, low(r.a), low(r.b)));
}

// ---- constants in cells ------------------------------------------------------------------------------------------------

/// A constant that fits in `bits` is what the handler of an i64, and of an i32, makes of them.
void prove_constant(Prover& p, unsigned bits) {
  const Bits k = p.any64("k");
  const Bits decoded = Symbolic::sign_extended(k, bits);  // of the field: the same, whatever is above it
  p.holds("i64", z3::implies(rules::fits<Symbolic>(k, bits, true), decoded == k));
  p.holds("i32", z3::implies(rules::fits<Symbolic>(k, bits, false), low(decoded) == low(k)));
  for (bool wide : {false, true}) {
    Prover q;
    solver_context = &q.context();
    q.assume(rules::fits<Symbolic>(q.any64("k"), bits, wide));
    q.assume(q.any64("k") != 0);
    q.assumptions_can_hold("a constant that fits");
    solver_context = &p.context();
  }
}
template <>
void prove<Rule::constant16>(Prover& p) {
  prove_constant(p, 16);
  CHECK(rules::fits(0xffff8000, 16, false));
  CHECK_FALSE(rules::fits(0xffff8000, 16, true));
  CHECK_FALSE(rules::fits(0x8000, 16, false));
}
template <>
void prove<Rule::constant32>(Prover& p) {
  prove_constant(p, 32);
  CHECK_FALSE(rules::fits(0x80000000, 32, true));
}
template <>
void prove<Rule::constant_moved>(Prover& p) {
  const Bits k = p.any64("k");
  p.assume(rules::fits_unsigned<Symbolic>(k));
  p.assumptions_can_hold("a constant that fits");
  p.holds("a move writes it zero-extended", Symbolic::zero_extended(low(k)) == k);
}

template <>
void prove<Rule::divide_by_constant>(Prover& p) {
  const Bits a = p.any64("a"), k = p.any64("k");
  auto traps = [&](const Bits& x, const Bits& y) {
    const unsigned bits = x.get_sort().bv_size();
    const Bits least = p.value(uint64_t{1} << (bits - 1), bits);
    return y == p.value(0, bits) || (x == least && y == p.value(~uint64_t{0}, bits));
  };
  p.holds("i64", z3::implies(!rules::may_trap_as_divisor<Symbolic>(k, true), !traps(a, k)));
  p.holds("i32", z3::implies(!rules::may_trap_as_divisor<Symbolic>(k, false), !traps(low(a), low(k))));
}

// ---- pairs -------------------------------------------------------------------------------------------------------------

using interp::ir::Form;

/// Calls `fn(o1, o2)` for the pairs of a form, all of one width.
template <class Fn>
void for_pairs(Form form, Fn fn) {
  unsigned found = 0;
  for (Op o1 : operations()) {
    for (Op o2 : operations()) {
      if (interp::ir::fused_pair(form, o1, o2) < 0) continue;
      ++found;
      CHECK(is_wide(o1) == is_wide(o2));
      CHECK(vm::family(o1) != vm::Family::int_compare);  // what the outer one takes is as wide as what it is made of
      fn(o1, o2);
    }
  }
  CHECK(found > 5);
}
// Constants are taken as they are: that a cell keeps them is Rule::constant16 and constant32.
template <class Formula>
void prove_form(Prover& p, Form form, Formula formula) {
  for_pairs(form, [&](Op o1, Op o2) {
    const Bits a = p.any("a", width(o1)), b = p.any("b", width(o1)), c = p.any("c", width(o1));
    const std::string what = name(o1) + ", " + name(o2);
    const Bits inner = compute(o1, a, b), fused = formula(meaning(o1), meaning(o2), a, b, c);
    p.holds(what, fused == compute(o2, inner, c));
    if (vm::commutes(o2)) p.holds(what + ", the other way round", fused == compute(o2, c, inner));
  });
}
template <>
void prove<Rule::imm_then_reg>(Prover& p) {
  prove_form(p, Form::imm_then_reg, [](auto... of) { return rules::imm_then_reg(of...); });
}
template <>
void prove<Rule::reg_then_reg>(Prover& p) {
  prove_form(p, Form::reg_then_reg, [](auto... of) { return rules::reg_then_reg(of...); });
}
template <>
void prove<Rule::imm_then_imm>(Prover& p) {
  prove_form(p, Form::imm_then_imm, [](auto... of) { return rules::imm_then_imm(of...); });
}

template <>
void prove<Rule::xor_pair>(Prover& p) {
  for_pairs(Form::xor_pair, [&](Op o1, Op o2) {
    const Bits a = p.any("a", width(o1)), j = p.any("j", width(o1)), k = p.any("k", width(o1));
    const Bits size = p.value(width(o1), width(o1));
    const Bits kept_j = rules::distance(j, size), kept_k = rules::distance(k, size);
    const Op outer = is_wide(o1) ? Op::i64_xor : Op::i32_xor;
    const Bits wanted = compute(outer, compute(o1, a, j), compute(o2, a, k));
    p.holds(name(o1) + ", " + name(o2), rules::xor_pair(meaning(o1), meaning(o2), a, kept_j, kept_k) == wanted);
    p.holds("16 bits, unsigned, keep a distance", z3::ult(kept_j, p.value(1u << 16, width(o1))));
  });
}

template <>
void prove<Rule::operate_on_memory>(Prover& p) {
  unsigned found = 0;
  for (Op op : operations()) {
    const Op load = is_wide(op) ? Op::i64_load : Op::i32_load, store = is_wide(op) ? Op::i64_store : Op::i32_store;
    const Op other = is_wide(op) ? Op::i32_load : Op::i64_load;
    CHECK(interp::ir::fused_load_op(other, op, false) < 0);  // the width of the memory is that of the operation
    CHECK(interp::ir::fused_load_op(other, op, true) < 0);
    CHECK(interp::ir::fused_read_modify(store, other, op) < 0);
    const int plain = interp::ir::fused_load_op(load, op, false), reverse = interp::ir::fused_load_op(load, op, true);
    const Bits memory = p.any("m", width(op)), x = p.any("x", width(op));
    if (plain >= 0 && plain == reverse) {  // one handler for both
      ++found;
      p.holds(name(op), compute(op, x, memory) == compute(op, memory, x));
    }
    // memory = memory op x, and with the operands exchanged where the operation commutes.
    if (interp::ir::fused_read_modify(store, load, op) >= 0 && vm::commutes(op)) {
      ++found;
      p.holds(name(op), compute(op, memory, x) == compute(op, x, memory));
    }
  }
  CHECK(found == 5);
}

template <>
void prove<Rule::adjust_global>(Prover& p) {
  const Registers r(p);
  const Bits k = p.any32("k"), sum = Symbolic::zero_extended(low(r.a) + k);
  p.holds("the sum", low(sum) == compute(Op::i32_add, compute(Op::i32_wrap_i64, r.a), k));
  p.holds("no upper half", upper_half_is_zero(sum));
}

template <>
void prove<Rule::count>(Prover& p) {
  for (Op op : comparisons()) {
    const bool wide = is_wide(op);
    const Bits k = p.any64("k"), a = p.any("a", width(op)), n = p.any("n", width(op));
    const Bits step = Symbolic::sign_extended(k, 16);
    const Op add = wide ? Op::i64_add : Op::i32_add;
    const Bits counted = compute(add, a, wide ? step : low(step)), wanted = compute(add, a, wide ? k : low(k));
    p.holds(name(op), z3::implies(rules::fits<Symbolic>(k, 16, wide),
                                  counted == wanted && compute(op, counted, n) == compute(op, wanted, n)));
  }
}

// ---- branches ----------------------------------------------------------------------------------------------------------

template <>
void prove<Rule::branch_on_comparison>(Prover& p) {
  for (Op op : comparisons()) {
    const Bits a = p.any("a", width(op)), b = p.any("b", width(op));
    const Bits condition = compute(op, a, b);
    // A branch is taken if the comparison holds; br_if and if take a non-zero condition, and the jump to else a zero one.
    const Claim taken = not_zero(condition), taken_inverted = not_zero(compute(vm::inverted(op), a, b));
    p.holds(name(op), taken == (condition == p.value(1, 32)));
    p.holds(name(op), taken_inverted == (condition == p.value(0, 32)));
  }
}

template <>
void prove<Rule::branch_on_value>(Prover& p) {
  const Bits v = p.any64("v"), zero = p.value(0, 32), wide_zero = p.value(0, 64);
  p.holds("non-zero", not_zero(compute(Op::i32_ne, low(v), zero)) == (low(v) != zero));
  p.holds("zero", not_zero(compute(Op::i32_eq, low(v), zero)) == (low(v) == zero));
  p.holds("i32.eqz", not_zero(compute(Op::i32_eqz, low(v))) == not_zero(compute(Op::i32_eq, low(v), zero)));
  p.holds("not i32.eqz", !not_zero(compute(Op::i32_eqz, low(v))) == not_zero(compute(Op::i32_ne, low(v), zero)));
  p.holds("i64.eqz", not_zero(compute(Op::i64_eqz, v)) == not_zero(compute(Op::i64_eq, v, wide_zero)));
  p.holds("not i64.eqz", !not_zero(compute(Op::i64_eqz, v)) == not_zero(compute(Op::i64_ne, v, wide_zero)));
}

template <>
void prove<Rule::branch_on_bits>(Prover& p) {
  const Registers r(p);
  const Bits a = low(r.a), b = low(r.b), bits = compute(Op::i32_and, a, b), zero = p.value(0, 32);
  auto taken = [&](bool equal) { return ((a & b) == zero) == p.truth(equal); };  // as the handler says it
  p.holds("a & b", taken(false) == not_zero(bits));
  p.holds("not (a & b)", taken(true) == !not_zero(bits));
  p.holds("(a & b) != 0", taken(false) == not_zero(compute(Op::i32_ne, bits, zero)));
  p.holds("(a & b) == 0", taken(true) == not_zero(compute(Op::i32_eq, bits, zero)));
}

// ---- addresses ---------------------------------------------------------------------------------------------------------

/// The address that an access with the i32 operand `i` means.
Bits meant(const Bits& i, const Bits& offset) { return z3::zext(i, 32) + z3::zext(offset, 32); }

/// `got` is that address, and so no more than 2^33 - 2: sixteen bytes from there end within what is reserved.
void prove_address(Prover& p, const std::string& what, const Bits& got, const Bits& i, const Bits& offset) {
  p.holds(what, got == meant(i, offset));
  p.holds(what + ", inside", z3::ule(got, p.value((uint64_t{1} << 33) - 2, 64)));
}

template <>
void prove<Rule::address_base_offset>(Prover& p) {
  const Registers r(p);
  const Bits offset = p.any32("offset");
  prove_address(p, "any register", rules::base_offset<Symbolic>(low(r.a), offset), low(r.a), offset);
}
template <>
void prove<Rule::address_wrapped>(Prover& p) {
  const Registers r(p);
  const Bits k = p.any32("k");
  prove_address(p, "a + k", rules::wrapped<Symbolic>(low(r.a), k), compute(Op::i32_add, low(r.a), k), p.value(0, 32));
}
template <>
void prove<Rule::address_absolute>(Prover& p) {
  const Bits base = p.any32("base"), offset = p.any32("offset"), at = meant(base, offset);
  p.assume(rules::fits_unsigned<Symbolic>(at));
  p.assumptions_can_hold("a constant address");
  prove_address(p, "constant", Symbolic::zero_extended(low(at)), base, offset);
}
template <>
void prove<Rule::address_indexed>(Prover& p) {
  const Registers r(p);
  const Bits offset = p.any32("offset");
  const Bits i = compute(Op::i32_add, low(r.a), low(r.b));
  prove_address(p, "a + b", rules::indexed<Symbolic>(low(r.a), low(r.b), 0, offset), i, offset);
  // What a cell keeps is what it was given.
  for (uint32_t shift = 0; shift < rules::kShiftLimit; ++shift) {
    for (uint32_t k = 0; k < rules::kIndexedOffsetLimit; ++k) {
      const uint16_t packed = rules::pack_index(shift, k);
      if (rules::index_shift(packed) != shift || rules::index_offset(packed) != k) FAIL("lost in a cell: ", shift, k);
    }
  }
  CHECK_FALSE(rules::fits_indexed(rules::kIndexedOffsetLimit));
}
/// Shifts by a constant distance of which only the lowest five bits count.
template <class Fn>
void for_shifts(Prover& p, Fn fn) {
  for (unsigned s = 0; s < rules::kShiftLimit; ++s) {
    const Bits distance = p.any32("s" + std::to_string(s));
    p.assume(rules::distance(distance, p.value(32, 32)) == p.value(s, 32));
    fn(s, distance);
  }
  p.assumptions_can_hold("distances");
}
template <>
void prove<Rule::address_shifted>(Prover& p) {
  const Registers r(p);
  const Bits offset = p.any32("offset");
  for_shifts(p, [&](unsigned s, const Bits& distance) {
    const Bits i = compute(Op::i32_add, compute(Op::i32_shl, low(r.b), distance), low(r.a));
    prove_address(p, "(b << s) + a", rules::indexed<Symbolic>(low(r.a), low(r.b), s, offset), i, offset);
  });
}
template <>
void prove<Rule::address_sum>(Prover& p) {
  const Registers r(p);
  const Bits a = low(r.a), b = low(r.b), k = p.any32("k"), none = p.value(0, 32);
  const Bits got = rules::indexed_wrapped<Symbolic>(a, b, 0, k);
  prove_address(p, "(a + k) + c", got, compute(Op::i32_add, compute(Op::i32_add, a, k), b), none);
  prove_address(p, "(a + b) + k", got, compute(Op::i32_add, compute(Op::i32_add, a, b), k), none);
  for (uint32_t shift = 0; shift < rules::kShiftLimit; ++shift) {
    for (uint32_t offset = -8192u; offset != 8192; ++offset) {
      const uint16_t packed = rules::pack_index(shift, offset);
      const bool kept = rules::index_shift(packed) == shift && rules::index_signed_offset(packed) == offset;
      if (rules::fits_indexed_wrapped(offset) != kept) FAIL("lost in a cell: ", shift, offset);
    }
  }
}
template <>
void prove<Rule::address_shifted_sum>(Prover& p) {
  const Registers r(p);
  const Bits a = low(r.a), b = low(r.b), k = p.any32("k"), none = p.value(0, 32);
  for_shifts(p, [&](unsigned s, const Bits& distance) {
    const Bits got = rules::indexed_wrapped<Symbolic>(a, b, s, k), scaled = compute(Op::i32_shl, b, distance);
    auto add = meaning(Op::i32_add);
    prove_address(p, "((b << s) + a) + k", got, add(add(scaled, a), k), none);
    prove_address(p, "(a + k) + (b << s)", got, add(add(a, k), scaled), none);
    prove_address(p, "(a + (b << s)) + k", got, add(add(a, scaled), k), none);
  });
}

// ---- memory ------------------------------------------------------------------------------------------------------------

template <>
void prove<Rule::store_low_part>(Prover& p) {
  const Bits x = p.any64("x");
  for (unsigned bits : {8u, 16u, 32u}) {
    p.holds(std::to_string(bits), x.extract(bits - 1, 0) == Symbolic::low(x).extract(bits - 1, 0));
  }
}
template <>
void prove<Rule::load_zero_extended>(Prover& p) {
  for (unsigned bits : {8u, 16u, 32u}) {
    const Bits m = p.any("m" + std::to_string(bits), bits);
    const Bits i32 = bits == 32 ? m : z3::zext(m, 32 - bits);
    p.holds(std::to_string(bits), Symbolic::zero_extended(i32) == z3::zext(m, 64 - bits));
  }
}

// ---- all of them -------------------------------------------------------------------------------------------------------

using Proof = void (*)(Prover&);
constexpr Proof kProofs[] = {
#define VMRUN_RULE(rule, text) &prove<Rule::rule>,
    VMRUN_INTERP_RULES(VMRUN_RULE)
#undef VMRUN_RULE
};
static_assert(sizeof kProofs / sizeof kProofs[0] == interp::kRuleCount);

TEST_CASE("every rewriting rule of the interpreter is proven") {
  for (size_t i = 0; i < interp::kRuleCount; ++i) {
    const std::string rule = interp::kRuleTexts[i].name;
    CAPTURE(rule);
    Prover p;
    solver_context = &p.context();
    kProofs[i](p);
    solver_context = nullptr;
  }
  std::printf("the interpreter's rules: %zu proven\n", interp::kRuleCount);
}

}  // namespace vmrun::proofs::interp_rules
