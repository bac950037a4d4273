// When a block is promoted. All constants of that policy stand here, with reasons.
//
// The rule is the ski rental's: what has run for so long will run for as long again, so a compile pays when the time
// that the block has used so far, times what the better tier would save of it, exceeds what the compile costs; and the
// more compiles wait already, the more it must exceed it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "jit/code.h"
#include "vm/block.h"

namespace vmrun::tiering {

/// What a unit of FuncCode::heat stands for. The interpreter charges 250 for a slice of 4096 back-edges, which take some
/// 10 us, and 1 for an entry, which takes about as long with what follows it.
inline constexpr double kHeatNanoseconds = 40;

/// What machine code charges when the budget runs out in it: 4096 back-edges take it some 4 us, and entries, which use the
/// same budget, some 20 us with what the functions do.
inline constexpr uint32_t kMachineSliceHeat = 100;
inline constexpr uint32_t kMachineEntriesHeat = 500;

/// Time of a block in each tier, as a multiple of native code's: DESIGN's figures for the interpreter, the aims for the
/// compilers. Only their ratios matter here.
inline constexpr double kSlowness[vm::kTiers] = {4.0, 1.9, 0.95};

/// Compile time: a fixed part (waking a thread, tables, publication) and a part per byte of the body. Baseline: 50 MB/s.
/// Opt: 13 % of sqlite3's code at O2 took 2 s, some 15 us a byte.
inline constexpr double kFixedNanoseconds[vm::kTiers] = {0, 20e3, 1e6};
inline constexpr double kByteNanoseconds[vm::kTiers] = {0, 20, 15e3};

/// Below this size calls and returns are most of a function, and a better compiler gains about half of what it would.
inline constexpr uint32_t kTinyBody = 24;

/// So many waiting compiles double what a further one has to promise.
inline constexpr double kQueueSlack = 64;

/// Slices in an inner loop before its own OSR entry is compiled although an outer loop has one that is never reached.
inline constexpr uint32_t kInnerAfterSlices = 64;

/// A compile that found no code memory is worth another try after this many more times the heat.
inline constexpr uint32_t kRetryFactor = 4;

/// Beyond 7/8 of the budget the oldest code is dropped until a quarter is free; what is still hot comes back by its heat.
inline constexpr size_t kCodeFull = jit::kCodeBudget / 8 * 7, kCodeAfterDrop = jit::kCodeBudget / 4 * 3;

/// Compile threads when nobody says: one processor stays with the guests, and beyond four compilers rather fight for
/// memory bandwidth.
inline constexpr unsigned default_threads(unsigned processors) {
  return std::clamp(processors, 2u, 5u) - 1;
}

/// How much lower compile threads' priority is, so that guests win where processors are few. Not more: at +19 a busy
/// machine would never promote anything.
inline constexpr int kCompileNice = 5;

/// Nanoseconds that running in `to` instead of `from` would have saved of the time that `heat` stands for.
inline double gain(uint32_t heat, uint32_t size, vm::Tier from, vm::Tier to) {
  const double saved = 1 - kSlowness[static_cast<unsigned>(to)] / kSlowness[static_cast<unsigned>(from)];
  return heat * kHeatNanoseconds * saved * (size < kTinyBody ? 0.5 : 1);
}
/// Nanoseconds of a compile.
inline double cost(uint32_t size, vm::Tier to) {
  return kFixedNanoseconds[static_cast<unsigned>(to)] + kByteNanoseconds[static_cast<unsigned>(to)] * size;
}
/// Whether a compile pays now, with `waiting` others in the queue.
inline bool pays(uint32_t heat, uint32_t size, vm::Tier from, vm::Tier to, size_t waiting) {
  return gain(heat, size, from, to) > cost(size, to) * (1 + static_cast<double>(waiting) / kQueueSlack);
}

}  // namespace vmrun::tiering
