// Division by constants in baseline code, which multiplies instead.
#include <doctest/doctest.h>

#include <random>

#include "jit/baseline/reciprocal.h"
#include "tests/support/numeric_compare.h"

using namespace vmrun::jit::baseline;

namespace {

using Wide = unsigned __int128;

/// Dividends where a quotient changes, and the extremes.
std::vector<uint64_t> dividends(uint64_t d, unsigned bits, std::mt19937_64& random) {
  const uint64_t mask = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  std::vector<uint64_t> out = {0, 1, 2, mask, mask - 1, mask >> 1, (mask >> 1) + 1, (mask >> 1) + 2, mask >> 2};
  for (int i = 0; i < 20; ++i) {
    const uint64_t multiple = (random() & mask) / d * d;
    for (uint64_t n : {multiple, multiple - 1, multiple + 1, 0 - multiple, 1 - multiple, ~multiple}) {
      out.push_back(n & mask);
    }
  }
  const uint64_t last = mask / d * d;
  for (uint64_t n : {last, last - 1, (mask >> 1) / d * d, (mask >> 1) / d * d - 1}) out.push_back(n & mask);
  return out;
}

std::vector<uint64_t> divisors(unsigned bits, std::mt19937_64& random) {
  const uint64_t mask = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  std::vector<uint64_t> out;
  for (uint64_t d = 2; d < 130; ++d) out.push_back(d);
  for (unsigned log2 = 3; log2 < bits; ++log2) {
    for (uint64_t d : {(uint64_t{1} << log2) - 1, uint64_t{1} << log2, (uint64_t{1} << log2) + 1}) out.push_back(d);
  }
  for (uint64_t d : {mask, mask - 1, mask / 3, mask / 5, uint64_t{1000000007} & mask}) out.push_back(d);
  for (int i = 0; i < 300; ++i) out.push_back(std::max<uint64_t>(2, (random() & mask) >> random() % (bits - 1)));
  return out;
}

}  // namespace

TEST_CASE("reciprocals") {
  std::mt19937_64 random(7);
  for (uint64_t d : divisors(32, random)) {
    const auto d32 = static_cast<uint32_t>(d);
    const NarrowReciprocal s = d <= uint64_t{1} << 31 ? signed_narrow_reciprocal(d32, 32) : NarrowReciprocal{0, 0};
    for (uint64_t n : dividends(d, 32, random)) {
      const auto unsigned_quotient = static_cast<uint64_t>(Wide{n} * double_reciprocal(d32, 32) >> 64);
      REQUIRE(unsigned_quotient == n / d);
      if (s.factor == 0) continue;
      const int64_t value = static_cast<int32_t>(n);
      const int64_t product = value * static_cast<int64_t>(s.factor);
      const int64_t quotient = (product >> s.shift) + (value < 0 ? 1 : 0);
      REQUIRE(quotient == value / static_cast<int64_t>(d));
    }
  }
  for (uint64_t d : divisors(64, random)) {
    for (uint64_t n : dividends(d, 64, random)) {
      if (!std::has_single_bit(d)) {
        const Reciprocal r = reciprocal(d, 64);
        const auto t = static_cast<uint64_t>(Wide{n} * r.factor >> 64);
        const uint64_t quotient = (r.add ? ((n - t) >> 1) + t : t) >> r.shift;
        REQUIRE(quotient == n / d);
      }
      if (d >> 63 != 0) continue;
      const Reciprocal r = signed_reciprocal(d, 64);
      const auto value = static_cast<int64_t>(n);
      auto t = static_cast<int64_t>(static_cast<__int128>(value) * static_cast<int64_t>(r.factor) >> 64);
      if (r.add) t = static_cast<int64_t>(static_cast<uint64_t>(t) + n);
      const int64_t quotient = (t >> r.shift) + (value < 0 ? 1 : 0);
      REQUIRE(quotient == value / static_cast<int64_t>(d));
    }
  }
}

TEST_CASE("divisions by many constants") {
  using vmrun::vm::Op;
  std::mt19937_64 random(8);
  const auto compiler = vmrun::jit::make_baseline_compiler();
  for (unsigned bits : {32u, 64u}) {
    const bool wide = bits == 64;
    std::vector<uint64_t> constants = divisors(bits, random);
    for (size_t i = constants.size(); i-- > 0;) constants.push_back(0 - constants[i]);
    std::vector<vmrun::test::Probe> probes;
    for (uint64_t d : constants) {
      for (Op op : {wide ? Op::i64_div_u : Op::i32_div_u, wide ? Op::i64_div_s : Op::i32_div_s,
                    wide ? Op::i64_rem_u : Op::i32_rem_u, wide ? Op::i64_rem_s : Op::i32_rem_s}) {
        const char letter = wide ? 'l' : 'i';
        vmrun::test::Probe probe{op, {}, std::string(2, letter), letter, vmrun::test::Variant::constant, {}};
        probe.constant = wide ? vmrun::test::cell_of(d) : vmrun::test::cell_of(static_cast<uint32_t>(d));
        probes.push_back(probe);
      }
    }
    vmrun::test::Comparison(*compiler, probes).run();
  }
}
