// The baseline compiler's rules about division by constants (jit/baseline/rules.h), proven.
#include <bit>
#include <random>
#include <string>

#include "tests/proofs/baseline_machine.h"

namespace vmrun::proofs::baseline {
namespace {

/// Integers without bounds, for lemmas about products. Each product stands for itself: the solver knows of it only what
/// is said.
using Number = z3::expr;
Number number(Prover& p, const char* name) { return p.context().int_const(name); }

}  // namespace

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
  p.assume(pn == pqd + pr);               // n = q * d + r, times P
  p.assume(pr >= 0 && pr <= pd - power);  // r <= d - 1, times P
  p.assume(en >= 0 && en < power);
  p.assume(fnd == pn + en);  // f * d = P + e, times n
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
    halves.holds("half of 2t + u",
                 z3::concat(t, none) + z3::zext(u, 1) == z3::concat(t + z3::lshr(u, one), u.extract(0, 0)));
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
    p.holds("one more for negative n",
            -low(z3::ashr(wide, p.value(63, 64))) == z3::ite(a < 0, p.value(1, 32), p.value(0, 32)));
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

}  // namespace vmrun::proofs::baseline
