// What the optimising tier refuses to compile, with the reasons.
#pragma once

#include <cstdint>

#include "vm/blocks/policy.h"

namespace vmrun::jit::opt {

/// Bytes of a function's body. At some 34 ms per KB (and worse than linear beyond) this takes 2 s or more; memory grows
/// alike, and LLVM ends the process when there is none left.
inline constexpr uint32_t kMaxBodyBytes = 64u << 10;

/// Locals: each is an alloca that SROA visits once for every store around it.
inline constexpr uint32_t kMaxLocals = 4096;

/// Values at merges, over all branches and labels: each is a phi, or an operand of one. 35 KB of blocks with a thousand
/// parameters each came to ten million of them, 22 s and 1.9 GB (2026-11-21). Those that blocks take are counted before
/// there are any, and then, with what the locals add, once more: 500 locals that differ behind 500 branches to one label
/// took 4.2 s (2026-11-30).
inline constexpr uint64_t kMaxMerged = 100'000;

/// Loops: several of LLVM's passes look for each at all accesses of the function. 100 in a row took 1.3 s, 200 took 4.3
/// (2026-11-30).
inline constexpr uint32_t kMaxLoops = 128;

/// Values in the vCPU's area, for parameters and results beyond the registers and for what is thrown: each is an access
/// of its own, although a call of a hundred values takes two bytes of body. They count as size, at what such an access
/// costs; and a signature of more is not compiled, because LLVM compares the accesses of one call with each other (one
/// call of a thousand results took 14 s).
inline constexpr uint32_t kAreaValueBytes = 32;
inline constexpr uint32_t kMaxAreaValues = 128;

/// Pieces of ranges that memory.copy and memory.fill move in place: each is a load and a store. One instruction, of four
/// bytes and its operands, has 15.
inline constexpr uint64_t kMaxPieces = 1000;

/// Open blocks: a switch's arms that fall into one another are that deep, and LLVM follows each value through all of
/// them (1000 took 4 s, 2000 took 12; 500 take 0.9).
inline constexpr uint32_t kMaxNesting = 512;

/// Instructions that wait for each other in a chain, each for the one before, through locals, globals and what else LLVM
/// may keep in registers: its passes recur along it (see policy::kCompileStack), and take 2.5 s for 6000 (2026-11-29).
inline constexpr uint32_t kMaxChain = 4000;

/// What is inlined into a unit. A body costs its caller as much compile time as it would cost by itself, and again at
/// each of its calls.
struct InlineLimits {
  uint32_t direct_bytes, indirect_bytes;  // of a callee's body
  uint32_t unit_bytes, unit_percent;      // of all inlined bodies together: so many, and so much of the unit's own
  uint32_t depth;                         // of inlined calls within one another
  uint32_t recursions;                    // how often a function stands in itself
};
inline constexpr InlineLimits kInlineUsual = {policy::kInlinedBytes,       250, policy::kMostInlined,
                                              policy::kMostInlinedPercent, 2,   2};
/// For tests: all that can be, as far as a unit stays small enough to be compiled often.
inline constexpr InlineLimits kInlineAll = {2048, 2048, 2048, 100, 4, 3};
/// The functions that an indirect call is compared with: so many of any size that may be inlined, and more where all of them
/// together are as small as one.
inline constexpr uint32_t kTargetsOfAnySize = 4, kMostTargets = 8, kMostTargetBytes = 250;
/// Locals of a unit beyond which nothing is inlined: a callee has any number of them for two bytes.
inline constexpr uint32_t kMaxInlinedLocals = 1024;
/// Elements of segments that are looked at in a unit, for the targets of its indirect calls: once for each type, up to
/// the fifth function of it, at some 3 ns each.
inline constexpr uint32_t kMaxElementsRead = 1'000'000;

/// A prologue moves rsp before it compares it with the limit, and 64 KiB beneath the limit are always there: half of
/// them for the frame, half for the helper that then runs.
inline constexpr uint32_t kMaxFrameBytes = 32u << 10;

}  // namespace vmrun::jit::opt
