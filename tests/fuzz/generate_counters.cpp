// Counters of loops, and indices that are made of them.
#include "generate_edges.h"

namespace vmrun::test::generate {

Op compare_op(unsigned row, bool wide) {
  static const std::vector<Op> narrow_ops = ops_of(vm::Family::int_compare, 'i');
  static const std::vector<Op> wide_ops = ops_of(vm::Family::int_compare, 'l');
  return wide ? wide_ops[row] : narrow_ops[row];
}

uint64_t Counter::moved(uint64_t value) const {
  value += step;
  if (wide) return value;
  auto low = static_cast<uint32_t>(value);
  if (narrow == 8) low = sign ? static_cast<uint32_t>(static_cast<int8_t>(low)) : low & 0xff;
  if (narrow == 16) low = sign ? static_cast<uint32_t>(static_cast<int16_t>(low)) : low & 0xffff;
  return low;
}

bool Counter::goes_on(uint64_t value) const {
  const auto compares = [&](auto a, auto b, auto sa, auto sb) {
    switch (compare) {
      case 0: return a == b;
      case 1: return a != b;
      case 2: return sa < sb;
      case 3: return a < b;
      case 4: return sa > sb;
      case 5: return a > b;
      case 6: return sa <= sb;
      case 7: return a <= b;
      case 8: return sa >= sb;
      default: return a >= b;
    }
  };
  if (wide) return compares(value, bound, static_cast<int64_t>(value), static_cast<int64_t>(bound));
  const auto a = static_cast<uint32_t>(value), b = static_cast<uint32_t>(bound);
  return compares(a, b, static_cast<int32_t>(a), static_cast<int32_t>(b));
}

bool Counter::run(size_t most) {
  values.clear();
  for (uint64_t value = first; values.size() < most;) {
    values.push_back(value);
    value = moved(value);
    if (!goes_on(value)) return true;
  }
  return false;
}

uint32_t edge_of_32(Random& r) {
  static const std::vector<uint32_t> kEdges = {0,          1,          0x7fffffff, 0x80000000, 0xffffffff, 0x7ffffffe,
                                               0x80000001, 0xfffffffe, 0xffff,     0x10000,    0x7fff,     0x8000,
                                               0xff,       0x100,      0x40000000, 0xc0000000};
  const uint32_t around = r.one_in(2) ? 0 : r.below(128) - 64;
  return r.one_in(8) ? static_cast<uint32_t>(r.bits()) : r.of(kEdges) + around;
}

uint32_t any_step(Random& r) {
  static const std::vector<uint32_t> kEdges = {0x7fffffff, 0x80000000, 0x80000001, 0x7ffffffe,
                                               0x40000000, 0x10001,    0xffff0001};
  switch (r.below(8)) {
    case 0: return r.of(kEdges);
    case 1: return 1u << r.below(32);
    case 2: return 0u - (1u << r.below(32));
    case 3: return r.below(20) - 10;
    case 4: return ~0u;
    default: return 1;
  }
}

Counter any_counter(Random& r) {
  for (int tries = 0; tries < 60; ++tries) {
    Counter counter;
    counter.wide = r.one_in(5);
    const auto widen = [&](uint32_t n) {
      return counter.wide ? static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(n))) : n;
    };
    counter.step = widen(any_step(r));
    if (counter.step == 0) continue;
    counter.first = r.one_in(2) ? r.below(4) : widen(edge_of_32(r));
    if (counter.wide && r.one_in(3)) counter.first += r.bits() << 32;
    if (!counter.wide && r.one_in(5)) {
      counter.narrow = r.one_in(2) ? 8 : 16;
      counter.sign = r.one_in(2);
    }
    const uint32_t count = 1 + r.below(r.one_in(3) ? 10 : 250);
    counter.bound = counter.first + counter.step * count + (r.one_in(3) ? r.below(5) - 2 : 0);
    if (!counter.wide) counter.first &= 0xffffffff, counter.bound &= 0xffffffff, counter.step &= 0xffffffff;
    counter.compare = r.one_in(3) ? 1 : 1 + r.below(9);
    if (counter.run(300) && (counter.values.size() > 1 || r.one_in(10))) return counter;
  }
  Counter counter;
  counter.bound = 1 + r.below(250);
  counter.run(300);
  return counter;
}

std::span<const Index> all_indices() {
  static constexpr Index kIndices[] = {
      {"i", [](uint32_t i, uint32_t) { return i; }, [](Code&, uint32_t) {}},
      {"i << n", [](uint32_t i, uint32_t n) { return i << (n & 3); },
       [](Code& c, uint32_t n) { c.i32(n & 3).op(Op::i32_shl); }},
      {"i * n", [](uint32_t i, uint32_t n) { return i * (1 + n % 12); },
       [](Code& c, uint32_t n) { c.i32(1 + n % 12).op(Op::i32_mul); }},
      {"-i", [](uint32_t i, uint32_t) { return 0 - i; }, [](Code& c, uint32_t) { c.i32(~0u).op(Op::i32_mul); }},
      {"i & 7", [](uint32_t i, uint32_t) { return i & 7; }, [](Code& c, uint32_t) { c.i32(7).op(Op::i32_and); }},
      {"i & 63", [](uint32_t i, uint32_t) { return i & 63; }, [](Code& c, uint32_t) { c.i32(63).op(Op::i32_and); }},
      {"i & 255", [](uint32_t i, uint32_t) { return i & 255; }, [](Code& c, uint32_t) { c.i32(255).op(Op::i32_and); }},
      {"i & 0xffff", [](uint32_t i, uint32_t) { return i & 0xffff; },
       [](Code& c, uint32_t) { c.i32(0xffff).op(Op::i32_and); }},
      {"(i + n) & 255", [](uint32_t i, uint32_t n) { return (i + n) & 255; },
       [](Code& c, uint32_t n) { c.i32(n).op(Op::i32_add).i32(255).op(Op::i32_and); }},
      {"(i & 255) << 2", [](uint32_t i, uint32_t) { return (i & 255) << 2; },
       [](Code& c, uint32_t) { c.i32(255).op(Op::i32_and).i32(2).op(Op::i32_shl); }},
      {"(i << 2) & 1020", [](uint32_t i, uint32_t) { return (i << 2) & 1020; },
       [](Code& c, uint32_t) { c.i32(2).op(Op::i32_shl).i32(1020).op(Op::i32_and); }},
      {"i << 24 >> 24", [](uint32_t i, uint32_t) { return i & 255; },
       [](Code& c, uint32_t) { c.i32(24).op(Op::i32_shl).i32(24).op(Op::i32_shr_u); }},
      {"i << 16 >> 16", [](uint32_t i, uint32_t) { return i & 0xffff; },
       [](Code& c, uint32_t) { c.i32(16).op(Op::i32_shl).i32(16).op(Op::i32_shr_u); }},
      {"signed i << 24 >> 24", [](uint32_t i, uint32_t) { return static_cast<uint32_t>(static_cast<int8_t>(i)); },
       [](Code& c, uint32_t) { c.i32(24).op(Op::i32_shl).i32(24).op(Op::i32_shr_s); }},
      {"i << 26 >> 24", [](uint32_t i, uint32_t) { return i << 26 >> 24; },
       [](Code& c, uint32_t) { c.i32(26).op(Op::i32_shl).i32(24).op(Op::i32_shr_u); }},
      {"extend8_s", [](uint32_t i, uint32_t) { return static_cast<uint32_t>(static_cast<int8_t>(i)); },
       [](Code& c, uint32_t) { c.op(Op::i32_extend8_s); }},
      {"extend16_s", [](uint32_t i, uint32_t) { return static_cast<uint32_t>(static_cast<int16_t>(i)); },
       [](Code& c, uint32_t) { c.op(Op::i32_extend16_s); }},
      {"i % n", [](uint32_t i, uint32_t n) { return i % (1 + n % 100); },
       [](Code& c, uint32_t n) { c.i32(1 + n % 100).op(Op::i32_rem_u); }},
      {"i >> n", [](uint32_t i, uint32_t n) { return i >> (n & 7); },
       [](Code& c, uint32_t n) { c.i32(n & 7).op(Op::i32_shr_u); }},
      {"i ^ n", [](uint32_t i, uint32_t n) { return i ^ n; }, [](Code& c, uint32_t n) { c.i32(n).op(Op::i32_xor); }},
      {"i & 0x7fffffff", [](uint32_t i, uint32_t) { return i & 0x7fffffff; },
       [](Code& c, uint32_t) { c.i32(0x7fffffff).op(Op::i32_and); }},
      {"as i64", [](uint32_t i, uint32_t) { return i; },
       [](Code& c, uint32_t) { c.op(Op::i64_extend_i32_u).i64(0x500000000).op(Op::i64_add).op(Op::i32_wrap_i64); }},
      {"fixed", [](uint32_t, uint32_t n) { return n & 1023; }, [](Code& c, uint32_t n) { c.drop().i32(n & 1023); }},
  };
  return kIndices;
}

}  // namespace vmrun::test::generate
