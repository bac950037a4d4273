// The arithmetic of loops.cpp: how far the accesses of a loop reach, how often it goes round, and when its iterations do
// not disturb each other. It is stated once, over an arithmetic `A` of the user's: code that runs before the loop (IR),
// the solver's terms (tests/proofs/loops_range.cpp), or numbers of a few bits (tests/unit/opt/loop_model_test.cpp,
// which walks all loops of that size).
//
// An index is a number of at most `kIndexBits` bits, and sums are made in twice as many. The bounds below make all sums
// exact: a step has kIndexBits bits with its sign, a loop goes round less than 2^(kIndexBits - 1) times, so the way that
// an address moves is less than 2^(2 * kIndexBits - 2), and starts, offsets and sizes are small beside that.
//
// `A` has the types Number (two's complement, 2 * kIndexBits bits) and Truth, and the functions used here; comparisons
// are signed, quotients and remainders are of numbers that are not negative.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

namespace vmrun::jit::opt::range {

/// Bits of an index into a 32-bit memory.
inline constexpr unsigned kIndexBits = 32;

template <class Number, class Truth>
struct Checked {
  Number value;
  Truth good;  // else the value means nothing
};

// ---- how often --------------------------------------------------------------------------------------------------------

/// Whether a loop that goes round so often (jumps back so often) may be considered at all.
template <class A>
typename A::Truth few_enough(A& a, typename A::Number count) {
  return a.both(a.at_most(a.number(0), count), a.at_most(count, a.number((int64_t{1} << (a.index_bits - 1)) - 1)));
}

/// Rule::meets. How often a value that starts at `start` and moves by `size` upwards or downwards (of index_bits bits,
/// it wraps) differs from `end` before it meets it. Both are zero-extended; 0 < size < 2^(index_bits - 1).
template <class A>
Checked<typename A::Number, typename A::Truth> meets(A& a, typename A::Number start, typename A::Number end,
                                                     typename A::Number size, bool up) {
  const auto way = a.low_bits(up ? a.sub(end, start) : a.sub(start, end));
  // The first meeting is the one without wrapping, if there is one.
  return {a.quotient(way, size), a.at_most(a.remainder(way, size), a.number(0))};
}

/// Rule::crosses. How often such a value is less than `end` (downwards: greater), or with `inclusive` not beyond it.
/// Both are zero-extended, or with `is_signed` sign-extended; 0 < size < 2^(index_bits - 1). Good: it gets there without
/// wrapping.
template <class A>
Checked<typename A::Number, typename A::Truth> crosses(A& a, typename A::Number start, typename A::Number end,
                                                       typename A::Number size, bool up, bool is_signed,
                                                       bool inclusive) {
  if (inclusive) end = a.add(end, a.number(up ? 1 : -1));  // the first value that ends the loop, or lies before it
  const auto way = a.greater_of(up ? a.sub(end, start) : a.sub(start, end), a.number(0));
  const auto steps = a.quotient(a.add(way, a.sub(size, a.number(1))), size);
  const auto moved = a.mul(steps, size);
  const int64_t half = int64_t{1} << (a.index_bits - 1);
  if (up) return {steps, a.at_most(a.add(start, moved), a.number(is_signed ? half - 1 : 2 * half - 1))};
  return {steps, a.at_most(a.number(is_signed ? -half : 0), a.sub(start, moved))};
}

// ---- how far ----------------------------------------------------------------------------------------------------------

/// An access of a group, whose indices keep a constant distance: at (index of the group's first access + apart) + offset.
struct Member {
  int64_t apart = 0;   // of the index; as a signed number of the index's bits
  int64_t offset = 0;  // the instruction's own; not negative
  int64_t bytes = 0;
};

/// What the members of a group come to, from the first one's index.
struct Extent {
  int64_t lowest_index = INT64_MAX, highest_index = INT64_MIN;
  int64_t lowest = INT64_MAX, highest = INT64_MIN;  // all bytes lie in [lowest, highest)
};
constexpr Extent extent_of(const Extent& extent, const Member& m) {
  return {std::min(extent.lowest_index, m.apart), std::max(extent.highest_index, m.apart),
          std::min(extent.lowest, m.apart + m.offset), std::max(extent.highest, m.apart + m.offset + m.bytes)};
}

/// A wide index is a sum of 2 * index_bits bits that the optimiser has made of an index and an offset.
inline constexpr unsigned kWide = 0;
/// Starts of wide indices, and how far they lie from each other, are less than this.
constexpr int64_t wide_limit(unsigned index_bits) { return int64_t{1} << (index_bits + 1); }

template <class A>
struct Reach {
  typename A::Number low, high;  // all that the group touches lies in [low, high) of the memory
  typename A::Truth good;
};

/// Rule::stays_inside. Where a group reaches whose first index is `start` (zero-extended) and moves by `way` in all (0
/// or the product of count and step; each iteration's index lies between). Good: no index of `bits` bits wraps, so that
/// each is the sum of start, what it has moved by and its `apart`; and all accesses lie in the memory of `size` bytes,
/// at most 2^index_bits.
template <class A, class ItsExtent>
Reach<A> stays_inside(A& a, typename A::Number start, typename A::Number way, const ItsExtent& extent, unsigned bits,
                      typename A::Number size) {
  const auto least = a.add(start, a.less_of(way, a.number(0)));
  const auto most = a.add(start, a.greater_of(way, a.number(0)));
  Reach<A> reach{a.add(least, a.number(extent.lowest)), a.add(most, a.number(extent.highest)),
                 a.at_most(a.number(0), a.add(least, a.number(extent.lowest_index)))};
  reach.good = a.both(reach.good, a.at_most(reach.high, size));
  if (bits == kWide) {
    reach.good = a.both(
        reach.good, a.both(a.at_most(a.number(0), start), a.at_most(start, a.number(wide_limit(a.index_bits) - 1))));
  } else if (bits < a.index_bits) {  // an index that lies in the memory has index_bits bits anyway
    const auto highest_index = a.add(most, a.number(extent.highest_index));
    reach.good = a.both(reach.good, a.at_most(highest_index, a.number((int64_t{1} << bits) - 1)));
  }
  return reach;
}

// ---- what disturbs what -----------------------------------------------------------------------------------------------

/// An access as others see it.
struct Touch {
  int64_t distance = 0;  // from the address of its group's first access
  int64_t bytes = 0;
  bool store = false;
  unsigned place = 0;  // in its block
  int64_t end() const { return distance + bytes; }
};

/// Rule::lies_apart. Whether two groups have no byte in common.
template <class A>
typename A::Truth lies_apart(A& a, const Reach<A>& one, const Reach<A>& other) {
  return a.either(a.at_most(one.high, other.low), a.at_most(other.high, one.low));
}

/// Rule::leads, for one store and one load of groups that move by the same step, `stride` bytes up or down: how far, in
/// that direction, the load's group must begin ahead of the store's for the load never to see what was stored in an
/// iteration before. `later`: nor, as it is the next iteration's, in its own.
template <class N>
N lead_of_pair(const N& store, const N& store_end, const N& load, const N& load_end, const N& stride, bool up,
               bool later) {
  const N lead = up ? store_end - load : load_end - store;
  return later ? lead - stride : lead;
}

/// The same for all stores of one group and all loads of another (or the same).
inline int64_t lead_wanted(std::span<const Touch> writes, std::span<const Touch> reads, int64_t step) {
  int64_t wanted = INT64_MIN;
  for (const Touch& w : writes) {
    for (const Touch& r : reads) {
      if (!w.store || r.store) continue;
      wanted = std::max(wanted, lead_of_pair<int64_t>(w.distance, w.end(), r.distance, r.end(), step > 0 ? step : -step,
                                                      step > 0, w.place > r.place));
    }
  }
  return wanted;
}

/// Whether Rule::leads may take the place of Rule::lies_apart for a group that stores and another one. `ordered`: all
/// accesses of an iteration are executed, in the order of their places; 0 is an unknown step.
inline bool may_lead(bool ordered, bool other_stores, int64_t step, int64_t other_step) {
  return ordered && !other_stores && step != 0 && step == other_step;
}
/// Rule::leads. Whether the group that begins at `reads` lies that far ahead of the one that begins at `writes`.
template <class A>
typename A::Truth leads(A& a, typename A::Number writes, typename A::Number reads, int64_t step, int64_t wanted) {
  return a.at_most(a.number(wanted), step > 0 ? a.sub(reads, writes) : a.sub(writes, reads));
}

/// Rule::keeps_to_itself. Whether a group's own accesses, `step` bytes further in each iteration, do not disturb each
/// other: its stores lie beside each other and within a step, and no load sees an earlier store. Where it is not known
/// in which order they are executed, or whether (`ordered`), it may have no loads.
inline bool keeps_to_itself(std::span<const Touch> members, int64_t step, bool ordered) {
  int64_t from = INT64_MAX, to = INT64_MIN;
  for (const Touch& w : members) {
    if (!w.store) continue;
    from = std::min(from, w.distance);
    to = std::max(to, w.end());
    for (const Touch& other : members) {
      if (other.store ? &other != &w && other.distance < w.end() && w.distance < other.end() : !ordered) return false;
    }
  }
  if (from > to) return true;  // it stores nothing
  return to - from <= (step > 0 ? step : -step) && lead_wanted(members, members, step) <= 0;
}

}  // namespace vmrun::jit::opt::range
