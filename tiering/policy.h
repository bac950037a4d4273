// What a compile gains and costs, by the constants of vm/blocks/policy.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vm/blocks/block.h"
#include "vm/blocks/policy.h"

namespace vmrun::tiering {

/// Nanoseconds that running in `to` instead of `from` would have saved of the time that `heat` stands for, in a block
/// where optimised code saves such a part of baseline code's time.
inline double gain(uint32_t heat, vm::Tier from, vm::Tier to, double saved) {
  auto slowness = [saved](vm::Tier tier) {
    if (tier == vm::Tier::interp) return policy::kInterpSlowness;
    return tier == vm::Tier::baseline ? 1.0 : 1 - saved;
  };
  return heat * policy::kHeatNanoseconds * (1 - slowness(to) / slowness(from));
}
/// Nanoseconds of a compile of so many bytes. `first`: the process has no code of that tier yet. `idle`: a processor has
/// nothing else to do.
inline double cost(uint32_t size, vm::Tier to, bool first, bool idle) {
  const auto tier = static_cast<unsigned>(to);
  const double nanoseconds = policy::kFixedNanoseconds[tier] + policy::kByteNanoseconds[tier] * size +
                             (first ? policy::kFirstNanoseconds[tier] : 0);
  return nanoseconds * (idle && to == vm::Tier::opt ? policy::kIdleWeight : 1);
}
/// Whether a compile of that gain and cost pays now, with `waiting` others in the queue.
inline bool pays(double gain, double cost, size_t waiting) {
  return gain > cost * (1 + static_cast<double>(waiting) / policy::kQueueSlack);
}
/// A job's place in the queue (tiering/queue.h), asked for at `now` in nanoseconds: gain per cost, and how long it has been
/// waiting. That of all jobs rises alike while they wait, so what is left is when they began.
inline double priority(double gain, double cost, double now) { return gain / cost - now / policy::kAgeNanoseconds; }

}  // namespace vmrun::tiering
