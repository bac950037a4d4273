// The policy of tiers in numbers: when guests poll, what counts as heat, what a compile must promise, and what compile
// threads are given. Every constant of it stands here, the interpreter's and the sampler's too, each with its reason;
// tiering/policy.h says what follows from them.
//
// The rule is the ski rental's: what has run for so long will run for as long again, so a compile pays when the time
// that the block has used so far, times what the better tier would save of it, exceeds what the compile costs; and the
// more compiles wait already, the more it must exceed it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "vm/blocks/block.h"

namespace vmrun::policy {

// ---- heat -----------------------------------------------------------------------------------------------------------

/// Back-edges between two polls of a vCPU. At 1 to 10 ns an iteration an interrupt is seen within 0.1 ms, and the slow
/// path (some 50 ns: a lookup by pc) costs well under one percent.
inline constexpr int64_t kBudgetSlice = 4096;

/// What an expired slice adds to the entries of the function whose loop was running: four slices, some 0.1 ms, make it
/// hot.
inline constexpr uint32_t kSliceHeat = 250;

/// Entries of quick code, slices counted in, before the interpreter reports a function: then it is translated
/// carefully, or compiled. A careful translation costs some 60 ns per byte of wasm (quick: 13) and saves a part of each
/// run that lies between nothing (large, flat code) and three quarters (numeric kernels). The start of CPython took
/// 0.36 s with 1000 or 4000, 0.39 s with 100, 0.33 s without careful code (2026-11-21).
inline constexpr uint32_t kHotEntries = 1000;

/// The count of entries after a promotion has been refused: far away, so that entries do not ask again.
inline constexpr uint32_t kNeverHot = 0x80000000;

/// What a unit of heat stands for. The interpreter charges kSliceHeat for a slice of kBudgetSlice back-edges, which
/// take some 10 us, and 1 for an entry, which takes about as long with what follows it.
inline constexpr double kHeatNanoseconds = 40;

/// A tick of the timers that sample baseline code (jit/stop/sample.h): the kernel's own, on most machines, below which it
/// would only be late.
inline constexpr int64_t kSampleNanoseconds = 4'000'000;

/// What a tick stands for.
inline constexpr uint32_t kTickHeat = static_cast<uint32_t>(kSampleNanoseconds / kHeatNanoseconds);

/// What one tick meets is chance: optimised code is not asked for before the time of so many.
inline constexpr uint32_t kLeastTicks = 2;

/// After a tick, loops that contain loops poll at so many of their back-edges, so that an outer one, whose optimised
/// entry is the better one, is reached although the first poll is nearly always the innermost's. A few microseconds a
/// tick.
inline constexpr int64_t kOuterPolls = 64;

/// What machine code that counts charges when the budget runs out in it: kBudgetSlice back-edges take it some 4 us, and
/// entries, which use the same budget, some 20 us with what the functions do.
inline constexpr uint32_t kMachineSliceHeat = 100;
inline constexpr uint32_t kMachineEntriesHeat = 500;

/// The same where the function has optimised code for a loop: the frame that it was made for is still in baseline code, and
/// meets the loop's header once in a round of the loop around it, which may have some thousand back-edges. 0.1 ms a tick.
inline constexpr int64_t kEntryPolls = 2048;

/// A function that is in one of its loops, and of which nothing says that it will be called again, must be so many times
/// hotter to be compiled as a whole: until then it is the loop's entry that helps.
inline constexpr uint32_t kLoopingFactor = 4;

/// Bodies of so many bytes are inlined by the optimiser where they are called directly (jit/opt/limits.h).
inline constexpr uint32_t kInlinedBytes = 150;
/// What is inlined into a body altogether, at most: so many bytes, and so much of its own size.
inline constexpr uint32_t kMostInlined = 1000, kMostInlinedPercent = 25;
/// What is expected to be inlined for an indirect call: nothing, or up to eight bodies.
inline constexpr uint32_t kGuessedBytes = 100;

/// What a tick finds in a function that is inlined where it is called is its caller's time: the caller's code gains it.
/// Made for the function alone, code gains little, and has to be earned by so many times the heat.
inline constexpr uint32_t kInlinedFactor = 4;

/// Frames of the guest that are looked at above a hot function: where one of them stands in a loop, the function will be
/// called again.
inline constexpr unsigned kCallers = 8;

/// An entry at the loop around the innermost one is reached when that one ends. It is the better entry where this takes so
/// many ticks at most: from there the innermost loop is a whole, and vectors may be made of it, while an entry at the
/// innermost header leaves the optimiser two loops with one header (a product of matrices: 2 to 3.6 ms against 8 to 13).
/// Further out there is nothing more to gain: what is behind the entry is in the unit, the outer loops too.
inline constexpr uint32_t kReachTicks = 8;

/// Ticks (slices) that an inner loop goes on beside an entry around it, before it gets an entry of its own.
inline constexpr uint32_t kInnerAfterTicks = 2 * kReachTicks, kInnerAfterSlices = 64;

/// Where a function has so many bytes, a hot loop of it may be compiled alone, if that is no more than this part of it.
inline constexpr uint32_t kLargeFunction = 4 << 10, kAlonePart = 4;

/// To call a loop's unit costs a few nanoseconds, so a unit is the better the further out it begins, as long as it is small: up
/// to so many bytes count as no more.
inline constexpr uint32_t kAloneBytes = 1 << 10;

/// It must be so many times hotter than other units: what leaving it and coming back costs is not known before (compress, a
/// guest of loops that are left soon, gains 0.06 of its time).
inline constexpr uint32_t kAloneFactor = 2;

/// A unit in which a call takes less than 5 ns is given up: twice as many calls as such a unit takes in a tick.
inline constexpr uint32_t kMostUnitCalls = 2 * kSampleNanoseconds / 5;

// ---- what a compile gains and costs ---------------------------------------------------------------------------------

/// Time of a block in the interpreter as a multiple of baseline code's, over the guests of bench/ (2026-11-21).
inline constexpr double kInterpSlowness = 3;

/// What a loop, or a function outside its loops, does. The optimiser gains little in loops that are as good in baseline
/// code's registers, least where these wait for floats, or work on vectors, and in the jumps of a large switch; much in loops over
/// memory, and where calls are inlined.
enum class Work : uint8_t { memory, plain, calls, switches, arithmetic };
inline constexpr const char* kWorkNames[] = {"a loop over memory", "a loop in registers", "calls", "a switch",
                                             "vectors, or floats in registers"};
/// A switch counts from so many targets on: fewer are a few compares in either code.
inline constexpr uint32_t kLargeSwitch = 8;
/// What optimised code saves of baseline code's time, over the guests of bench/ (docs/decisions/0103 and 0123).
inline constexpr double kSaved[] = {0.25, 0.12, 0.30, 0.15, 0.02};

/// Compile time: a fixed part (tables, publication; opt: waking a thread and LLVM's passes over nothing too) and a part
/// per byte of the body and of what is inlined. Baseline: 50 MB/s. Opt: 7 to 10 us, 12 to 18 where loops over memory are
/// copied and vectorised (docs/decisions/0103).
inline constexpr double kFixedNanoseconds[vm::kTiers] = {0, 2e3, 1e6};
inline constexpr double kByteNanoseconds[vm::kTiers] = {0, 20, 12e3};

/// What the first code of a tier costs beyond that. Baseline: code memory and its tables, 0.4 ms of an empty image's
/// start (1.45 to 1.9 ms, 2026-11-21). Opt: loading LLVM, 4 ms, and a thread.
inline constexpr double kFirstNanoseconds[vm::kTiers] = {0, 400e3, 6e6};

/// What the constants above count for beside the compiles of a process, which say better what compiles take there
/// (tiering/costs.h): so many nanoseconds of them.
inline constexpr int64_t kCostsKnown = 30'000'000;

/// What an optimising compile counts for where a processor has nothing else to do: the guest does not wait for it. Programs of a
/// quarter of a second take 0.853 of baseline code's time by the clock with 0.4, 0.836 with 0.25, 0.829 with 0.15, 0.828 with
/// 0.08; of processor time, compiles included, 0.96, 0.96, 0.97 and 1.04 (docs/decisions/0123).
inline constexpr double kIdleWeight = 0.2;

/// The same of a compile for the runs to come, whose code is stored.
inline constexpr double kStoredWeight = 0.4;

/// When a block has gained so much of what its optimised code costs, and a processor is idle, a compile thread loads the
/// optimiser: it takes 4 ms and 25 MiB, and the compile begins at once when it pays.
inline constexpr double kAheadShare = 0.5;

/// How often the system is asked how much there is to do, which takes some 10 us.
inline constexpr int64_t kLoadNanoseconds = 20'000'000;

/// To have waited for so long counts as much as a gain that is greater by what the compile costs. A compile takes 10 to
/// 100 ms: a job lets a few better ones pass, and none waits for ever.
inline constexpr double kAgeNanoseconds = 50e6;

/// So many waiting compiles double what a further one has to promise.
inline constexpr double kQueueSlack = 64;

/// A compile that found no code memory is worth another try after this many more times the heat.
inline constexpr uint32_t kRetryFactor = 4;

// ---- who compiles, and when -----------------------------------------------------------------------------------------

/// So many functions of a module are left to the interpreter at their first call; all others have baseline code made
/// then, on the caller's thread. For the interpreter they would have to be translated, which takes two thirds of the
/// compiler's time, and run three times slower: the start of CPython (1928 functions of 1.2 MB) takes 0.36 s of
/// processor time in the interpreter, 0.22 with baseline code for what turns out to be hot, 0.11 with baseline code at
/// once (2026-11-21). The exception keeps kFirstNanoseconds from images that hardly run, such as an empty one with its
/// handful of functions.
inline constexpr uint32_t kQuietCalls = 16;

/// Hot functions that were interpreted until now are compiled on the spot up to this many bytes, which take 0.3 ms;
/// larger ones in the background while the interpreter goes on. For less it is not worth waking a thread and running
/// interpreted until it comes back.
inline constexpr uint32_t kCompileHere = 16 << 10;

/// Baseline code: a compile thread takes so many bytes of functions at a time, hot ones of one module or, compiling a
/// whole module ahead, the next ones. A millisecond of work, so that threads rarely meet, none is left with much when
/// the others are done, and more urgent jobs do not wait for long. Each function is published when it is ready.
inline constexpr uint32_t kTaskBytes = 64 << 10;

/// Modules with so many bytes of functions at most, which become two or three pages of machine code, share their code
/// memory with others of that size; larger ones have chunks of their own (jit/code/arena.h).
inline constexpr uint32_t kSmallModule = 2 << 10;

/// What code may take of the budget of code memory: beyond `code_full` the oldest is dropped until no more than
/// `code_after_drop` is left. What is still hot comes back by its heat.
inline constexpr size_t code_full(size_t budget) { return budget / 8 * 7; }
inline constexpr size_t code_after_drop(size_t budget) { return budget / 4 * 3; }

/// Compile threads when nobody says: one processor stays with the guests, and beyond four compilers rather fight for
/// memory bandwidth.
inline constexpr unsigned default_threads(unsigned processors) { return std::clamp(processors, 2u, 5u) - 1; }

/// A compile thread's stack. LLVM recurs along chains of instructions: what jit/opt/limits.h lets through takes 2 MiB at
/// most (tests/unit/opt/limits_test.cpp measures it). Only what is used is ever in memory.
inline constexpr size_t kCompileStack = size_t{32} << 20;

/// How much lower compile threads' priority is, so that guests win where processors are few. Not more: at +19 a busy
/// machine would never promote anything.
inline constexpr int kCompileNice = 5;

}  // namespace vmrun::policy
