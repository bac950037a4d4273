// What the optimising tier concludes about loops over memory (jit/opt/loop_range.h), proven at full width. Products of
// two unknown numbers are beyond the solver in bits: moves_within proves what is needed of them in whole numbers, and
// the claims about addresses take a product as any number of which that holds.
#include "jit/opt/loop_range.h"

#include "jit/opt/rules.h"
#include "tests/proofs/prover.h"

namespace vmrun::proofs {
namespace {

namespace range = jit::opt::range;
using jit::opt::Rule;

/// loop_range.h's arithmetic as terms of 64 bits.
struct Terms {
  using Number = Bits;
  using Truth = Claim;
  static constexpr unsigned index_bits = range::kIndexBits;
  Prover& prover;
  Bits number(int64_t v) { return prover.value(static_cast<uint64_t>(v), 64); }
  Bits add(const Bits& x, const Bits& y) { return x + y; }
  Bits sub(const Bits& x, const Bits& y) { return x - y; }
  Bits mul(const Bits& x, const Bits& y) { return x * y; }
  Bits quotient(const Bits& x, const Bits& y) { return z3::udiv(x, y); }
  Bits remainder(const Bits& x, const Bits& y) { return z3::urem(x, y); }
  Bits low_bits(const Bits& x) { return clean(low(x)); }
  Bits less_of(const Bits& x, const Bits& y) { return z3::ite(x < y, x, y); }
  Bits greater_of(const Bits& x, const Bits& y) { return z3::ite(x > y, x, y); }
  Claim at_most(const Bits& x, const Bits& y) { return x <= y; }
  Claim both(const Claim& x, const Claim& y) { return x && y; }
  Claim either(const Claim& x, const Claim& y) { return x || y; }
  Bits least(const Bits& x) { return less_of(x, number(0)); }
  Bits most(const Bits& x) { return greater_of(x, number(0)); }
};

constexpr int64_t kMostWay = int64_t{1} << 62;

/// Any number in [from, to].
Bits between(Prover& p, const std::string& name, int64_t from, int64_t to) {
  const Bits v = p.any64(name);
  Terms a{p};
  p.assume(a.number(from) <= v && v <= a.number(to));
  return v;
}

/// stays_inside over an extent of terms: its numbers go into a.number() as they are.
struct UnknownExtent {
  Bits lowest_index, highest_index, lowest, highest;
};
struct TermsOfExtent : Terms {
  using Terms::number;
  Bits number(const Bits& v) { return v; }
};

}  // namespace

template <Rule>
void prove(Prover& p);

// Whole numbers, of which the bounds below make 64 bits enough.
template <>
void prove<Rule::moves_within>(Prover& p) {
  z3::context& c = p.context();
  const z3::expr i = c.int_const("i"), count = c.int_const("count"), step = c.int_const("step");
  const z3::expr two31 = c.int_val(uint64_t{1} << 31), two62 = c.int_val(uint64_t{1} << 62);
  p.assume(0 <= i && i <= count && count < two31 && -two31 <= step && step <= two31);
  p.assumptions_can_hold("a loop");
  // From here, as z3 is asked about one product after the other: what is between is between because the rest of the way
  // has the step's sign.
  p.holds("what a loop has moved by lies between 0 and the whole way, upwards",
          z3::implies(step >= 0, 0 <= i * step && i * step <= count * step));
  p.holds("and downwards", z3::implies(step <= 0, count * step <= i * step && i * step <= 0));
  p.holds("the whole way has less than 63 bits", -two62 <= count * step && count * step <= two62);
}

template <>
void prove<Rule::stays_inside>(Prover&) {
  for (unsigned bits : {range::kWide, 1u, 3u, 8u, 16u, 31u, 32u}) {
    CAPTURE(bits);
    Prover each;
    TermsOfExtent a{{each}};
    const bool wide = bits == range::kWide;
    const int64_t far = wide ? range::wide_limit(32) : int64_t{1} << (bits - 1);
    // The loop: where the first access's index starts, the way to the end, and the way until some iteration.
    Bits start = each.any64("start");
    if (!wide) each.assume(start >= 0 && start < a.number(int64_t{1} << bits));
    const Bits way = between(each, "way", -kMostWay, kMostWay);
    const Bits moved = each.any64("moved");
    each.assume(a.least(way) <= moved && moved <= a.most(way));
    const Bits size = between(each, "size", 0, int64_t{1} << 32);
    // An access of the group, and numbers that cover it as extent_of() makes them.
    const Bits apart = between(each, "apart", -far, far);
    const Bits offset = between(each, "offset", 0, wide ? 0 : UINT32_MAX);
    const Bits bytes = between(each, "bytes", 1, 16);
    const UnknownExtent extent{between(each, "lowest_index", -far, far), between(each, "highest_index", -far, far),
                               between(each, "lowest", -far, far + UINT32_MAX),
                               between(each, "highest", -far, far + UINT32_MAX + 16)};
    each.assume(extent.lowest_index <= apart && apart <= extent.highest_index);
    each.assume(extent.lowest <= apart + offset && apart + offset + bytes <= extent.highest);

    const auto reach = range::stays_inside(a, start, way, extent, bits, size);
    each.assume(reach.good);
    each.assumptions_can_hold("a group inside of the memory");

    const Bits index = start + moved + apart;  // without wrapping, as the bounds say
    const Bits address = index + offset;
    each.holds("the access lies in the memory", a.number(0) <= address && address + bytes <= size);
    each.holds("and in the range that other groups are compared with",
               reach.low <= address && address + bytes <= reach.high);
    if (!wide) {
      // What the instruction adds its offset to is the sum's low bits.
      const Bits wrapped = bits == 32 ? clean(low(index)) : z3::zext(index.extract(bits - 1, 0), 64 - bits);
      each.holds("the index is what n bits hold", wrapped == index);
    }
  }
}

template <>
void prove<Rule::pointer_moves>(Prover& p) {
  Terms a{p};
  // A mapping lies in the lower half of 48 bits of addresses.
  const Bits base = between(p, "base", 0, (int64_t{1} << 47) - 1);
  const Bits address = between(p, "address", 0, int64_t{1} << 32);     // of an iteration: it lies in the memory
  const Bits step = between(p, "step", -(int64_t{1} << 31), int64_t{1} << 31);
  const Bits other = between(p, "other", 0, int64_t{1} << 32);  // of another access of the group in that iteration
  p.assumptions_can_hold("a pointer");
  const Bits pointer = base + address;
  // As pointers are numbers without a sign, the one that moves below the memory must not get below zero.
  p.assume(base >= a.number(int64_t{1} << 32));
  p.holds("the pointer to the next iteration, which may not come, does not wrap",
          z3::implies(step >= 0, z3::uge(pointer + step, pointer)) &&
              z3::implies(step < 0, z3::ult(pointer + step, pointer)));
  const Bits distance = other - address;
  p.holds("nor one at a distance", pointer + distance == base + other && z3::ult(base + other, a.number(INT64_MAX)));
}

template <>
void prove<Rule::meets>(Prover& p) {
  // For any step: the template with the step's size as a term, by its parts. A step that is a term cannot be divided by
  // at this width, so the quotient is any number that fits the division's law.
  Terms a{p};
  const Bits start = clean(p.any32("start")), end = clean(p.any32("end"));
  for (int64_t step : {int64_t{1}, int64_t{-1}, int64_t{2}, int64_t{3}, int64_t{-4}, int64_t{12}, int64_t{INT32_MAX},
                       -int64_t{INT32_MAX}}) {
    CAPTURE(step);
    const auto found = range::meets(a, start, end, step);
    const Bits i = p.any32("i");
    const Bits value = low(start) + i * p.value(static_cast<uint64_t>(step), 32);
    p.holds("it meets its end then",
            z3::implies(found.good, low(start) + low(found.value) * p.value(static_cast<uint64_t>(step), 32) == low(end)));
    if (step * step > 16) continue;  // the product with any i is too much for the solver: the law below stands for it
    p.holds("and not before", z3::implies(found.good && z3::ult(clean(i), found.value), value != low(end)));
  }
  // The law, in whole numbers: less than the way without wrapping, so not a multiple of 2^32 beyond it.
  Prover whole;
  z3::context& c = whole.context();
  const z3::expr i = c.int_const("i"), steps = c.int_const("steps"), size = c.int_const("size"),
                 way = c.int_const("way");
  whole.assume(size > 0 && 0 <= way && way < c.int_val(uint64_t{1} << 32) && way == steps * size);
  whole.assume(0 <= i && i < steps);
  whole.assumptions_can_hold("a way of several steps");
  whole.holds("what has been moved before the end is less than the way", i * size < way && i * size >= 0);
}

template <>
void prove<Rule::crosses>(Prover&) {
  for (const bool is_signed : {false, true}) {
    for (const bool inclusive : {false, true}) {
      for (int64_t step : {int64_t{1}, int64_t{-1}, int64_t{2}, int64_t{3}, int64_t{-4}, int64_t{INT32_MAX}}) {
        CAPTURE(is_signed);
        CAPTURE(inclusive);
        CAPTURE(step);
        Prover p;
        Terms a{p};
        const Bits start32 = p.any32("start"), end32 = p.any32("end");
        auto wide = [&](const Bits& v) { return is_signed ? z3::sext(v, 32) : z3::zext(v, 32); };
        const auto found = range::crosses(a, wide(start32), wide(end32), step, is_signed, inclusive);
        auto stays = [&](const Bits& v) {
          const Bits x = step > 0 ? v : end32, y = step > 0 ? end32 : v;
          if (is_signed) return inclusive ? x <= y : x < y;
          return inclusive ? z3::ule(x, y) : z3::ult(x, y);
        };
        auto value = [&](const Bits& i) { return start32 + i * p.value(static_cast<uint64_t>(step), 32); };
        p.assume(found.good);
        p.assumptions_can_hold("a loop that ends");
        p.holds("it ends then", !stays(value(low(found.value))));
        const Bits i = p.any64("i");
        p.assume(i >= 0 && i < found.value);
        p.holds("and not before", stays(value(low(i))));
      }
    }
  }
}

template <>
void prove<Rule::lies_apart>(Prover& p) {
  Terms a{p};
  auto any = [&](const char* low, const char* high) {
    return range::Reach<Terms>{p.any64(low), p.any64(high), p.truth(true)};
  };
  const auto one = any("low", "high"), other = any("other low", "other high");
  p.assume(range::lies_apart(a, one, other));
  p.assumptions_can_hold("two groups");
  const Bits at = p.any64("a byte");
  p.holds("no byte belongs to both", !(one.low <= at && at < one.high && other.low <= at && at < other.high));
}

template <>
void prove<Rule::leads>(Prover&) {
  for (const bool up : {false, true}) {
    for (const bool later : {false, true}) {
      Prover p;
      Terms a{p};
      const int64_t far = int64_t{1} << 36;
      const Bits stride = between(p, "stride", 1, int64_t{1} << 31);
      const Bits store = between(p, "store", -far, far), store_bytes = between(p, "store's bytes", 1, 16);
      const Bits load = between(p, "load", -far, far), load_bytes = between(p, "load's bytes", 1, 16);
      const Bits writes = between(p, "writes", 0, far), reads = between(p, "reads", 0, far);
      // What the store's iteration has moved by, and how much further it is to the load's (a multiple of the stride).
      const Bits moved = between(p, "moved", 0, far), further = between(p, "further", 0, far);
      if (later) p.assume(further >= stride);
      const Bits wanted =
          range::lead_of_pair<Bits>(store, store + store_bytes, load, load + load_bytes, stride, up, later);
      p.assume(up ? wanted <= reads - writes : wanted <= writes - reads);
      p.assumptions_can_hold("a store and a load");
      const Bits stored = writes + store + (up ? moved : a.number(0) - moved);
      const Bits loaded = reads + load + (up ? moved + further : a.number(0) - (moved + further));
      p.holds("the load sees nothing of the store",
              stored + store_bytes <= loaded || loaded + load_bytes <= stored);
    }
  }
}

template <>
void prove<Rule::keeps_to_itself>(Prover& p) {
  // Stores: no two in one iteration meet (the function compares them), and all lie within a step. Loads: Rule::leads.
  const int64_t far = int64_t{1} << 36;
  const Bits step = between(p, "step", 1, int64_t{1} << 31);
  const Bits one = between(p, "one", -far, far), one_bytes = between(p, "its bytes", 1, 16);
  const Bits other = between(p, "other", -far, far), other_bytes = between(p, "other's bytes", 1, 16);
  const Bits from = between(p, "from", -far, far), to = between(p, "to", -far, far);
  p.assume(from <= one && from <= other && one + one_bytes <= to && other + other_bytes <= to && to - from <= step);
  const Bits further = between(p, "further", 0, far);
  p.assume(further >= step);
  p.assumptions_can_hold("two stores");
  p.holds("a later iteration's store, upwards, does not meet this one's", one + one_bytes <= other + further);
  p.holds("nor downwards", other - further + other_bytes <= one);
}

TEST_CASE("each rule of the optimising tier is proven") {
  struct Row {
    const char* name;
    void (*prove)(Prover&);
  };
  const Row rows[] = {
#define X(name) {#name, &prove<Rule::name>},
      VMRUN_OPT_RULES(X)
#undef X
  };
  static_assert(sizeof rows / sizeof *rows == jit::opt::kRuleCount);
  for (const Row& row : rows) {
    CAPTURE(row.name);
    Prover prover;
    row.prove(prover);
  }
  MESSAGE("rules of the optimising tier: ", jit::opt::kRuleCount);
}

}  // namespace vmrun::proofs
