// Block records: the block cache of a module is its array of FuncCode, one per function, and the LoopCode records behind
// them, one per loop of a function whose loops were ever asked for. All instances, stores and vCPUs of the module share
// them.
//
// Threads: a guest reads entries with one acquire load, never takes a lock and never hashes. `state` moves
// cold -> queued -> compiling -> ready or failed and is owned by the tier manager; a publication is one release store
// into `machine` (calls from machine code), `entry` (calls from interpreter code) or LoopCode::entry (OSR). Code that was
// replaced stays valid until its CodeObject is retired and no vCPU stands in it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace vmrun::vm {

class Module;
struct FuncRecord;

enum class Tier : uint8_t { interp = 0, baseline = 1, opt = 2 };
inline constexpr unsigned kTiers = 3;
const char* to_string(Tier tier);  // "interp", "baseline", "opt"

enum class BlockState : uint8_t { cold, queued, compiling, ready, failed };

/// What happened in a function's code of one tier, for tests, statistics and profiles. Racy on purpose; the interpreter
/// always counts what it can count off its fast path, machine code counts runs only when Module::count_runs says so.
struct TierCounts {
  std::atomic<uint64_t> runs{0}, osr_entries{0}, traps{0}, throws{0};
};

/// The record of a loop as an OSR entry. Made with those of all loops of its function (vm/wasm/loops.h); never moves; dies
/// with the module.
struct LoopCode {
  uint32_t offset = 0;                         // of the `loop` opcode in the image
  std::atomic<BlockState> state[kTiers] = {};  // of its OSR entry in each machine tier
  std::atomic<uint32_t> heat{0};               // charged by slices and ticks; racy on purpose
  std::atomic<uint32_t> paid{0};               // how much of the heat has paid for compiles by the optimiser
  std::atomic<uint32_t> polls{0};              // of its back-edge in sampled code; of its unit, calls
  std::atomic<const void*> entry{
      nullptr};  // machine code to go on in (jit/crossing/abi.h: OSR entry), the best tier's; or null
  std::atomic<Tier> entry_tier{Tier::interp};
  std::atomic<BlockState> alone{BlockState::cold};  // of the loop as a unit by itself, in optimised code
  std::atomic<const void*> unit{nullptr};  // that unit (jit/crossing/abi.h: loop unit), which baseline code calls
};
/// The loops of one function, by rising offset.
struct LoopTable {
  uint32_t count = 0;
  LoopCode* loops = nullptr;
  LoopCode* find(uint32_t offset) const;  // binary search
};

/// The block record of a function body (or of a host function: then `host` is set and module is null).
struct alignas(128) FuncCode {
  std::atomic<const void*> entry{
      nullptr};  // const interp::Cell*: stub, interpreter code, or a bridge into machine code
  std::atomic<const void*> machine{nullptr};  // machine code, or a trampoline into the interpreter or the host
  const Module* module = nullptr;
  FuncRecord* host = nullptr;  // a host function's record, else null
  uint32_t func_index = 0;
  std::atomic<uint32_t> heat{0};       // charged by expired budgets and entries; racy on purpose
  std::atomic<void*> interp{nullptr};  // interp::Translation*, owned by the interpreter's code store
  alignas(16) std::byte stub[16];      // the cell `entry` points to at first
  alignas(16) std::byte bridge[16];    // the cell `entry` points to while machine code is in force
  // Off the fast path:
  std::atomic<BlockState> state[kTiers] = {};  // of the whole function in each tier
  std::atomic<Tier> tier{Tier::interp};        // of the code in force
  std::atomic<LoopTable*> loops{nullptr};
  std::atomic<TierCounts*> counts{nullptr};  // kTiers of them, when Module::count_runs
};
static_assert(sizeof(FuncCode) == 128);

}  // namespace vmrun::vm
