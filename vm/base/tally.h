// What the process has done so far, counted where it happens: for metrics (vmrun/metrics.h).
//
// Only what is rare is counted here: a compile, a trap, an instance. What comes with each instance is counted by stripes.
// Threads: any; each number by itself.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "vm/base/stripe.h"
#include "vmrun/base/trap.h"

namespace vmrun::vm {

/// As many as TrapCode has values.
inline constexpr size_t kTrapCodes = static_cast<size_t>(TrapCode::OutOfFuel) + 1;
/// Interpreter, baseline, optimising (vm::Tier).
inline constexpr size_t kTallyTiers = 3;

struct Tally {
  using Count = std::atomic<uint64_t>;

  struct OfTier {
    Count done{0}, failed{0}, bugs{0};           // compiles
    Count nanoseconds{0};                        // that compiles took
    Count wasm_bytes{0}, code_bytes{0};          // that compiles read and wrote
    Count functions{0}, loops{0};                // that got compiled code of the tier
    Count stored_functions{0}, stored_loops{0};  // the same, of code that was stored
    Count dropped{0};                            // pieces of code given up for want of memory
  };
  std::array<OfTier, kTallyTiers> tiers{};
  std::array<Count, kTrapCodes> traps{};
  Count compiles_waiting{0}, compiles_running{0};  // now; goes down by adding what wraps around
  StripedCount instances;                          // made
  StripedCount memory_bytes;                       // of all linear memories now
  Count cache_hits{0}, cache_misses{0}, cache_stores{0};

  OfTier& tier(size_t which) { return tiers[which]; }
};

extern constinit Tally tally;

inline void count(Tally::Count& counter, uint64_t n = 1) { counter.fetch_add(n, std::memory_order_relaxed); }
inline void count(StripedCount& counter, uint64_t n = 1) { counter.add(n); }
inline void uncount(Tally::Count& counter, uint64_t n = 1) { counter.fetch_sub(n, std::memory_order_relaxed); }
inline void uncount(StripedCount& counter, uint64_t n = 1) { counter.subtract(n); }

}  // namespace vmrun::vm
