// The baseline compiler's rules (jit/baseline/rules.h), proven: sequences run on a machine that calculates with the
// solver's bits, as the processor's manual says of its instructions (Intel SDM volume 2).
#include <array>
#include <functional>
#include <optional>
#include <random>
#include <vector>

#include "jit/baseline/rules.h"
#include "tests/proofs/prover.h"

namespace vmrun::proofs::baseline {

namespace rules = jit::baseline::rules;
using jit::baseline::Rule;
using rules::Cond;
using vm::Op;

template <Rule rule>
void prove(Prover& p);

namespace {

constexpr uint8_t rax = 0, rdx = 2, n = 3, q = 4, s = 5;  // registers, as the compiler numbers those that matter

/// Integer registers and flags after some instructions. What an instruction does to flags that no rule looks at is left
/// out: they are anything from then on.
class Machine {
 public:
  explicit Machine(Prover& p) : p_(p), trapped(p.truth(false)) {
    for (unsigned i = 0; i < 16; ++i) regs.push_back(p.any64("r" + std::to_string(i)));
  }

  void mov(bool wide, uint8_t to, uint8_t from) { write(wide, to, read(wide, from)); }
  void load(uint8_t to, uint64_t bits) { regs[to] = p_.value(bits, 64); }
  void load(uint8_t to, const Bits& bits) { regs[to] = bits; }
  void move_zero(uint8_t to) { regs[to] = p_.value(0, 64); }
  void clear(uint8_t to) { regs[to] = p_.value(0, 64), forget_flags(); }
  void add(bool wide, uint8_t to, uint8_t from) { add(wide, to, read(wide, from)); }
  void sub(bool wide, uint8_t to, uint8_t from) { write(wide, to, subtract(read(wide, to), read(wide, from))); }
  void add_constant(bool wide, uint8_t to, int32_t by) { add(wide, to, constant(wide, by)); }
  void sub_constant(uint8_t to, int32_t by) { write(true, to, subtract(read(true, to), constant(true, by))); }
  void and_constant(bool wide, uint8_t to, int32_t with) {
    write(wide, to, read(wide, to) & constant(wide, with)), forget_flags();
  }
  void imul(bool wide, uint8_t to, uint8_t by) { write(wide, to, read(wide, to) * read(wide, by)), forget_flags(); }
  void imul_constant(bool wide, uint8_t to, int32_t by) {
    write(wide, to, read(wide, to) * constant(wide, by)), forget_flags();
  }
  void mulx(uint8_t high, uint8_t low, uint8_t by) {
    const Bits product = z3::zext(regs[rdx], 64) * z3::zext(regs[by], 64);
    regs[low] = product.extract(63, 0);
    regs[high] = product.extract(127, 64);
  }
  void imul_rax(uint8_t by) {
    const Bits product = z3::sext(regs[rax], 64) * z3::sext(regs[by], 64);
    regs[rax] = product.extract(63, 0);
    regs[rdx] = product.extract(127, 64);
    forget_flags();
  }
  void neg(bool wide, uint8_t to) { write(wide, to, -read(wide, to)), forget_flags(); }
  void shl(bool wide, uint8_t to, unsigned by) { write(wide, to, z3::shl(read(wide, to), count(wide, by))), forget_flags(); }
  void shr(bool wide, uint8_t to, unsigned by) { write(wide, to, z3::lshr(read(wide, to), count(wide, by))), forget_flags(); }
  void sar(bool wide, uint8_t to, unsigned by) { write(wide, to, z3::ashr(read(wide, to), count(wide, by))), forget_flags(); }
  void sign_extend32(uint8_t reg) { regs[reg] = z3::sext(read(false, reg), 32); }
  void lea(bool wide, uint8_t to, uint8_t base, int32_t by) {
    const Bits sum = regs[base] + constant(true, by);
    write(wide, to, wide ? sum : low(sum));
  }
  void lea_sum(bool wide, uint8_t to, uint8_t base, uint8_t index) {
    const Bits sum = regs[base] + regs[index];
    write(wide, to, wide ? sum : low(sum));
  }
  void cmp(bool wide, uint8_t a, uint8_t b) { subtract(read(wide, a), read(wide, b)); }
  void test(bool wide, uint8_t a, uint8_t b) { conjunction(read(wide, a) & read(wide, b)); }
  void test_byte(uint8_t reg, uint8_t mask) { conjunction(regs[reg].extract(7, 0) & p_.value(mask, 8)); }
  void cmov(Cond cond, bool wide, uint8_t to, uint8_t from) {
    write(wide, to, z3::ite(holds(cond), read(wide, from), read(wide, to)));
  }
  void set(Cond cond, uint8_t to) {
    const Bits byte = z3::ite(holds(cond), p_.value(1, 8), p_.value(0, 8));
    regs[to] = z3::concat(regs[to].extract(63, 8), byte);
  }
  void zero_extend8(uint8_t reg) { regs[reg] = z3::zext(regs[reg].extract(7, 0), 56); }
  void trap_if(Cond cond) { trapped = trapped || holds(cond); }
  void compare_with_size(uint8_t index) { subtract(regs[index], *size); }

  Bits read(bool wide, uint8_t reg) const { return wide ? regs[reg] : low(regs[reg]); }
  void write(bool wide, uint8_t to, const Bits& value) { regs[to] = wide ? value : clean(value); }
  Claim holds(Cond cond) const {
    const unsigned code = static_cast<unsigned>(cond);
    const Claim basic = [&] {
      switch (code >> 1) {
        case 0: return *overflow;
        case 1: return *carry;
        case 2: return *zero;
        case 3: return *carry || *zero;
        case 4: return *sign;
        case 6: return *sign != *overflow;
        default: return *zero || *sign != *overflow;
      }
    }();
    return (code & 1) != 0 ? !basic : basic;
  }

 private:
  Bits constant(bool wide, int32_t v) const {
    return p_.value(wide ? static_cast<uint64_t>(int64_t{v}) : static_cast<uint32_t>(v), wide ? 64 : 32);
  }
  Bits count(bool wide, unsigned by) const { return p_.value(by & (wide ? 63 : 31), wide ? 64 : 32); }
  static Claim negative(const Bits& v) {
    const unsigned top = v.get_sort().bv_size() - 1;
    return v.extract(top, top) == v.ctx().bv_val(1, 1);
  }
  void results(const Bits& v) {
    zero = v == v.ctx().bv_val(0, v.get_sort().bv_size());
    sign = negative(v);
  }
  void add(bool wide, uint8_t to, const Bits& by) {
    const Bits from = read(wide, to), sum = from + by;
    results(sum);
    carry = z3::ult(sum, from);
    overflow = negative((from ^ sum) & (by ^ sum));
    write(wide, to, sum);
  }
  Bits subtract(const Bits& a, const Bits& b) {
    const Bits difference = a - b;
    results(difference);
    carry = z3::ult(a, b);
    overflow = negative((a ^ b) & (a ^ difference));
    return difference;
  }
  void conjunction(const Bits& v) {
    results(v);
    carry = overflow = p_.truth(false);
  }
  void forget_flags() { carry = zero = sign = overflow = std::nullopt; }

  Prover& p_;
  std::optional<Claim> carry, zero, sign, overflow;

 public:
  std::vector<Bits> regs;
  Claim trapped;
  std::optional<Bits> size;  // of the table
};

Bits any(Prover& p, const char* name, bool wide) { return p.any(name, wide ? 64 : 32); }
/// A register that holds an operand: an i32 with its upper half clear.
Bits held(const Bits& operand) { return operand.get_sort().bv_size() == 32 ? clean(operand) : operand; }
Op pick(bool wide, Op narrow_op, Op wide_op) { return wide ? wide_op : narrow_op; }

constexpr Op kComparisons[] = {Op::i32_eq,   Op::i32_ne,   Op::i32_lt_s, Op::i32_lt_u, Op::i32_gt_s, Op::i32_gt_u, Op::i32_le_s,
                               Op::i32_le_u, Op::i32_ge_s, Op::i32_ge_u, Op::i64_eq,   Op::i64_ne,   Op::i64_lt_s, Op::i64_lt_u,
                               Op::i64_gt_s, Op::i64_gt_u, Op::i64_le_s, Op::i64_le_u, Op::i64_ge_s, Op::i64_ge_u};
bool is_wide(Op op) { return std::string(vm::op_info(op).mnemonic).starts_with("i64"); }

/// Integers without bounds, for lemmas about products. Each product stands for itself: the solver knows of it only what
/// is said.
using Number = z3::expr;
Number number(Prover& p, const char* name) { return p.context().int_const(name); }

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
        const Bits b = p.value(wide ? static_cast<uint64_t>(int64_t{constant}) : static_cast<uint32_t>(constant),
                               wide ? 64 : 32);
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
    const Bits left = z3::shl(a, count) | z3::lshr(a, all - count), right = z3::lshr(a, count) | z3::shl(a, all - count);
    p.holds("rol", left == compute(pick(wide, Op::i32_rotl, Op::i64_rotl), a, b));
    p.holds("ror", right == compute(pick(wide, Op::i32_rotr, Op::i64_rotr), a, b));
  }
}

// ---- division by powers of two --------------------------------------------------------------------------------------

template <>
void prove<Rule::divide_unsigned_by_power>(Prover& p) {
  for (const bool wide : {false, true}) {
    const unsigned width = wide ? 64 : 32;
    for (unsigned log2 = 0; log2 < width; ++log2) {
      for (const bool remainder : {false, true}) {
        Machine m(p);
        const Bits a = any(p, "a", wide), d = p.value(uint64_t{1} << log2, width);
        m.load(n, held(a));
        rules::divide_unsigned_by_power(m, wide, n, log2, remainder);
        const Op op = remainder ? pick(wide, Op::i32_rem_u, Op::i64_rem_u) : pick(wide, Op::i32_div_u, Op::i64_div_u);
        p.holds("by 2^" + std::to_string(log2), m.regs[n] == held(compute(op, a, d)));
      }
    }
  }
}

template <>
void prove<Rule::divide_signed_by_power>(Prover& p) {
  // What says that a quotient is rounded towards zero: what is left has the dividend's sign, and is less than the divisor.
  // With one bit more than the width, so that nothing wraps; the solver is slow at division itself.
  for (const bool wide : {false, true}) {
    const unsigned width = wide ? 64 : 32;
    const Bits a = any(p, "a", wide), a1 = z3::sext(a, 1), none = p.value(0, width + 1);
    for (unsigned log2 = 0; log2 < width; ++log2) {
      auto run = [&](bool negative, bool remainder) {
        Machine m(p);
        m.load(n, held(a));
        rules::divide_signed_by_power(m, wide, n, s, log2, negative, remainder);
        if (!wide) p.holds("upper half", upper_half_is_zero(m.regs[n]));
        return m.read(wide, n);
      };
      INFO("by 2^" << log2);
      const Bits count = p.value(log2, width + 1), one = p.value(1, width + 1), power = z3::shl(one, count);
      const Bits quotient = run(false, false), product = z3::shl(z3::sext(quotient, 1), count), rest = a1 - product;
      if (log2 != width - 1) {
        p.holds("the product is exact", z3::ashr(product, count) == z3::sext(quotient, 1));
        p.holds("less than the divisor", rest < power && -rest < power);
        p.holds("the dividend's sign", rest == none || (rest < none) == (a1 < none));
        p.holds("what is left", z3::sext(run(false, true), 1) == rest);
      }
      if (log2 == 0) continue;  // by -1 there may be a trap: the general way
      // Of the negative divisor: the negative quotient, and the same rest. 2^(width - 1) is there as its negative only.
      const Bits opposite = run(true, false);
      if (log2 != width - 1) {
        p.holds("by the negative", opposite == -quotient);
        p.holds("what is left by the negative", z3::sext(run(true, true), 1) == rest);
      } else {
        const Bits least = z3::shl(p.value(1, width), p.value(width - 1, width)), zero = p.value(0, width);
        p.holds("by the least", opposite == z3::ite(a == least, p.value(1, width), zero));
        p.holds("what is left by the least", run(true, true) == z3::ite(a == least, zero, a));
      }
    }
  }
}

// ---- division by other constants ------------------------------------------------------------------------------------
//
// A product of two unknowns and a division by an unknown are beyond the solver at full width. The proofs go in steps:
//  1. The sequence computes the formula of reciprocal.h: by the solver, at full width, for any factor. The formula is
//     written in the sequence's order, so that products are the same terms and need not be multiplied out.
//  2. If factor * d = 2^k + e with 0 <= e and e * |n| <= ... as each lemma says, the formula is the quotient: by the
//     solver, in whole numbers, products standing for themselves.
//  3. The factors fulfil that, by the way they are computed: exactly, for all d of small widths and many of the full ones.
//  4. The model: the formulas with the factors, for all n and d of small widths, compared with division.

namespace {

using Wide = unsigned __int128;

/// Lemma for dividends that are not negative: with P = 2^k, f * d = P + e, 0 <= e and e * n < P, the whole part of
/// n * f / P is that of n / d.
void quotient_lemma(Prover& p) {
  const Number d = number(p, "d"), quotient = number(p, "q"), rest = number(p, "r"), power = number(p, "P");
  const Number pn = number(p, "P*n"), en = number(p, "e*n"), pq = number(p, "P*q"), pqd = number(p, "P*q*d");
  const Number pr = number(p, "P*r"), pd = number(p, "P*d"), fnd = number(p, "f*n*d");
  p.assume(d >= 1 && quotient >= 0 && rest >= 0 && rest < d && power >= 1);
  p.assume(pn == pqd + pr);        // n = q * d + r, times P
  p.assume(pr >= 0 && pr <= pd - power);  // r <= d - 1, times P
  p.assume(en >= 0 && en < power);
  p.assume(fnd == pn + en);        // f * d = P + e, times n
  p.assume(pq >= 0);
  p.assumptions_can_hold("quotient");
  // q * P <= n * f < (q + 1) * P, each times d.
  p.holds("not less", pqd <= fnd);
  p.holds("not more", fnd < pqd + pd);
}

/// Lemma for dividends -m, m > 0: with f * d = P + e, 0 < e and e * m <= P, the whole part of m * f / P, rounded up, is
/// that of m / d and one more; so -m * f / P, rounded down as a shift does, and one more, is m / d rounded towards zero,
/// with its sign.
void negative_lemma(Prover& p) {
  const Number d = number(p, "d"), quotient = number(p, "q"), rest = number(p, "r"), power = number(p, "P");
  const Number pm = number(p, "P*m"), em = number(p, "e*m"), pqd = number(p, "P*q*d"), pr = number(p, "P*r");
  const Number pd = number(p, "P*d"), fmd = number(p, "f*m*d");
  p.assume(d >= 1 && quotient >= 0 && rest >= 0 && rest < d && power >= 1);
  p.assume(pm == pqd + pr && pr >= 0 && pr <= pd - power);
  p.assume(em > 0 && em <= power);
  p.assume(fmd == pm + em);
  p.assumptions_can_hold("negative quotient");
  p.holds("more than the quotient", fmd > pqd);
  p.holds("one more at most", fmd <= pqd + pd);
}

/// factor * d - 2^power, modulo 2^128.
Wide error_of(Wide factor, uint64_t d, unsigned power) { return factor * d - (power >= 128 ? 0 : Wide{1} << power); }

/// Whether the numbers for `d` fulfil what the lemmas want.
bool unsigned_is_exact(uint64_t d, unsigned width) {
  const jit::baseline::Reciprocal r = jit::baseline::reciprocal(d, width);
  const Wide factor = Wide{r.factor} + (r.add ? Wide{1} << width : 0);
  // Halving the sum of n and t before the shift makes the shift one more.
  const unsigned shift = r.shift + (r.add ? 1 : 0);
  const Wide error = error_of(factor, d, width + shift);
  return error > 0 && error <= Wide{1} << shift;  // so error * n < 2^(width + shift)
}
bool signed_is_exact(uint64_t d, unsigned width) {
  const jit::baseline::Reciprocal r = jit::baseline::signed_reciprocal(d, width);
  // A factor with its top bit set is used as itself minus 2^width, and n is added.
  if (r.add != ((r.factor >> (width - 1) & 1) != 0)) return false;
  const Wide error = error_of(r.factor, d, width + r.shift);
  return error > 0 && error <= Wide{1} << (r.shift + 1);  // |n| <= 2^(width - 1)
}
bool narrow_is_exact(uint64_t d, unsigned width) {
  const Wide factor = Wide{jit::baseline::double_reciprocal(d, width)};
  const Wide error = error_of(factor, d, 2 * width);
  if (error > Wide{1} << width) return false;
  if (d > uint64_t{1} << (width - 1)) return true;
  const jit::baseline::NarrowReciprocal r = jit::baseline::signed_narrow_reciprocal(d, width);
  const Wide signed_error = error_of(r.factor, d, r.shift);
  return r.factor <= Wide{1} << width && signed_error > 0 && signed_error <= Wide{1} << (r.shift - width + 1);
}

/// All divisors of small widths, and of the full ones the edges and a hundred thousand others.
template <class Exact>
void all_are_exact(unsigned full, uint64_t least, uint64_t (*most)(unsigned), bool powers, Exact exact) {
  for (unsigned width = 3; width <= 12; ++width) {
    for (uint64_t d = least; d <= most(width); ++d) {
      if (powers || !std::has_single_bit(d)) REQUIRE(exact(d, width));
    }
  }
  std::mt19937_64 random(1);
  auto one = [&](uint64_t d) {
    if (d >= least && d <= most(full) && (powers || !std::has_single_bit(d))) REQUIRE(exact(d, full));
  };
  for (unsigned bit = 1; bit < full; ++bit) {
    for (int64_t off = -3; off <= 3; ++off) one((uint64_t{1} << bit) + static_cast<uint64_t>(off));
  }
  for (uint64_t off = 0; off < 8; ++off) one(most(full) - off);
  for (int i = 0; i < 100'000; ++i) one(random() >> (random() % full));
}

uint64_t all_bits(unsigned width) { return ~uint64_t{0} >> (64 - width); }
uint64_t half(unsigned width) { return uint64_t{1} << (width - 1); }
int64_t signed_of(uint64_t v, unsigned width) { return static_cast<int64_t>(v << (64 - width)) >> (64 - width); }

}  // namespace

template <>
void prove<Rule::divide_unsigned32>(Prover& p) {
  Machine m(p);
  const Bits a = p.any32("a"), factor = p.any64("factor");
  m.load(rdx, clean(a));
  struct AnyFactor : Machine {  // the factor is an unknown, not a number
    Bits factor;
    AnyFactor(const Machine& m, const Bits& f) : Machine(m), factor(f) {}
    using Machine::load;
    void load(uint8_t to, uint64_t) { regs[to] = factor; }
  } run(m, factor);
  rules::divide_unsigned32(run, q, s, 0);
  p.holds("the sequence is the formula",
          run.regs[q] == (z3::zext(clean(a), 64) * z3::zext(factor, 64)).extract(127, 64));
  Prover lemma;
  quotient_lemma(lemma);
  all_are_exact(32, 2, all_bits, true, narrow_is_exact);
  for (unsigned width = 3; width <= 8; ++width) {
    for (uint64_t d = 2; d <= all_bits(width); ++d) {
      for (uint64_t v = 0; v <= all_bits(width); ++v) {
        REQUIRE(static_cast<uint64_t>(Wide{v} * jit::baseline::double_reciprocal(d, width) >> (2 * width)) == v / d);
      }
    }
  }
}

template <>
void prove<Rule::divide_unsigned64>(Prover& p) {
  const Bits a = p.any64("a"), factor = p.any64("factor");
  for (unsigned shift = 0; shift < 64; ++shift) {
    for (const bool add : {false, true}) {
      struct AnyFactor : Machine {
        Bits factor;
        AnyFactor(Prover& prover, const Bits& f) : Machine(prover), factor(f) {}
        void load(uint8_t to, uint64_t) { regs[to] = factor; }
      } m(p, factor);
      m.regs[rdx] = a;
      rules::divide_unsigned64(m, q, rdx, s, {0, shift, add});
      const Bits t = (z3::zext(a, 64) * z3::zext(factor, 64)).extract(127, 64), one = p.value(1, 64);
      const Bits sum = add ? t + z3::lshr(a - t, one) : t;
      p.holds("the sequence is the formula", m.regs[q] == z3::lshr(sum, p.value(shift, 64)));
      p.holds("the dividend is kept", m.regs[rdx] == a);
    }
  }
  // With t at most n, half of n - t, plus t, is half of n + t without its carry lost: so the formula multiplies with
  // 2^64 + factor, and shifts by one more. With n = t + u, in 65 bits where nothing wraps: n + t is 2t + u, whose half is
  // t and half of u.
  {
    Prover halves;
    const Bits t = halves.any64("t"), u = halves.any64("u"), one = halves.value(1, 64), none = halves.value(0, 1);
    halves.holds("the rest", (t + u) - t == u);
    halves.holds("2t + u", z3::concat(t, none) == z3::zext(t, 1) + z3::zext(t, 1));
    halves.holds("half of 2t + u", z3::concat(t, none) + z3::zext(u, 1) ==
                                       z3::concat(t + z3::lshr(u, one), u.extract(0, 0)));
  }
  Prover lemma;
  quotient_lemma(lemma);
  all_are_exact(64, 3, all_bits, false, unsigned_is_exact);
  for (unsigned width = 3; width <= 8; ++width) {
    for (uint64_t d = 3; d <= all_bits(width); ++d) {
      if (std::has_single_bit(d)) continue;
      const jit::baseline::Reciprocal r = jit::baseline::reciprocal(d, width);
      for (uint64_t v = 0; v <= all_bits(width); ++v) {
        const uint64_t t = v * r.factor >> width;
        REQUIRE((r.add ? (((v - t) >> 1) + t) >> r.shift : t >> r.shift) == v / d);
      }
    }
  }
}

template <>
void prove<Rule::divide_signed32>(Prover& p) {
  const Bits a = p.any32("a"), factor = p.any64("factor");
  for (unsigned shift = 32; shift < 63; ++shift) {
    struct AnyFactor : Machine {
      Bits factor;
      AnyFactor(Prover& prover, const Bits& f) : Machine(prover), factor(f) {}
      void load(uint8_t to, uint64_t) { regs[to] = factor; }
    } m(p, factor);
    m.regs[n] = clean(a);
    rules::divide_signed32(m, q, n, s, {0, shift});
    const Bits wide = z3::sext(a, 32);
    const Bits shifted = z3::ashr(factor * wide, p.value(shift, 64));
    p.holds("the sequence is the formula", m.regs[q] == clean(low(shifted) - low(z3::ashr(wide, p.value(63, 64)))));
    p.holds("one more for negative n", -low(z3::ashr(wide, p.value(63, 64))) == z3::ite(a < 0, p.value(1, 32), p.value(0, 32)));
  }
  // The factor is at most 2^32 (narrow_is_exact), so that products of 64 bits are exact: the outermost ones fit.
  for (const int64_t extreme : {int64_t{INT32_MIN}, int64_t{INT32_MAX}}) {
    const __int128 product = static_cast<__int128>(extreme) << 32;
    CHECK(product == static_cast<int64_t>(product));
  }
  Prover lemma, negative;
  quotient_lemma(lemma);
  negative_lemma(negative);
  all_are_exact(32, 2, half, true, narrow_is_exact);
  for (unsigned width = 3; width <= 8; ++width) {
    for (uint64_t d = 2; d <= half(width); ++d) {
      const jit::baseline::NarrowReciprocal r = jit::baseline::signed_narrow_reciprocal(d, width);
      for (uint64_t v = 0; v <= all_bits(width); ++v) {
        const int64_t value = signed_of(v, width);
        const int64_t quotient = (value * static_cast<int64_t>(r.factor) >> r.shift) + (value < 0);
        REQUIRE(quotient == value / static_cast<int64_t>(d));
      }
    }
  }
}

template <>
void prove<Rule::divide_signed64>(Prover& p) {
  const Bits a = p.any64("a"), factor = p.any64("factor");
  for (unsigned shift = 0; shift < 63; ++shift) {
    for (const bool add : {false, true}) {
      struct AnyFactor : Machine {
        Bits factor;
        AnyFactor(Prover& prover, const Bits& f) : Machine(prover), factor(f) {}
        void load(uint8_t to, uint64_t) { regs[to] = factor; }
      } m(p, factor);
      m.regs[n] = a;
      rules::divide_signed64(m, rax, rdx, n, {0, shift, add});
      const Bits high = (z3::sext(factor, 64) * z3::sext(a, 64)).extract(127, 64), t = add ? high + a : high;
      const Bits sign = z3::ashr(a, p.value(63, 64));
      p.holds("the sequence is the formula", m.regs[rdx] == z3::ashr(t, p.value(shift, 64)) - sign);
      p.holds("one more for negative n", -sign == z3::ite(a < 0, p.value(1, 64), p.value(0, 64)));
      p.holds("the dividend is kept", m.regs[n] == a);
    }
  }
  Prover lemma, negative;
  quotient_lemma(lemma);
  negative_lemma(negative);
  all_are_exact(64, 3, half, true, signed_is_exact);
  for (unsigned width = 3; width <= 8; ++width) {
    for (uint64_t d = 3; d <= half(width); ++d) {
      const jit::baseline::Reciprocal r = jit::baseline::signed_reciprocal(d, width);
      for (uint64_t v = 0; v <= all_bits(width); ++v) {
        const int64_t value = signed_of(v, width);
        const int64_t high = value * signed_of(r.factor, width) >> width;
        const int64_t t = signed_of(static_cast<uint64_t>(high + (r.add ? value : 0)) & all_bits(width), width);
        REQUIRE((t >> r.shift) + (value < 0) == value / static_cast<int64_t>(d));
      }
    }
  }
}

template <>
void prove<Rule::remainder>(Prover& p) {
  for (const bool wide : {false, true}) {
    for (const uint64_t d : {uint64_t{3}, uint64_t{0x7fffffff}, uint64_t{0xfffffff1}, uint64_t{0x123456789abcdef1}}) {
      if (!wide && d > UINT32_MAX) continue;
      Machine m(p);
      const Bits a = any(p, "a", wide), quotient = any(p, "quotient", wide);
      m.load(n, held(a)), m.load(q, held(quotient));
      rules::remainder(m, wide, n, q, s, d);
      p.holds("what is left", m.regs[n] == held(a - quotient * p.value(d, wide ? 64 : 32)));
    }
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
    p.holds("i64.extend_i32_u of a clear one is nothing",
            m.regs[to] == compute(Op::i64_extend_i32_u, low(m.regs[to])));
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
#define X(name)                                                    \
  {                                                                \
    INFO("Rule::" #name);                                          \
    Prover prover;                                                 \
    baseline::prove<vmrun::jit::baseline::Rule::name>(prover);     \
    ++proven;                                                      \
  }
  VMRUN_BASELINE_RULES(X)
#undef X
  CHECK(proven == vmrun::jit::baseline::kRuleCount);
  MESSAGE(proven << " rules of the baseline compiler proven");
}
