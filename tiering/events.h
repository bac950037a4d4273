// What compiles there were, and why: a record for each, for profiles of the tiers.
//
// Nothing is recorded before somebody asks for it. Records are bounded: the first kMost stay, the others are counted.
// Threads: any; one mutex, locked once for each compile.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "vm/blocks/block.h"

namespace vmrun::tiering {

/// Why a compile was asked for: the policy's own figures (policy.h), or what else led to it.
struct CompileWhy {
  const char* reason = "";  // of those that live for ever
  const char* work = "";    // policy::kWorkNames; empty: nothing was weighed
  vm::Tier from = vm::Tier::interp;
  double heat = 0;            // nanoseconds that the block has used
  double gain = 0, cost = 0;  // nanoseconds
  uint32_t waiting = 0;       // compiles in the queue
  bool idle = false;          // a processor had nothing else to do
  int64_t asked = 0;          // of the steady clock, in nanoseconds; 0: on the spot
};

struct CompileEvent {
  CompileWhy why;
  uint32_t module = 0;  // vm::Module::number
  std::string module_name, function;
  uint32_t func_index = 0;
  uint32_t unit = 0;  // jit/code/compiled.h
  vm::Tier tier = vm::Tier::baseline;
  uint32_t wasm_bytes = 0, code_bytes = 0;
  int64_t begin = 0;                                      // of the steady clock, in nanoseconds
  int64_t compiling = 0, installing = 0, publishing = 0;  // nanoseconds
  uint32_t thread = 0;                                    // the kernel's number
  bool background = false;                                // on a compile thread
  std::string failure;                                    // empty: its code is in force
};

/// The process's records.
class CompileEvents {
 public:
  static constexpr size_t kMost = size_t{1} << 16;
  static constexpr size_t kLongestName = 256;

  static bool wanted() { return wanted_.load(std::memory_order_relaxed); }
  /// From now on.
  static void want() { wanted_.store(true, std::memory_order_relaxed); }
  static void add(CompileEvent event);
  /// What there is, and how many there was no room for.
  static std::vector<CompileEvent> take(uint64_t& left_out);

 private:
  static std::atomic<bool> wanted_;
};

/// Says why this thread compiles, until it goes.
class BecauseOf {
 public:
  explicit BecauseOf(const CompileWhy& why) : before_(current_) { current_ = &why; }
  ~BecauseOf() { current_ = before_; }
  BecauseOf(const BecauseOf&) = delete;
  BecauseOf& operator=(const BecauseOf&) = delete;
  /// What was said last; a first call if nothing was.
  static const CompileWhy& current();

 private:
  const CompileWhy* before_;
  static thread_local const CompileWhy* current_;
};

}  // namespace vmrun::tiering
