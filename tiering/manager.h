// The tier manager of an engine: decides which blocks are compiled for which machine tier, compiles them on threads of
// its own, publishes and gives up the code.
//
// Threads: everything here may be called from any thread. Guests reach it through the hooks of their module
// (ModuleTiers), push jobs and never wait for one, unless the mode says that a first call waits for its compile.
// Compile threads start at the first job, so that a process that promotes nothing has none; they are joined when the
// manager dies, which is after all its modules. A module waits, when it dies, for compiles of it to notice.
#pragma once

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "jit/compiler.h"
#include "tiering/costs.h"
#include "tiering/mode.h"
#include "tiering/module_tiers.h"
#include "tiering/policy.h"
#include "tiering/processors.h"
#include "tiering/queue.h"
#include "tiering/schedule.h"
#include "vm/blocks/policy.h"

namespace vmrun::tiering {

struct Options {
  const Mode* mode = &mode_of(Tiers::Auto);  // one that makes machine code
  bool eager_baseline = false;               // in a mode that makes baseline code: attach() makes it of all functions
  unsigned threads = 0;                      // compile threads; 0: vm/blocks/policy.h decides
  bool profile = false;                      // baseline code counts for vm/blocks/profile.h
  Inlining inlining = Inlining::On;          // of calls, in optimised code
  bool polls = false;                        // code that polls at back-edges instead of being preempted by signals
  std::optional<bool> idle;                  // whether a processor has nothing to do; nothing: the system is asked
  size_t code_full = policy::code_full(jit::kCodeBudget), code_after_drop = policy::code_after_drop(jit::kCodeBudget);
  /// The compilers; empty: the real ones. Null results say why in the string.
  std::function<jit::Compiler*(std::string*)> baseline, opt;
};

/// Whether the calling thread is one of a manager's.
bool is_compile_thread();

class Manager {
 public:
  explicit Manager(Options options = {});
  ~Manager();
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  const Options& options() const { return options_; }
  /// Whether this is a child that the manager's process has forked: without compile threads, with locks that they may
  /// have held and without the mapping by which code memory is written. There, nothing of the manager may be used or
  /// destroyed but this; detach() does nothing.
  bool is_forked() const { return getpid() != process_; }

  /// Takes charge of a module that the interpreter knows already and nobody runs yet. With a schedule, its promotions
  /// and no others are made. Module::count_runs is set before. With Options::eager_baseline, returns when all functions
  /// are compiled, by this thread and the compile threads.
  /// `stored` is code of the module from another process, which is used instead of compiling.
  void attach(vm::Module& module, Schedule schedule = {}, StoredCode stored = {});
  /// Takes leave of a module in which nobody runs any more; afterwards nothing of it is touched. Harmless when the
  /// module was never attached.
  void detach(vm::Module& module);
  /// Schedule for the modules that are attached from now on; for tests, which set it between modules.
  void set_schedule(Schedule schedule);

  /// Forces code of `tier` on a function, or (unit: its offset) on a loop's entry, and returns when it is there: baseline
  /// code is made on this thread, optimised code on a compile thread. Empty, or why it cannot be.
  static std::string promote(const vm::Module& module, uint32_t func_index, vm::Tier tier,
                             uint32_t unit = jit::kWholeFunction);
  /// Waits until no job waits or runs.
  void wait_idle() { queue_.wait_idle(); }
  /// Whether a compile thread is at work.
  bool compiling() { return queue_.running() != 0; }
  static TierStats stats(const vm::Module& module, vm::Tier tier);
  /// Of an own function; nothing where the module has no tiers.
  static FunctionHeat heat(const vm::Module& module, uint32_t func_index);
  /// All code of a module that is in force or stored, for storing it (for another processor: no optimised code of these); and
  /// what `ahead` asks for, compiled on threads of their own: as many as Options::threads, else as there are processors.
  /// Nothing, when `progress` said so. Empty for a module without tiers.
  static std::optional<Kept> store(const vm::Module& module, const Ahead& ahead, const Progress& progress);
  /// Compile threads that exist.
  size_t threads() const;

  /// ModuleTiers::keep_new and keep_old. False for a module without tiers.
  static bool keep_new(const vm::Module& module, uint64_t& next, size_t bytes, jit::stored::Stream& stream);
  static bool keep_old(const vm::Module& module, size_t& next, size_t bytes, jit::stored::Stream& stream);
  /// What a module came with, and what is new since.
  static StoredCode stored(const vm::Module& module);
  static News news(const vm::Module& module);
  /// What code that is stored of modules here depends on.
  jit::stored::Settings settings(bool guarded_memories, bool metered, bool count_runs) const;

  // ---- for ModuleTiers ----
  /// What all compiles of a module have in common whose heat is sampled, or whose mode counts it.
  jit::CompileRequest request(bool sampling, bool counts) const;
  /// Whether the system gives this process executable memory. The first time that it does not, the log says so.
  static bool may_make_code();
  void enqueue(Job job);
  /// Runs `work` on a compile thread before anything else that waits, and waits for it: for what needs more stack than
  /// a guest's thread may have left. On a compile thread it just runs. False: there is no such thread, and nothing ran.
  bool on_compile_thread(const std::function<void()>& work);
  size_t waiting() const { return queue_.waiting(); }
  /// Whether a processor has nothing else to do than compile.
  bool is_idle() { return options_.idle ? *options_.idle : processors_.are_idle(queue_.running()); }
  /// Whether baseline code's heat is sampled (jit/stop/sample.h).
  bool samples() const { return samples_; }
  /// The compiler of a machine tier, made or loaded at the first call; null, with the reason, when there is none, or no
  /// executable memory. Then the interpreter keeps what asked, for good.
  jit::Compiler* compiler(vm::Tier tier, std::string* why);
  /// Has a compile thread load the optimiser before anything is hot enough for it. Once.
  void load_ahead();
  /// Whether a compile for the tier would be the first one, and has to be preceded by all that it needs.
  bool is_first(vm::Tier tier) const {
    if (tier == vm::Tier::opt && loaded_.load(std::memory_order_relaxed)) return false;
    return !has_code_[static_cast<unsigned>(tier)].load(std::memory_order_relaxed);
  }
  /// Nanoseconds that a compile of so many bytes will take, by what compiles have taken until now; what it counts for, where a
  /// processor is idle.
  double cost(uint32_t size, vm::Tier to, bool first, bool idle) const {
    return tiering::cost(size, to, first, idle) * (to == vm::Tier::opt ? costs_.factor() : 1);
  }
  /// An optimising compile of so many bytes took `nanoseconds` of processor time.
  void optimised(uint32_t size, int64_t nanoseconds) {
    costs_.count(tiering::cost(size, vm::Tier::opt, false, false), nanoseconds);
  }
  void made_code(vm::Tier tier) { has_code_[static_cast<unsigned>(tier)].store(true, std::memory_order_relaxed); }
  uint64_t next_number() { return number_.fetch_add(1, std::memory_order_relaxed); }
  /// Drops the oldest code of all modules when there is too much of it.
  void make_room();

 private:
  unsigned thread_limit() const;
  void start_threads();
  void join_threads();
  void serve();
  void run(Task& task);

  const Options options_;
  const pid_t process_ = getpid();
  const bool samples_;
  Queue queue_;
  Processors processors_;
  CompileCosts costs_;
  std::atomic<uint64_t> number_{0};
  std::atomic<bool> has_code_[vm::kTiers] = {};
  std::atomic<bool> loading_{false}, loaded_{false};  // the optimiser, ahead

  std::once_flag started_, baseline_once_, opt_once_;
  std::vector<pthread_t> threads_;
  std::atomic<size_t> thread_count_{0};
  std::unique_ptr<jit::Compiler> own_baseline_;
  jit::Compiler* baseline_ = nullptr;
  jit::Compiler* opt_ = nullptr;
  std::string no_baseline_, no_opt_;

  std::mutex mutex_;       // guards modules_, schedule_ and the making of arena_; before ModuleTiers' own
  void* arena_ = nullptr;  // pool.h; made by the first compile thread
  std::list<std::shared_ptr<ModuleTiers>> modules_;
  Schedule schedule_;
  std::mutex room_mutex_;  // one thread at a time drops code; before mutex_
};

}  // namespace vmrun::tiering
