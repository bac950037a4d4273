// The loops of generate_edges.cpp: counters that have been counted beforehand, and where an access by one will lie.
#pragma once

#include <vector>

#include "generate_aimed.h"
#include "generate_writer.h"

namespace vmrun::test::generate {

/// A loop's counter: `first`, then by `step`, while it compares with `bound`.
struct Counter {
  bool wide = false;    // 64 bits
  unsigned narrow = 0;  // 8 or 16: it is cut to so many bits whenever it moves
  bool sign = false;    // and extended by its sign then
  uint64_t first = 0, step = 1, bound = 0;
  unsigned compare = 1;          // row of compare_op
  std::vector<uint64_t> values;  // in each iteration

  /// The next value.
  uint64_t moved(uint64_t value) const;
  bool goes_on(uint64_t value) const;
  /// Fills `values`. False when there are more than `most`.
  bool run(size_t most);
};

/// Comparisons by row, in the order of the opcode table: eq, ne, then by pairs of signed and unsigned lt, gt, le, ge.
Op compare_op(unsigned row, bool wide);

/// A counter at the edges of its type with at most 300 iterations.
Counter any_counter(Random& r);
/// Numbers at the edges of 32 bits.
uint32_t edge_of_32(Random& r);
/// Steps: small ones in both directions, powers of two, and the edges of 32 bits.
uint32_t any_step(Random& r);

/// A way of making an index of a counter.
struct Index {
  const char* name;
  uint32_t (*value)(uint32_t i, uint32_t n);
  void (*emit)(Code& c, uint32_t n);  // the i32 is on the stack
};
std::span<const Index> all_indices();

}  // namespace vmrun::test::generate
