// What a machine tier's compiler is to the tier manager: a function from a block to code that may lie anywhere.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "jit/code/compiled.h"
#include "vm/base/assert.h"
#include "vm/wasm/module.h"
#include "vmrun/base/tiers.h"

namespace vmrun::jit {

/// Builds that check our own invariants where that costs time.
#if defined(VMRUN_ASSERTIONS)
inline constexpr bool kCheckInvariants = true;
#else
inline constexpr bool kCheckInvariants = false;
#endif

/// A loop whose unit baseline code calls.
struct CalledUnit {
  uint32_t offset;  // of the `loop` opcode in the image
  uint32_t record;  // its index in the function's vm::LoopTable, which has to be there before the code runs
};

struct CompileRequest {
  const vm::Module* module = nullptr;
  uint32_t func_index = 0;
  uint32_t unit = kWholeFunction;  // opt: or another (compiled.h)
  /// Baseline: loops, by rising offset, in whose place a unit is called where there is one.
  std::span<const CalledUnit> calls_units = {};
  bool count_runs = false;  // count entries in vm::FuncCode::counts
  bool count_heat = true;   // baseline: entries and back-edges use up Vcpu::budget, and a better tier may take over
  bool sample_heat =
      false;             // baseline: instead, entries and back-edges poll where a sample wants it (jit/stop/sample.h)
  bool profile = false;  // baseline: count for vm/blocks/profile.h
  bool every_mark = false;  // baseline: a SourceMark for each instruction, for listings, debuggers and profiles
  Inlining inlining = Inlining::On;        // opt: of callees
  const std::string* processor = nullptr;  // opt: that code is for, by LLVM's name; null: this machine's
  bool polls = false;                      // poll at back-edges instead of being preempted by signals
  /// Baseline: the code checks that registers and slots agree where paths meet, and that the upper halves of i32 are
  /// zero in calls, returns and addresses; it dies by an undefined instruction if not.
  bool check_merges = kCheckInvariants;
  const std::atomic<bool>* cancelled = nullptr;
};

struct CompileResult {
  enum class Status : uint8_t {
    done,
    unsupported,  // the compiler does not do this, or a limit is reached
    bug,          // an error of ours or of a library: builds with assertions end there (bug_in_compile)
    cancelled,
    no_memory
  } status = Status::done;
  std::string reason = {};  // unsupported: the instruction by name and its offset, or what else; bug: what
  CompiledCode code = {};   // done
};

/// The result of a compile that failed by an error of ours. With assertions, the process ends and says it.
inline CompileResult bug_in_compile(std::string what) {
  if constexpr (kCheckInvariants) vm::internal_error(what);
  return {CompileResult::Status::bug, std::move(what)};
}

/// Compiles one unit at a time; several threads may compile with one Compiler at once. What is made may outlive the
/// compiler.
class Compiler {
 public:
  virtual ~Compiler() = default;
  virtual vm::Tier tier() const = 0;
  virtual CompileResult compile(const CompileRequest& request) = 0;
};

std::unique_ptr<Compiler> make_baseline_compiler();

/// The optimising tier, from its plug-in library (loaded at the first call, on the calling thread). Null, with the
/// reason in `*why`, when the library cannot be loaded.
Compiler* load_opt_compiler(std::string* why);

}  // namespace vmrun::jit
