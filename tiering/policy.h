// What a compile gains and costs, by the constants of vm/blocks/policy.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vm/blocks/block.h"
#include "vm/blocks/policy.h"

namespace vmrun::tiering {

/// Nanoseconds that running in `to` instead of `from` would have saved of the time that `heat` stands for. `tiny`: a
/// function of less than kTinyBody bytes without loops.
inline double gain(uint32_t heat, vm::Tier from, vm::Tier to, bool tiny = false) {
  const double saved =
      1 - policy::kSlowness[static_cast<unsigned>(to)] / policy::kSlowness[static_cast<unsigned>(from)];
  return heat * policy::kHeatNanoseconds * saved * (tiny && to == vm::Tier::opt ? policy::kTinyGain : 1);
}
/// Nanoseconds of a compile; `first`: the process has no code of that tier yet.
inline double cost(uint32_t size, vm::Tier to, bool first) {
  const auto tier = static_cast<unsigned>(to);
  return policy::kFixedNanoseconds[tier] + policy::kByteNanoseconds[tier] * size +
         (first ? policy::kFirstNanoseconds[tier] : 0);
}
/// Whether a compile of that gain and cost pays now, with `waiting` others in the queue.
inline bool pays(double gain, double cost, size_t waiting) {
  return gain > cost * (1 + static_cast<double>(waiting) / policy::kQueueSlack);
}

}  // namespace vmrun::tiering
