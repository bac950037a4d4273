// Engine: what stores and modules share - the configuration, the type registry, the pools of address space.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "vmrun/base/effort.h"
#include "vmrun/base/memory_hooks.h"
#include "vmrun/base/result.h"
#include "vmrun/base/tiers.h"
#include "vmrun/features.h"
#include "vmrun/stored.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// What a value of Tiers is called on command lines, with half a sentence of help.
struct TiersName {
  Tiers tiers;
  const char* name;
  const char* help;
};
/// All of them, the default first. They last as long as the process; any thread.
std::span<const TiersName> tiers_names();

/// Settings of an engine; fixed once the engine exists.
struct Config {
  FeatureSet features = FeatureSet::all();
  Effort effort = Effort::Auto;
  Tiers tiers = Tiers::Auto;
  /// Auto, Baseline and InterpBaseline: Module::compile makes baseline code of all functions, on the compile threads and
  /// the caller's, instead of leaving each to its first call. For servers.
  bool eager_baseline = false;
  /// Which calls optimised code inlines.
  Inlining inlining = Inlining::On;
  /// Whether baseline code counts entries, conditions and targets of indirect calls, for Module::profile.
  bool profile = false;
  /// Threads that compile in the background, started when there is first something to compile; 0: one per processor but
  /// one, at most four. They run at a lower priority.
  unsigned compile_threads = 0;
  /// Count each function's runs in every tier; for tests and profiles, at a small cost.
  bool count_runs = false;

  /// Whether frames of errors name their places in the guest's source (FrameInfo::source), which takes time where there
  /// is debug information (DWARF) in the image. Unset: as the environment variable VMRUN_BACKTRACE_DETAILS says, where 1
  /// is on.
  std::optional<bool> backtrace_details = {};
  /// Code of guests uses up fuel, a unit an instruction (docs/fuel.md), and traps with TrapCode::OutOfFuel when what its
  /// store has does not pay for what comes next. A store has none until Store::set_fuel. Costs time in every tier.
  bool fuel = false;

  /// Where code is looked for before it is compiled, and stored by Module::store; none: nowhere. Modules that come from
  /// bytes have a part in it as those from files. See vmrun/stored.h for who may write there.
  std::optional<CacheConfig> cache = {};
  /// The same, kept by the embedder; `cache` is not looked at then.
  std::optional<CacheHooks> cache_hooks = {};

  /// Linear memories in pooled slots with explicit bounds checks instead of 8 GiB guarded reservations: some 3 times
  /// slower accesses, but address space for very many instances. Without it, an engine that finds no room for one such
  /// reservation (under `ulimit -v`, say) checks all accesses too, in memories that may grow as far as there is room.
  bool dense_memory = false;
  /// Dense mode: the most bytes one memory may grow to; from a page of the host (4096) to 4 GiB.
  uint64_t dense_memory_max_bytes = 64u << 20;

  /// Whether 32-bit memories have guard pages, on which stray accesses fault, in reservations of 8 GiB. Without, all
  /// accesses are checked, and a memory reserves no more than it may grow to; for hosts that allow no such
  /// reservations. Does not count with dense_memory, which has none either.
  bool guard_pages = true;
  /// Where memories come from, if not from the engine: the embedder's own address space. dense_memory and guard_pages
  /// do not count then.
  std::optional<MemoryHooks> memory_hooks = {};

  /// Guarded reservations kept for reuse, beside at most 4 for each of 16 groups of threads (none if this is 0). A cached one costs address space, and what it keeps resident for its next user: at
  /// most 256 KiB, and 32 MiB for all memories of an engine that are free. Executors give that back after a second without work.
  size_t cached_memories = 64;

  /// Largest image accepted, in bytes.
  uint64_t max_image_bytes = 1ull << 30;
  /// Threads for validation, including the caller's; 0: as many as the machine has.
  unsigned validation_threads = 0;
};

/// Tools outside of the process that want to know its machine code.
enum class CodeTool : uint8_t {
  PerfMap,   // perf report: writes /tmp/perf-PID.map
  JitDump,   // perf inject --jit: writes jit-PID.dump, with the code, in the current directory
  Gdb,       // GDB's interface for compiled code
  GdbLines,  // the same with source lines, of images that have debug information (DWARF)
};
/// From now on tells `tool` of all code that any engine of the process makes. Before the first module is compiled. An
/// error of kind Io when the tool's file cannot be written.
Result<void> announce_code(CodeTool tool);

/// The folder in which vmrun-opt.so and vmrun-pool.so are looked for before all others (docs/install.md names these). Says
/// nothing about plug-ins that are loaded already. Any thread.
void set_plugin_folder(std::string folder);
/// Loads the optimising tier now, some 15 ms, and not with the first hot code. An error of kind Unsupported says where it
/// was looked for: guests run without optimised code then. Any thread.
Result<void> load_optimiser();

/// The first engine of a process installs handlers of SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGURG, for good. Signals that
/// concern no guest go to the handler that was there before, with its own mask and flags. A program that installs
/// handlers of these signals later must call the ones that it replaces, or guests lose their traps. The handlers run on
/// the thread's alternate signal stack: a thread that calls a guest gets one of 64 KiB until it ends, unless it has one
/// already that holds a signal frame (sysconf(_SC_MINSIGSTKSZ)) and 8 KiB. Do not set a smaller one later.
///
/// Shared handle: copies refer to the same engine. All its functions may be called from any thread. Lives as long as
/// any handle, module or store of it. A moved-from handle (of a Module or a Linker too) may only be assigned to or
/// destroyed. A process with an engine may fork, but the child may only exec or end, by exit too: it has no compile
/// threads, and the code memory is its parent's.
class Engine {
 public:
  explicit Engine(const Config& config = {});
  const Config& config() const;
  /// Whether a compile thread is at work. An engine, and a module, wait for theirs when they die; a process that ends
  /// anyway may rather leave by _exit.
  bool compiling() const;

  struct Impl;
  const std::shared_ptr<Impl>& impl() const { return impl_; }

 private:
  friend class Store;
  explicit Engine(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  /// A handle for a store: its references are counted apart from those of other threads.
  Engine for_store() const;
  std::shared_ptr<Impl> impl_;
};

}  // namespace vmrun
#pragma GCC visibility pop
