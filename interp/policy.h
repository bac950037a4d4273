// When the interpreter polls and when it puts more effort into a function. All constants of that policy, with reasons.
#pragma once

#include <cstdint>

namespace vmrun::interp {

/// Back-edges between two polls of a vCPU. At 1 to 10 ns an iteration an interrupt is seen within 0.1 ms, and the slow
/// path (some 50 ns: a lookup by pc) costs well under one percent.
inline constexpr int64_t kBudgetSlice = 4096;

/// Entries of quick code before a function is translated carefully. Careful translation costs some 150 ns per byte of
/// wasm and saves about half the time of each run through the body: it has paid after a few hundred entries.
inline constexpr int32_t kHotEntries = 300;

/// What an expired slice adds to the heat of the function whose loop was running.
inline constexpr int32_t kSliceHeat = 150;

/// Heat after a promotion has been refused: far away, so that entries do not ask again.
inline constexpr uint32_t kNeverHot = 0x80000000;

}  // namespace vmrun::interp
