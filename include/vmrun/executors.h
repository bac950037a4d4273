// Executors over blocks: a host that decides itself which tier runs what, block by block, and counts what that costs.
//
//   auto cache = BlockCache::create(bytes);                      // one for all executors of an image
//   auto jit = JitExecutor::create(*cache, define_imports);      // machine code, made when a block is first run
//   auto sum = jit->run("add", {Val::i32(2), Val::i32(3)});
//   jit->stats().hits, .compiles, .by_tier[1].time
//
// A block is a function of the image, and its id the function's index. This header brings the rest of what such a host needs,
// too: Scheduler, Coroutine and VCPU are the tasks of vmrun/executor.h and the stores they run, by these names.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vmrun/executor.h"
#include "vmrun/vmrun.h"

#pragma GCC visibility push(default)
namespace vmrun {

using BlockId = uint32_t;

struct BlockInfo {
  BlockId id = 0;
  std::string name;  ///< see Module::function_name; may be empty
  FuncType type;
  uint64_t offset = 0, size = 0;  ///< of its body in the image
  Tier tier = Tier::Interp;       ///< of the code in force
};

/// An image, and the code of its blocks in all tiers. Shared handle: copies mean the same cache. Any thread. Machine code
/// is one for all executors; what interprets has translations of its own, which are made when an InterpreterExecutor is.
class BlockCache {
 public:
  /// `config.tiers` does not matter. Errors: those of Module::compile.
  static Result<BlockCache> create(std::span<const uint8_t> image, std::string_view name = {},
                                   const Config& config = {});
  static Result<BlockCache> create_from_file(const std::filesystem::path& path, const Config& config = {});

  /// Of the blocks that have code of the image's own; imports have none.
  BlockId first() const;
  BlockId end() const;
  /// The block that is exported by that name, else the first that the image's names call so.
  std::optional<BlockId> find(std::string_view name) const;
  /// Errors: Usage (there is no such block).
  Result<BlockInfo> info(BlockId block) const;
  /// The module of the executors that run machine code: profiles, listings, statistics of its tiers.
  const Module& module() const;

  struct Impl;
  Impl& impl() const { return *impl_; }

 private:
  explicit BlockCache(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

/// What an executor has done since it was made, or since reset_stats.
struct ExecutionStats {
  struct OfTier {
    uint64_t runs = 0;
    std::chrono::nanoseconds time{};  ///< from call to return, by the clock; host functions included
  };
  uint64_t hits = 0;      ///< runs of blocks whose code was there as the executor wants it
  uint64_t compiles = 0;  ///< runs of blocks whose code was made for them; in the interpreter, that were translated
  uint64_t refused = 0;   ///< runs of blocks that the wanted tier's compiler does not take: they ran in a lower one
  uint64_t failed = 0;    ///< runs that ended without results
  std::chrono::nanoseconds compile_time{};  ///< of a JitExecutor's compiles; others' are part of the run
  /// By the tier, as a number, of the code that the block was entered in. What it calls, and a loop that moves up in mid-run,
  /// counts as the block's.
  std::array<OfTier, 3> by_tier{};
  uint64_t runs() const { return by_tier[0].runs + by_tier[1].runs + by_tier[2].runs; }
};

/// A run of a batch.
struct BlockCall {
  BlockId block = 0;
  std::vector<Val> args;
};

/// What the three executors have in common. Each has a store and an instance of its own. One thread at a time uses an executor;
/// executors of one cache may be used by threads of their own at the same time.
class BlockExecutor {
 public:
  /// Defines what the image imports, in a linker for this executor.
  using Define = std::function<Result<void>(Linker& linker)>;

  virtual ~BlockExecutor();
  BlockExecutor(const BlockExecutor&) = delete;
  BlockExecutor& operator=(const BlockExecutor&) = delete;

  /// Runs one block. Errors: Usage (no such block), and those of Func::call.
  Result<std::vector<Val>> run(BlockId block, std::span<const Val> args = {});
  Result<std::vector<Val>> run(BlockId block, std::initializer_list<Val> args) {
    return run(block, std::span(args.begin(), args.size()));
  }
  Result<std::vector<Val>> run(std::string_view name, std::span<const Val> args = {});
  Result<std::vector<Val>> run(std::string_view name, std::initializer_list<Val> args) {
    return run(name, std::span(args.begin(), args.size()));
  }
  /// Gets the code of all blocks first, then runs the calls in their order. One that fails does not keep the others from being run.
  std::vector<Result<std::vector<Val>>> run_batch(std::span<const BlockCall> calls);

  const ExecutionStats& stats() const;
  void reset_stats();
  const BlockCache& cache() const;
  Store& store();
  Instance instance() const;

  struct Impl;

 protected:
  explicit BlockExecutor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Interprets everything, without ever making machine code.
class InterpreterExecutor : public BlockExecutor {
 public:
  /// Errors: what `define` returns; those of Linker::instantiate.
  static Result<std::unique_ptr<InterpreterExecutor>> create(const BlockCache& cache, const Define& define = {},
                                                             const StoreLimits& limits = {});

 private:
  using BlockExecutor::BlockExecutor;
};

/// Runs each block in machine code of the wanted tier, or a better one that is there: it makes what is missing before the run, on the calling
/// thread (Tier::Baseline) or a compile thread, for which it waits (Tier::Opt).
class JitExecutor : public BlockExecutor {
 public:
  /// Errors: Usage (Tier::Interp); what `define` returns; those of Linker::instantiate.
  static Result<std::unique_ptr<JitExecutor>> create(const BlockCache& cache, const Define& define = {},
                                                     Tier tier = Tier::Baseline, const StoreLimits& limits = {});

 private:
  using BlockExecutor::BlockExecutor;
};

/// Runs each block in whatever code is best at the moment, and leaves it to heat what is compiled when.
class HybridExecutor : public BlockExecutor {
 public:
  /// Errors: what `define` returns; those of Linker::instantiate.
  static Result<std::unique_ptr<HybridExecutor>> create(const BlockCache& cache, const Define& define = {},
                                                        const StoreLimits& limits = {});

 private:
  using BlockExecutor::BlockExecutor;
};

// ---- tasks, by their other names ----

/// Runs coroutines on a few threads.
using Scheduler = Executor;
using SchedulerConfig = ExecutorConfig;
using SchedulerStats = ExecutorStats;
/// A piece of the program with a stack of its own.
using Coroutine = Task;

/// What a store is as a thread of execution: the machine that its guests run on, one call deep or many.
class VCPU {
 public:
  enum class State : uint8_t {
    Idle,       ///< no guest of it is in a call
    Running,    ///< one is, on a thread: in its code, or in a host function
    Suspended,  ///< one is, and its task waits or is ready
  };
  explicit VCPU(const Store& store) : store_(&store) {}
  /// At this moment. Any thread, while the store lives.
  State state() const;
  /// Whose guests they are.
  const Store& store() const { return *store_; }

 private:
  const Store* store_;
};
std::string_view to_string(VCPU::State state);

}  // namespace vmrun
#pragma GCC visibility pop
