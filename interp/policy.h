// When the interpreter polls and when it puts more effort into a function. All constants of that policy, with reasons.
#pragma once

#include <cstdint>

#include "vm/module.h"

namespace vmrun::interp {

/// Back-edges between two polls of a vCPU. At 1 to 10 ns an iteration an interrupt is seen within 0.1 ms, and the slow
/// path (some 50 ns: a lookup by pc) costs well under one percent.
inline constexpr int64_t kBudgetSlice = 4096;

/// What the budget is refilled with in loops of `module`: less where a forced schedule wants to hear of every back-edge.
inline int64_t slice_of(const vm::Module& module) {
  // The slice ends when the budget turns negative.
  return module.tiers != nullptr && module.tiers->slice != 0 ? module.tiers->slice - 1 : kBudgetSlice;
}

/// Entries of quick code before a function is translated carefully. That costs some 60 ns per byte of wasm (quick: 13)
/// and saves a part of each run that lies between nothing (large, flat code) and three quarters (numeric kernels). The
/// start of CPython took 0.36 s with 1000 or 4000, 0.39 s with 100, 0.33 s without careful code (2026-11-21).
inline constexpr int32_t kHotEntries = 1000;

/// What an expired slice adds to the heat of the function whose loop was running: four slices, some 0.1 ms, make it
/// hot.
inline constexpr int32_t kSliceHeat = 250;

/// What the careful translator takes on; larger functions keep their quick code. It is no linear algorithm, and a guest
/// must not be able to make it take seconds or gigabytes: the limits stand for some 0.1 s and 40 MB.
/// None of the programs and images of bench/ has a function beyond them.
inline constexpr size_t kCarefulInsts = size_t{1} << 18;
inline constexpr size_t kCarefulRegs = size_t{1} << 19;           // an empty block may have a thousand results
inline constexpr size_t kCarefulLivenessWords = size_t{1} << 20;  // of 64 values, at each block and edge
inline constexpr size_t kCarefulSegments = size_t{1} << 20;
inline constexpr int kCarefulPasses = 100;  // over all blocks, until liveness is known

/// Heat after a promotion has been refused: far away, so that entries do not ask again.
inline constexpr uint32_t kNeverHot = 0x80000000;

}  // namespace vmrun::interp
