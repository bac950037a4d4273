// The baseline compiler's rules (jit/baseline/rules.h), proven: all but those about division, which are in
// baseline_division_test.cpp.
#include <string>
#include <vector>

#include "tests/proofs/baseline_machine.h"
#include "vm/wasm/signature.h"

namespace vmrun::proofs::baseline {
namespace {

const std::vector<Op> kComparisons = [] {
  std::vector<Op> all;
  for (size_t i = 0; i < vm::kOpCount; ++i) {
    if (vm::kOpInfo[i].family == vm::Family::int_compare) all.push_back(static_cast<Op>(i));
  }
  return all;
}();
bool is_wide(Op op) { return vm::takes(op, vm::kI64); }

}  // namespace

// ---- operands and conditions ----------------------------------------------------------------------------------------

template <>
void prove<Rule::commute>(Prover& p) {
  size_t count = 0;
  for (size_t i = 0; i < vm::kOpCount; ++i) {
    const auto op = static_cast<Op>(i);
    if (!rules::commutes(op)) continue;
    const Bits a = any(p, "a", is_wide(op)), b = any(p, "b", is_wide(op));
    p.holds(vm::op_info(op).mnemonic, compute(op, a, b) == compute(op, b, a));
    ++count;
  }
  CHECK(count == 10);
}

template <>
void prove<Rule::condition>(Prover& p) {
  for (const Op op : kComparisons) {
    const bool wide = is_wide(op);
    Machine m(p);
    const Bits a = any(p, "a", wide), b = any(p, "b", wide);
    m.load(n, held(a)), m.load(q, held(b));
    m.cmp(wide, n, q);
    p.holds(vm::op_info(op).mnemonic, m.holds(rules::condition(op)) == (compute(op, a, b) == p.value(1, 32)));
  }
}

template <>
void prove<Rule::mirror>(Prover& p) {
  for (const Op op : kComparisons) {
    const bool wide = is_wide(op);
    Machine m(p);
    m.cmp(wide, q, n);
    const Bits a = m.read(wide, n), b = m.read(wide, q);
    p.holds(vm::op_info(op).mnemonic,
            m.holds(rules::mirrored(rules::condition(op))) == (compute(op, a, b) == p.value(1, 32)));
  }
}

template <>
void prove<Rule::negate>(Prover& p) {
  for (const Op op : kComparisons) {
    const bool wide = is_wide(op);
    Machine m(p);
    m.cmp(wide, n, q);
    const Bits truth = compute(op, m.read(wide, n), m.read(wide, q));
    p.holds(vm::op_info(op).mnemonic,
            m.holds(rules::negated(rules::condition(op))) == (compute(Op::i32_eqz, truth) == p.value(1, 32)));
  }
}

template <>
void prove<Rule::test_for_zero>(Prover& p) {
  for (const bool wide : {false, true}) {
    const Bits zero = p.value(0, wide ? 64 : 32);
    for (const Op op : kComparisons) {
      if (is_wide(op) != wide || !rules::tests_for_zero(rules::condition(op), 0)) continue;
      CHECK(!rules::tests_for_zero(rules::condition(op), 1));
      Machine m(p);
      m.test(wide, n, n);
      p.holds("of a register", m.holds(rules::condition(op)) == (compute(op, m.read(wide, n), zero) == p.value(1, 32)));
    }
    Machine m(p);
    m.test(wide, n, q);
    const Bits both = compute(pick(wide, Op::i32_and, Op::i64_and), m.read(wide, n), m.read(wide, q));
    p.holds("of two", m.holds(Cond::NE) == (both != zero));
    p.holds("of two, by way of eqz", m.holds(rules::negated(Cond::NE)) ==
                                         (compute(pick(wide, Op::i32_eqz, Op::i64_eqz), both) == p.value(1, 32)));
  }
}

template <>
void prove<Rule::truth>(Prover& p) {
  for (const Op op : kComparisons) {
    const bool wide = is_wide(op);
    Machine m(p);
    const Bits a = m.read(wide, n), b = m.read(wide, q);
    m.cmp(wide, n, q);
    rules::truth(m, rules::condition(op), n);
    p.holds(vm::op_info(op).mnemonic, m.regs[n] == clean(compute(op, a, b)));
  }
}

// ---- sums, shifts ---------------------------------------------------------------------------------------------------

template <>
void prove<Rule::subtract_constant>(Prover& p) {
  // The constant as the compiler has it: of 32 bits, with its sign; what it adds instead fits an instruction.
  for (const bool wide : {false, true}) {
    for (const int64_t constant : {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{0x7fffffff}, int64_t{-0x7fffffff},
                                   int64_t{INT32_MIN}, int64_t{12345}}) {
      const int64_t added = rules::negative(constant, wide);
      if (!rules::fits32(static_cast<uint64_t>(added))) {
        CHECK((wide && constant == INT32_MIN));
        continue;
      }
      Machine m(p);
      const Bits a = any(p, "a", wide);
      m.load(n, held(a));
      rules::add_constant(m, wide, q, n, static_cast<int32_t>(added));
      const unsigned width = wide ? 64 : 32;
      const Bits b = p.value(static_cast<uint64_t>(constant) & (~uint64_t{0} >> (64 - width)), width);
      p.holds("difference", m.regs[q] == held(compute(pick(wide, Op::i32_sub, Op::i64_sub), a, b)));
    }
  }
  // And for all: what is subtracted is the negative of what is added, at each width.
  const Bits c = p.any64("constant"), x = p.any64("x");
  p.holds("64 bits", x - c == x + (p.value(0, 64) - c));
  p.holds("32 bits", low(x) - low(c) == low(x) + low(p.value(0, 64) - c));
}

template <>
void prove<Rule::add_constant>(Prover& p) {
  for (const bool wide : {false, true}) {
    for (const uint8_t to : {n, q}) {
      for (const int32_t constant : {1, -1, INT32_MAX, INT32_MIN, 0x1234567}) {
        Machine m(p);
        const Bits a = m.read(wide, n);  // whatever its upper half
        rules::add_constant(m, wide, to, n, constant);
        const Bits b =
            p.value(wide ? static_cast<uint64_t>(int64_t{constant}) : static_cast<uint32_t>(constant), wide ? 64 : 32);
        p.holds("sum", m.regs[to] == held(compute(pick(wide, Op::i32_add, Op::i64_add), a, b)));
      }
    }
  }
}

template <>
void prove<Rule::add_by_address>(Prover& p) {
  for (const bool wide : {false, true}) {
    for (const uint8_t to : {n, q, s}) {
      Machine m(p);
      const Bits a = m.read(wide, n), b = m.read(wide, q);
      rules::add_by_address(m, wide, to, n, q);
      p.holds("sum", m.regs[to] == held(compute(pick(wide, Op::i32_add, Op::i64_add), a, b)));
    }
  }
}

template <>
void prove<Rule::shift_by_constant>(Prover& p) {
  for (const bool wide : {false, true}) {
    const unsigned width = wide ? 64 : 32;
    for (unsigned low_bits = 0; low_bits < 64; ++low_bits) {
      const uint64_t count = 0xabcdef00ffffff00 + low_bits;  // only the low bits matter
      const unsigned by = rules::shift_count(count, wide);
      const Bits b = p.value(count & (~uint64_t{0} >> (64 - width)), width);
      for (unsigned kind = 0; kind < 3; ++kind) {
        Machine m(p);
        const Bits a = m.read(wide, n);
        m.mov(wide, n, n);
        if (by != 0) kind == 0 ? m.shl(wide, n, by) : kind == 1 ? m.shr(wide, n, by) : m.sar(wide, n, by);
        const Op op = kind == 0   ? pick(wide, Op::i32_shl, Op::i64_shl)
                      : kind == 1 ? pick(wide, Op::i32_shr_u, Op::i64_shr_u)
                                  : pick(wide, Op::i32_shr_s, Op::i64_shr_s);
        p.holds("shift", m.regs[n] == held(compute(op, a, b)));
      }
    }
  }
}

template <>
void prove<Rule::shift_by_register>(Prover& p) {
  // shlx, shrx and sarx take the low 5 or 6 bits of the count, and so does wasm.
  for (const bool wide : {false, true}) {
    const Bits a = any(p, "a", wide), b = any(p, "b", wide), mask = p.value(wide ? 63 : 31, wide ? 64 : 32);
    p.holds("shlx", z3::shl(a, b & mask) == compute(pick(wide, Op::i32_shl, Op::i64_shl), a, b));
    p.holds("shrx", z3::lshr(a, b & mask) == compute(pick(wide, Op::i32_shr_u, Op::i64_shr_u), a, b));
    p.holds("sarx", z3::ashr(a, b & mask) == compute(pick(wide, Op::i32_shr_s, Op::i64_shr_s), a, b));
  }
}

template <>
void prove<Rule::rotate_by_constant>(Prover& p) {
  for (const bool wide : {false, true}) {
    const unsigned width = wide ? 64 : 32;
    const Bits a = any(p, "a", wide);
    for (uint64_t low_bits = 0; low_bits < 64; ++low_bits) {
      for (const bool left : {false, true}) {
        const uint64_t count = 0xfedcba0012345600 + low_bits;
        const unsigned right = rules::rotate_right_count(count, left, wide);
        REQUIRE(right < width);
        const Bits turned = right == 0 ? a : z3::concat(a.extract(right - 1, 0), a.extract(width - 1, right));  // rorx
        const Bits b = p.value(count & (~uint64_t{0} >> (64 - width)), width);
        const Op op = left ? pick(wide, Op::i32_rotl, Op::i64_rotl) : pick(wide, Op::i32_rotr, Op::i64_rotr);
        p.holds("rotation", turned == compute(op, a, b));
      }
    }
  }
}

template <>
void prove<Rule::rotate_by_register>(Prover& p) {
  // rol and ror take the low 5 or 6 bits of cl, the lowest byte of the count.
  for (const bool wide : {false, true}) {
    const unsigned width = wide ? 64 : 32;
    const Bits a = any(p, "a", wide), b = any(p, "b", wide);
    const Bits count = z3::zext(b.extract(7, 0) & p.value(width - 1, 8), width - 8), all = p.value(width, width);
    const Bits left = z3::shl(a, count) | z3::lshr(a, all - count),
               right = z3::lshr(a, count) | z3::shl(a, all - count);
    p.holds("rol", left == compute(pick(wide, Op::i32_rotl, Op::i64_rotl), a, b));
    p.holds("ror", right == compute(pick(wide, Op::i32_rotr, Op::i64_rotr), a, b));
  }
}

// ---- i32 in 64 bits -------------------------------------------------------------------------------------------------

template <>
void prove<Rule::clear_upper_half>(Prover& p) {
  for (const uint8_t to : {n, q}) {
    Machine m(p);
    const Bits a = m.regs[n];
    rules::clear_upper_half(m, to, n);
    p.holds("clear", upper_half_is_zero(m.regs[to]));
    p.holds("i32.wrap_i64", m.regs[to] == clean(compute(Op::i32_wrap_i64, a)));
    p.holds("i64.extend_i32_u of a clear one is nothing", m.regs[to] == compute(Op::i64_extend_i32_u, low(m.regs[to])));
  }
}

template <>
void prove<Rule::load_constant>(Prover& p) {
  const Bits c = p.any64("c");
  // fits32, in the solver's terms; the two agree on the edges.
  const Claim fits = c == z3::sext(low(c), 32);
  for (const uint64_t v : {uint64_t{0}, uint64_t{0x7fffffff}, uint64_t{0x80000000}, uint64_t{0xffffffff},
                           uint64_t{0xffffffff7fffffff}, uint64_t{0xffffffff80000000}, ~uint64_t{0}}) {
    CHECK(rules::fits32(v) == (static_cast<int64_t>(v) >= INT32_MIN && static_cast<int64_t>(v) <= INT32_MAX));
  }
  p.assume(fits);
  p.assumptions_can_hold("fits");
  p.holds("the sign-extended half is the constant", z3::sext(low(c), 32) == c);
  p.holds("within bounds", c >= p.value(0xffffffff80000000, 64) && c <= p.value(0x7fffffff, 64));
}

// ---- addresses and indices ------------------------------------------------------------------------------------------

template <>
void prove<Rule::guarded_address>(Prover& p) {
  // A guarded memory is followed by what 33 bits of address reach and the widest access. An i32 index and a displacement
  // are added without wrapping, whatever the index.
  const Bits index = p.any32("index"), offset = p.any64("offset"), size = p.any64("size");
  p.assume(z3::ule(offset, p.value(0xffffffff, 64)));
  p.assume(z3::ule(size, p.value(16, 64)));
  p.assumptions_can_hold("offset");
  const Bits sum = clean(index) + offset;
  p.holds("no wrap", z3::uge(sum, offset) && z3::uge(sum, clean(index)));
  p.holds("within the guard", z3::ule(sum + size, p.value((uint64_t{1} << 33) + 16, 64)));
  CHECK(rules::is_displacement(0x7fffffff));
  CHECK(!rules::is_displacement(0x80000000));
  // A displacement is sign-extended by the processor: below 2^31 that changes nothing.
  Prover extended;
  const Bits d = extended.any64("d");
  extended.assume(z3::ule(d, extended.value(0x7fffffff, 64)));
  extended.assumptions_can_hold("displacement");
  extended.holds("as it is", z3::sext(low(d), 32) == d);
}

template <>
void prove<Rule::add_offset>(Prover& p) {
  for (const uint64_t offset : {uint64_t{0}, uint64_t{1}, uint64_t{0x7fffffff}, uint64_t{0x80000000},
                                uint64_t{0xffffffff}, ~uint64_t{0}, uint64_t{1} << 63}) {
    for (const bool traps : {false, true}) {
      Machine m(p);
      const Bits index = m.regs[n];
      rules::add_offset(m, s, n, offset, traps);
      const Bits whole = z3::zext(index, 1) + z3::zext(p.value(offset, 64), 1);
      p.holds("sum", m.trapped || (traps ? z3::zext(m.regs[s], 1) == whole : m.regs[s] == whole.extract(63, 0)));
      p.holds("trap", m.trapped == (traps ? whole.extract(64, 64) == p.value(1, 1) : p.truth(false)));
      if (offset <= 0xffffffff) {  // of 32-bit memories, whose sums never wrap
        Prover narrow;
        Machine i32(narrow);
        i32.regs[n] = clean(narrow.any32("index"));
        rules::add_offset(i32, s, n, offset, false);
        narrow.holds("never wraps", z3::uge(i32.regs[s], narrow.value(offset, 64)));
      }
    }
  }
}

template <>
void prove<Rule::wrapped_sum>(Prover& p) {
  for (const uint64_t offset : {uint64_t{1}, uint64_t{0x7fffffff}, uint64_t{0x80000000}, ~uint64_t{0}}) {
    Machine m(p);
    rules::add_offset(m, s, n, offset, false);
    const Bits whole = z3::zext(m.regs[n], 1) + z3::zext(p.value(offset, 64), 1);
    rules::wrapped_sum(m, s, n);
    p.holds("trap", m.trapped == (whole.extract(64, 64) == p.value(1, 1)));
  }
}

template <>
void prove<Rule::checked_address>(Prover& p) {
  for (const unsigned size : {1u, 2u, 4u, 8u, 16u}) {
    Machine m(p);
    const Bits address = m.regs[s], bytes = m.regs[q];
    rules::checked_address(m, s, q, size);
    // In 65 bits, where nothing wraps.
    const Claim inside = z3::ule(z3::zext(address, 1) + p.value(size, 65), z3::zext(bytes, 1));
    p.holds("a trap exactly when it is outside", m.trapped == !inside);
    p.holds("the address is kept", m.trapped || m.regs[s] == address);
    // Where the processor runs ahead of a check that fails, it uses 0, or an address that is inside the memory it holds.
    p.holds("nothing outside runs ahead",
            z3::ult(bytes, p.value(size, 64)) || !m.trapped || m.regs[s] == p.value(0, 64));
  }
}

template <>
void prove<Rule::aligned_address>(Prover& p) {
  for (const unsigned size : {1u, 2u, 4u, 8u}) {
    Machine m(p);
    rules::aligned_address(m, s, size);
    p.holds("multiple", m.trapped == (z3::urem(m.regs[s], p.value(size, 64)) != p.value(0, 64)));
  }
}

template <>
void prove<Rule::table_index>(Prover& p) {
  Machine m(p);
  m.size = p.any64("size");
  const Bits index = m.regs[n];
  rules::table_index(m, q, n);
  p.holds("a trap exactly when it is outside", m.trapped == z3::uge(index, *m.size));
  p.holds("the index", m.trapped || m.regs[q] == index);
  p.holds("nothing outside runs ahead", !m.trapped || m.regs[q] == p.value(0, 64));
}

template <>
void prove<Rule::branch_index>(Prover& p) {
  for (const uint32_t count : {1u, 2u, 0x7fffffffu, 0xffffffffu}) {
    Machine m(p);
    const Bits index = low(m.regs[n]), most = p.value(count, 32);  // whatever the upper half
    rules::branch_index(m, s, n, count);
    p.holds("the lesser", m.regs[s] == clean(z3::ite(z3::ult(index, most), index, most)));
  }
}

}  // namespace vmrun::proofs::baseline

TEST_CASE("each rule of the baseline compiler is proven") {
  using namespace vmrun::proofs;
  size_t proven = 0;
#define X(name)                                                \
  {                                                            \
    INFO("Rule::" #name);                                      \
    Prover prover;                                             \
    baseline::prove<vmrun::jit::baseline::Rule::name>(prover); \
    ++proven;                                                  \
  }
  VMRUN_BASELINE_RULES(X)
#undef X
  CHECK(proven == vmrun::jit::baseline::kRuleCount);
  MESSAGE(proven << " rules of the baseline compiler proven");
}
