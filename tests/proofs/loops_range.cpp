// What the optimising tier concludes about loops over memory (jit/opt/loop_range.h), for all numbers of full width.
//
// The solver is asked in whole numbers, where it is good at sums, and first whether each sum that the code makes fits 64
// bits: then the code's numbers are these. Products of two unknown numbers are beyond it, so each stands for itself: what
// is needed of them are the three laws that moves_within proves.
#include <optional>
#include <vector>

#include "jit/opt/loop_range.h"
#include "jit/opt/rules.h"
#include "tests/proofs/prover.h"

namespace vmrun::proofs {
namespace {

namespace range = jit::opt::range;
using jit::opt::Rule;
using Whole = z3::expr;

/// loop_range.h's arithmetic in whole numbers.
struct Wholes {
  using Number = Whole;
  using Truth = Claim;
  static constexpr unsigned index_bits = range::kIndexBits;
  Prover& prover;
  std::vector<Whole> made{};  // by the code
  /// The one division: a quotient, and its product with the divisor.
  std::optional<Whole> quotient_{}, product_{};

  Whole keep(const Whole& v) {
    made.push_back(v);
    return v;
  }
  Whole number(int64_t v) { return prover.context().int_val(v); }
  Whole number(const Whole& v) { return v; }
  Whole add(const Whole& x, const Whole& y) { return keep(x + y); }
  Whole sub(const Whole& x, const Whole& y) { return keep(x - y); }
  Whole mul(const Whole& x, const Whole&) {
    CHECK(z3::eq(x, *quotient_));
    return keep(*product_);
  }
  void divide(const Whole& x, const Whole& y) {
    if (quotient_) return;
    quotient_ = prover.context().int_const("quotient");
    product_ = prover.context().int_const("quotient * divisor");
    prover.assume(*quotient_ >= 0 && *product_ >= 0 && *quotient_ <= *product_);
    prover.assume(*product_ <= x && x < *product_ + y);
  }
  Whole quotient(const Whole& x, const Whole& y) { return divide(x, y), *quotient_; }
  Whole remainder(const Whole& x, const Whole& y) { return divide(x, y), x - *product_; }
  Whole low_bits(const Whole& x) { return z3::mod(x, number(int64_t{1} << 32)); }
  Whole less_of(const Whole& x, const Whole& y) { return z3::ite(x < y, x, y); }
  Whole greater_of(const Whole& x, const Whole& y) { return z3::ite(x > y, x, y); }
  Claim at_most(const Whole& x, const Whole& y) { return x <= y; }
  Claim both(const Claim& x, const Claim& y) { return x && y; }
  Claim either(const Claim& x, const Claim& y) { return x || y; }

  /// Any number in [from, to].
  Whole between(const char* name, const Whole& from, const Whole& to) {
    Whole v = prover.context().int_const(name);
    prover.assume(from <= v && v <= to);
    return v;
  }
  Whole between(const char* name, int64_t from, int64_t to) { return between(name, number(from), number(to)); }
  /// That the code's sums, whatever the check says, are what 64 bits hold.
  void all_fit() {
    CHECK(!made.empty());
    for (const Whole& v : made)
      prover.holds("a sum of the code fits 64 bits", number(INT64_MIN) <= v && v <= number(INT64_MAX));
  }
};

constexpr int64_t kTwo31 = int64_t{1} << 31, kTwo32 = int64_t{1} << 32, kTwo62 = int64_t{1} << 62;

/// What stays_inside() takes for an extent.
struct UnknownExtent {
  Whole lowest_index, highest_index, lowest, highest;
};

}  // namespace

template <Rule>
void prove(Prover& p);

// Of all real numbers, for which the solver decides products; so it holds of whole ones.
template <>
void prove<Rule::moves_within>(Prover& p) {
  z3::context& c = p.context();
  // An iteration, how many are left, and the step.
  const z3::expr i = c.real_const("i"), rest = c.real_const("rest"), step = c.real_const("step");
  const z3::expr count = i + rest, zero = c.real_val(0), two31 = c.real_val("2147483648"),
                 two62 = c.real_val("4611686018427387904");
  p.assume(i >= zero && rest >= zero && count < two31 && -two31 <= step && step <= two31);
  p.assumptions_can_hold("a loop");
  p.holds("what a loop has moved by lies between 0 and the whole way, upwards",
          z3::implies(step >= zero, zero <= i * step && i * step <= count * step));
  p.holds("and downwards", z3::implies(step <= zero, count * step <= i * step && i * step <= zero));
  p.holds("and before the last iteration is a step away from the end",
          z3::implies(step > zero && rest >= 1, i * step <= count * step - step));
  p.holds("the whole way has less than 63 bits", -two62 <= count * step && count * step <= two62);
}

template <>
void prove<Rule::stays_inside>(Prover&) {
  for (unsigned bits : {range::kWide, 1u, 2u, 3u, 7u, 8u, 15u, 16u, 31u, 32u}) {
    CAPTURE(bits);
    Prover p;
    Wholes a{p};
    const bool wide = bits == range::kWide;
    const int64_t far = wide ? range::wide_limit(32) : int64_t{1} << (bits - 1);
    // Where the first access's index starts; the way to the end, and the way until some iteration. A wide start is any
    // number of 64 bits.
    const Whole start =
        wide ? a.between("start", INT64_MIN, INT64_MAX) : a.between("start", 0, (int64_t{1} << bits) - 1);
    const Whole way = a.between("way", -kTwo62, kTwo62), moved = a.between("moved", -kTwo62, kTwo62);
    p.assume(a.less_of(way, a.number(0)) <= moved && moved <= a.greater_of(way, a.number(0)));
    const Whole size = a.between("size", 0, kTwo32);
    // An access of the group, and an extent that covers it as extent_of() makes it.
    const Whole apart = a.between("apart", -far, far), bytes = a.between("bytes", 1, 16);
    const Whole offset = a.between("offset", 0, wide ? 0 : UINT32_MAX);
    const UnknownExtent extent{a.between("lowest index", -far, far), a.between("highest index", -far, far),
                               a.between("lowest", -far, far + UINT32_MAX),
                               a.between("highest", -far, far + UINT32_MAX + 16)};
    p.assume(extent.lowest_index <= apart && apart <= extent.highest_index);
    p.assume(extent.lowest <= apart + offset && apart + offset + bytes <= extent.highest);

    const auto reach = range::stays_inside(a, start, way, extent, bits, size);
    // A wide start is compared before it is added to, as far as what follows from it counts.
    if (wide) p.assume(a.number(0) <= start && start < a.number(range::wide_limit(32)));
    a.all_fit();
    p.assume(reach.good);
    p.assumptions_can_hold("a group inside of the memory");

    const Whole index = start + moved + apart, address = index + offset;
    p.holds("the access lies in the memory", a.number(0) <= address && address + bytes <= size);
    p.holds("and in the range that other groups are compared with",
            reach.low <= address && address + bytes <= reach.high);
    if (!wide) p.holds("the index does not wrap", a.number(0) <= index && index < a.number(int64_t{1} << bits));
  }
}

template <>
void prove<Rule::pointer_moves>(Prover& p) {
  Wholes a{p};
  // A memory is mapped in the lower half of 48 bits of addresses, and not in the first 4 GiB.
  const Whole base = a.between("base", kTwo32, (int64_t{1} << 47) - 1);
  const Whole address = a.between("address", 0, kTwo32);  // of an iteration: it lies in the memory
  const Whole other = a.between("other", 0, kTwo32);      // of another access of the group in that iteration
  const Whole step = a.between("step", -kTwo31, kTwo31);
  p.assumptions_can_hold("a pointer");
  auto pointer = [&](const Whole& v) { return a.number(0) < v && v < a.number(INT64_MAX); };
  p.holds("the pointer to the next iteration, which may not come, does not wrap", pointer(base + address + step));
  p.holds("nor one at a distance", pointer(base + address + (other - address)));
}

template <>
void prove<Rule::meets>(Prover&) {
  for (const bool up : {false, true}) {
    CAPTURE(up);
    Prover p;
    Wholes a{p};
    const Whole start = a.between("start", 0, kTwo32 - 1), end = a.between("end", 0, kTwo32 - 1);
    const Whole size = a.between("size", 1, kTwo31 - 1);
    const auto found = range::meets(a, start, end, size, up);
    a.all_fit();
    p.assume(found.good);
    p.assumptions_can_hold("a loop that meets its end");
    auto value = [&](const Whole& moved) { return a.low_bits(up ? start + moved : start - moved); };
    p.holds("it meets its end then", value(*a.product_) == end);
    // Of an iteration before: moves_within.
    const Whole moved = a.between("moved", a.number(0), *a.product_ - size);
    p.assumptions_can_hold("an iteration before the end");
    p.holds("and not before", value(moved) != end);
  }
}

template <>
void prove<Rule::crosses>(Prover&) {
  for (unsigned kind = 0; kind < 8; ++kind) {
    const bool up = (kind & 1) != 0, is_signed = (kind & 2) != 0, inclusive = (kind & 4) != 0;
    CAPTURE(kind);
    Prover p;
    Wholes a{p};
    const int64_t least = is_signed ? -kTwo31 : 0, most = is_signed ? kTwo31 - 1 : kTwo32 - 1;
    const Whole start = a.between("start", least, most), end = a.between("end", least, most);
    const Whole size = a.between("size", 1, kTwo31 - 1);
    const auto found = range::crosses(a, start, end, size, up, is_signed, inclusive);
    a.all_fit();
    p.assume(found.good);
    p.assumptions_can_hold("a loop that ends");
    auto value = [&](const Whole& moved) { return up ? start + moved : start - moved; };
    auto is_number = [&](const Whole& v) { return a.number(least) <= v && v <= a.number(most); };
    auto stays = [&](const Whole& v) {
      const Whole x = up ? v : end, y = up ? end : v;
      return inclusive ? x <= y : x < y;
    };
    const Whole last = value(*a.product_);
    p.holds("it ends then, without wrapping", is_number(last) && !stays(last));
    const Whole moved = a.between("moved", a.number(0), *a.product_ - size);  // moves_within
    p.assumptions_can_hold("an iteration before the end");
    p.holds("and not before", is_number(value(moved)) && stays(value(moved)));
  }
}

template <>
void prove<Rule::lies_apart>(Prover& p) {
  Wholes a{p};
  auto any = [&](const char* name) { return a.between(name, INT64_MIN, INT64_MAX); };
  const range::Reach<Wholes> one{any("low"), any("high"), p.truth(true)};
  const range::Reach<Wholes> other{any("other low"), any("other high"), p.truth(true)};
  p.assume(range::lies_apart(a, one, other));
  const Whole at = any("a byte");
  p.assumptions_can_hold("two groups and a byte");
  p.holds("no byte belongs to both", !(one.low <= at && at < one.high && other.low <= at && at < other.high));
}

template <>
void prove<Rule::leads>(Prover&) {
  for (unsigned kind = 0; kind < 4; ++kind) {
    const bool up = (kind & 1) != 0, later = (kind & 2) != 0;
    CAPTURE(kind);
    Prover p;
    Wholes a{p};
    const int64_t far = int64_t{1} << 36;
    const Whole stride = a.between("stride", 1, kTwo31);
    const Whole store = a.between("store", -far, far), store_bytes = a.between("store's bytes", 1, 16);
    const Whole load = a.between("load", -far, far), load_bytes = a.between("load's bytes", 1, 16);
    const Whole writes = a.between("writes", 0, far), reads = a.between("reads", 0, far);
    // What the store's iteration has moved by, and how much further it is to the load's, a multiple of the stride.
    const Whole moved = a.between("moved", 0, kTwo62), further = a.between("further", 0, kTwo62);
    if (later) p.assume(further >= stride);
    const Whole wanted =
        range::lead_of_pair<Whole>(store, store + store_bytes, load, load + load_bytes, stride, up, later);
    p.assume(wanted <= (up ? a.sub(reads, writes) : a.sub(writes, reads)));
    a.all_fit();
    p.assumptions_can_hold("a store and a load");
    const Whole stored = writes + store + (up ? moved : -moved);
    const Whole loaded = reads + load + (up ? moved + further : -(moved + further));
    p.holds("the load sees nothing of the store", stored + store_bytes <= loaded || loaded + load_bytes <= stored);
  }
}

template <>
void prove<Rule::keeps_to_itself>(Prover& p) {
  // Stores: no two in one iteration meet (the function compares them), and all lie within a step. Loads: leads.
  Wholes a{p};
  const int64_t far = int64_t{1} << 36;
  const Whole step = a.between("step", 1, kTwo31), further = a.between("further", 0, kTwo62);
  const Whole one = a.between("one", -far, far), one_bytes = a.between("its bytes", 1, 16);
  const Whole other = a.between("other", -far, far), other_bytes = a.between("other's bytes", 1, 16);
  const Whole from = a.between("from", -far, far), to = a.between("to", -far, far);
  p.assume(from <= one && from <= other && one + one_bytes <= to && other + other_bytes <= to && to - from <= step);
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
