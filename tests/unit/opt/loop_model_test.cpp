// The arithmetic that decides about loops over memory (jit/opt/loop_range.h) at widths at which all loops can be walked:
// indices of three or four bits, sums of twice as many. What it says is compared with what the walk meets.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "jit/opt/loop_range.h"

namespace range = vmrun::jit::opt::range;

namespace {

/// Numbers of 2 * index_bits bits, which wrap.
struct Small {
  using Number = int64_t;
  using Truth = bool;
  unsigned index_bits;
  int64_t number(int64_t v) const {
    const unsigned rest = 64 - 2 * index_bits;
    return static_cast<int64_t>(static_cast<uint64_t>(v) << rest) >> rest;
  }
  int64_t add(int64_t x, int64_t y) const { return number(x + y); }
  int64_t sub(int64_t x, int64_t y) const { return number(x - y); }
  int64_t mul(int64_t x, int64_t y) const { return number(x * y); }
  int64_t quotient(int64_t x, int64_t y) const { return number(unsign(x) / unsign(y)); }
  int64_t remainder(int64_t x, int64_t y) const { return number(unsign(x) % unsign(y)); }
  int64_t low_bits(int64_t x) const { return x & ((1 << index_bits) - 1); }
  int64_t less_of(int64_t x, int64_t y) const { return std::min(x, y); }
  int64_t greater_of(int64_t x, int64_t y) const { return std::max(x, y); }
  bool at_most(int64_t x, int64_t y) const { return x <= y; }
  bool both(bool x, bool y) const { return x && y; }
  bool either(bool x, bool y) const { return x || y; }
  int64_t unsign(int64_t x) const { return x & ((int64_t{1} << (2 * index_bits)) - 1); }
};

/// The low `bits` bits of a number, with their sign or without.
int64_t wrapped(int64_t v, unsigned bits) { return v & ((int64_t{1} << bits) - 1); }
int64_t wrapped_signed(int64_t v, unsigned bits) {
  const int64_t low = wrapped(v, bits), half = int64_t{1} << (bits - 1);
  return low >= half ? low - 2 * half : low;
}

/// Checks one group of two accesses against the walk; counts what is good.
struct GroupWalk {
  Small a;
  unsigned bits;
  int64_t start, step, count, size;
  range::Member first, second;

  /// What the copy relies on, in whole numbers: few iterations, indices that do not wrap, accesses inside.
  bool should_be_good() const {
    if (count >= int64_t{1} << (a.index_bits - 1)) return false;
    for (int64_t i = 0; i <= count; ++i) {
      for (const range::Member& m : {first, second}) {
        const int64_t index = start + i * step + m.apart;
        if (index < 0 || (bits != range::kWide && index >= int64_t{1} << bits)) return false;
        if (index + m.offset + m.bytes > size) return false;
      }
    }
    return true;
  }
  bool check() const {
    Small emitted = a;
    const range::Extent extent = range::extent_of(range::extent_of({}, first), second);
    const bool few = range::few_enough(emitted, emitted.number(count));
    const auto reach =
        range::stays_inside(emitted, start, emitted.mul(emitted.number(count), step), extent, bits, size);
    return few && reach.good;
  }
  /// Whether each access of the copy is where the loop's own is, and in the memory.
  bool walk() const {
    const unsigned index = bits == range::kWide ? 2 * a.index_bits : bits;
    for (int64_t i = 0; i <= count; ++i) {
      for (const range::Member& m : {first, second}) {
        const int64_t own = wrapped(start + i * step + m.apart, index) + m.offset;
        const int64_t distance = m.apart + m.offset - first.offset;
        const int64_t copied = start + first.offset + i * step + distance;
        if (own != copied || copied < 0 || copied + m.bytes > size) return false;
      }
    }
    return true;
  }
};

uint64_t all_groups(unsigned index_bits, unsigned bits, const std::vector<int64_t>& offsets) {
  const Small a{index_bits};
  const bool wide = bits == range::kWide;
  const int64_t indices = int64_t{1} << index_bits;
  const int64_t starts = wide ? 2 * indices + 2 : int64_t{1} << bits;
  const int64_t half = int64_t{1} << ((wide ? index_bits : bits) - 1), far = wide ? indices / 2 : half;
  uint64_t good = 0, wrong = 0;
  GroupWalk g{a, bits, 0, 0, 0, 0, {}, {}};
  for (g.start = 0; g.start < starts; ++g.start)
    for (g.step = -half; g.step < half; ++g.step)
      for (g.count = 0; g.count < indices; ++g.count)
        for (g.size = 0; g.size <= indices; ++g.size)
          for (int64_t k1 : offsets)
            for (int64_t k2 : offsets)
              for (int64_t apart = -far; apart < far; ++apart)
                for (int64_t bytes : {1, 2}) {
                  if (wide && (k1 != 0 || k2 != 0)) continue;
                  g.first = {0, k1, 1};
                  g.second = {apart, k2, bytes};
                  const bool said = g.check();
                  good += said;
                  wrong += said != g.should_be_good() || (said && !g.walk());
                }
  CHECK(wrong == 0);
  return good;
}

/// Whether a loop that compares so stays.
bool compare(int64_t x, int64_t y, bool inclusive) { return inclusive ? x <= y : x < y; }

}  // namespace

TEST_CASE("a checked group of accesses stays inside and does not wrap, for all small loops") {
  for (unsigned bits : {1u, 2u, 3u}) CHECK(all_groups(3, bits, {0, 1, 2, 3, 4, 5, 6, 7}) > 100);
  for (unsigned bits : {range::kWide, 1u, 2u, 3u, 4u}) CHECK(all_groups(4, bits, {0, 1, 15}) > 100);
}

TEST_CASE("the number of iterations is what a walk counts, for all small loops and ways to end") {
  Small a{4};
  constexpr int64_t kValues = 16, kHalf = 8;
  uint64_t good = 0, wrong = 0;
  for (int64_t start = 0; start < kValues; ++start) {
    for (int64_t end = 0; end < kValues; ++end) {
      for (int64_t step = 1 - kHalf; step < kHalf; ++step) {
        if (step == 0) continue;
        // Ends where it meets the value; all values are met after as many steps as there are, or never.
        int64_t steps = 0;
        while (steps <= kValues && wrapped(start + steps * step, 4) != end) ++steps;
        const auto met = range::meets(a, start, end, step > 0 ? step : -step, step > 0);
        good += met.good;
        wrong += met.good && met.value != steps;
        wrong += !met.good && steps * (step > 0 ? step : -step) < kValues;  // it gets there without wrapping
        for (const bool is_signed : {false, true}) {
          for (const bool inclusive : {false, true}) {
            auto meaning = [&](int64_t v) { return is_signed ? wrapped_signed(v, 4) : wrapped(v, 4); };
            auto stays = [&](int64_t v) {
              return step > 0 ? compare(v, meaning(end), inclusive) : compare(meaning(end), v, inclusive);
            };
            steps = 0;
            while (steps <= kValues && stays(meaning(start + steps * step))) ++steps;
            int64_t straight = 0;  // without wrapping
            while (stays(meaning(start) + straight * step)) ++straight;
            const int64_t last = meaning(start) + straight * step;
            const auto crossed = range::crosses(a, meaning(start), meaning(end), step > 0 ? step : -step, step > 0,
                                                is_signed, inclusive);
            good += crossed.good;
            wrong += crossed.good && crossed.value != steps;
            wrong += crossed.good != (meaning(last) == last);
          }
        }
      }
    }
  }
  CHECK(wrong == 0);
  CHECK(good > 1000);
}

namespace {

/// Numbers as they are, for addresses that are small.
struct Exact {
  using Number = int64_t;
  using Truth = bool;
  int64_t number(int64_t v) const { return v; }
  int64_t sub(int64_t x, int64_t y) const { return x - y; }
  bool at_most(int64_t x, int64_t y) const { return x <= y; }
  bool either(bool x, bool y) const { return x || y; }
};

constexpr int64_t kIterations = 4;
constexpr unsigned kAccesses = 3;

/// A loop of three accesses in two groups.
struct Body {
  struct One {
    unsigned group;
    range::Touch touch;
  };
  std::array<One, kAccesses> accesses;
  int64_t step;
  std::array<int64_t, 2> starts;
  unsigned skipped = 0;  // accesses that odd iterations leave out, as bits; then the loop has several blocks

  std::vector<range::Touch> group(unsigned g) const {
    std::vector<range::Touch> touches;
    for (const One& a : accesses) {
      if (a.group == g) touches.push_back(a.touch);
    }
    return touches;
  }

  /// As Observer::find_independence and Versioner::independence put the rules together.
  bool parallel() const {
    const bool ordered = skipped == 0;
    Exact a;
    std::array<bool, 2> stores{};
    std::array<range::Reach<Exact>, 2> reach{};
    for (unsigned g : {0u, 1u}) {
      const std::vector<range::Touch> touches = group(g);
      int64_t low = 1000, high = -1000;
      for (const range::Touch& t : touches) {
        stores[g] |= t.store;
        low = std::min({low, starts[g] + t.distance, starts[g] + t.distance + step * (kIterations - 1)});
        high = std::max({high, starts[g] + t.end(), starts[g] + t.end() + step * (kIterations - 1)});
      }
      reach[g] = {low, high, true};
      if (stores[g] && !range::keeps_to_itself(touches, step, ordered)) return false;
    }
    for (unsigned g : {0u, 1u}) {
      const unsigned other = 1 - g;
      if (!stores[g] || group(other).empty()) continue;
      bool fine = range::lies_apart(a, reach[g], reach[other]);
      if (range::may_lead(ordered, stores[other], step, step)) {
        fine |= range::leads(a, starts[g], starts[other], step, range::lead_wanted(group(g), group(other), step));
      }
      if (!fine) return false;
    }
    return true;
  }

  /// What the loads see and what is in memory then. `lanes` iterations at a time, instruction by instruction, with the
  /// loads first where they are between stores; 1: as the loop is written.
  std::vector<int> run(int64_t lanes) const {
    std::vector<int> memory(64), seen(kAccesses * kIterations * 2);
    const bool loads_first = lanes > 1 && skipped == 0;
    for (int64_t from = 0; from < kIterations; from += lanes) {
      for (const bool stores : {false, true}) {
        for (unsigned n = 0; n < kAccesses; ++n) {
          const One& a = accesses[n];
          if (loads_first ? a.touch.store != stores : stores) continue;
          for (int64_t i = from; i < std::min(from + lanes, kIterations); ++i) {
            if ((skipped >> n & 1) != 0 && i % 2 == 1) continue;
            for (int64_t byte = 0; byte < a.touch.bytes; ++byte) {
              int& cell = memory[static_cast<size_t>(starts[a.group] + i * step + a.touch.distance + byte)];
              const auto name = static_cast<size_t>((n * kIterations + i) * 2 + byte);
              if (a.touch.store) cell = static_cast<int>(name) + 1;
              if (!a.touch.store) seen[name] = cell;
            }
          }
        }
      }
    }
    memory.insert(memory.end(), seen.begin(), seen.end());
    return memory;
  }
};

}  // namespace

TEST_CASE("iterations that are said not to disturb each other give the same side by side, for all small loops") {
  std::vector<Body::One> kinds;
  for (unsigned group : {0u, 1u})
    for (int64_t distance : {0, 1, 3})
      for (int64_t bytes : {1, 2})
        for (bool store : {false, true}) kinds.push_back({group, {distance, bytes, store, 0}});
  uint64_t parallel = 0, wrong = 0;
  for (const Body::One& first : kinds) {
    if (first.group != 0 || first.touch.distance != 0) continue;  // as the first of a group lies
    for (const Body::One& second : kinds) {
      for (const Body::One& third : kinds) {
        for (int64_t step : {-3, -2, -1, 1, 2, 4}) {
          for (int64_t ahead = -8; ahead <= 8; ++ahead) {
            for (unsigned skipped : {0u, 1u, 2u, 4u, 6u}) {
              Body body{{first, second, third}, step, {28, 28 + ahead}, skipped};
              for (unsigned n = 0; n < kAccesses; ++n) body.accesses[n].touch.place = n;
              if (!body.parallel()) continue;
              ++parallel;
              const std::vector<int> expected = body.run(1);
              for (int64_t lanes : {2, 3, 4}) wrong += body.run(lanes) != expected;
            }
          }
        }
      }
    }
  }
  CHECK(wrong == 0);
  CHECK(parallel > 10'000);
}
