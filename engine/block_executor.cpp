// Executors over blocks: a module for machine code and one for the interpreter, and what is done before a call.
#include <algorithm>
#include <mutex>
#include <utility>

#include "engine/engine_impl.h"
#include "engine/exceptions.h"
#include "tiering/manager.h"
#include "vm/runtime/instance.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/store.h"
#include "vm/wasm/image.h"
#include "vm/wasm/module.h"
#include "vmrun/executors.h"

namespace vmrun {

using Clock = std::chrono::steady_clock;

// ---- the cache --------------------------------------------------------------------------------------------------------

struct BlockCache::Impl {
  Module machine;
  Config config;
  std::mutex mutex;  // guards `interpreted`
  std::optional<Module> interpreted;

  /// The module of executors that interpret, made when the first one is.
  Result<Module> interpreter() {
    std::lock_guard lock(mutex);
    if (!interpreted) {
      Config plain = config;
      plain.tiers = Tiers::Interp;
      plain.cache.reset();
      Result<Module> made = Module::compile(Engine(plain), machine.impl()->image->bytes(), machine.name());
      if (!made) return made;
      interpreted = std::move(*made);
    }
    return *interpreted;
  }
};

namespace {

Config with_all_tiers(Config config) {
  config.tiers = Tiers::Auto;
  return config;
}

bool has_block(const vm::Module& module, BlockId block) {
  return block >= module.imported_funcs && block < module.funcs.size();
}

Error no_block(const vm::Module& module, BlockId block) {
  return Error(ErrorKind::Usage, "there is no block " + std::to_string(block) + ": they are numbered from " +
                                     std::to_string(module.imported_funcs) + " to " +
                                     std::to_string(module.funcs.size()) + ", the last one excluded");
}

Tier tier_of(const vm::Module& module, BlockId block) {
  return static_cast<Tier>(module.code(block).tier.load(std::memory_order_acquire));
}

}  // namespace

Result<BlockCache> BlockCache::create(std::span<const uint8_t> image, std::string_view name, const Config& config) try {
  Result<Module> module = Module::compile(Engine(with_all_tiers(config)), image, name);
  if (!module) return std::move(module).error();
  return BlockCache(std::make_shared<Impl>(std::move(*module), config));
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<BlockCache> BlockCache::create_from_file(const std::filesystem::path& path, const Config& config) try {
  Result<Module> module = Module::compile_file(Engine(with_all_tiers(config)), path);
  if (!module) return std::move(module).error();
  return BlockCache(std::make_shared<Impl>(std::move(*module), config));
}
VMRUN_CATCH_OUR_EXCEPTIONS

BlockId BlockCache::first() const { return impl_->machine.impl()->imported_funcs; }
BlockId BlockCache::end() const { return static_cast<BlockId>(impl_->machine.impl()->funcs.size()); }
const Module& BlockCache::module() const { return impl_->machine; }

std::optional<BlockId> BlockCache::find(std::string_view name) const {
  const vm::Module& module = *impl_->machine.impl();
  for (const vm::Export& item : module.exports) {
    if (item.kind == vm::ExternKind::func && item.name == name && has_block(module, item.index)) return item.index;
  }
  for (BlockId block = first(); block < end(); ++block) {
    if (impl_->machine.function_name(block) == name) return block;
  }
  return std::nullopt;
}

Result<BlockInfo> BlockCache::info(BlockId block) const {
  const Module& module = impl_->machine;
  const vm::Module& machine = *module.impl();
  if (!has_block(machine, block)) return no_block(machine, block);
  BlockInfo info;
  info.id = block;
  info.name = module.function_name(block);
  info.type = module.function_type(block);
  info.offset = machine.funcs[block].body.begin;
  info.size = machine.funcs[block].body.size();
  info.tier = tier_of(machine, block);
  return info;
}

// ---- executors --------------------------------------------------------------------------------------------------------

struct BlockExecutor::Impl {
  Impl(BlockCache cache, Module module, std::optional<Tier> wanted, const StoreLimits& limits)
      : cache(std::move(cache)), module(std::move(module)), wanted(wanted), store(this->module.engine(), limits) {}

  BlockCache cache;
  Module module;
  std::optional<Tier> wanted;  // none: whatever is there
  Store store;
  Instance instance{nullptr};
  ExecutionStats stats;

  const vm::Module& machine() const { return *module.impl(); }

  Result<void> instantiate(const Define& define) {
    Linker linker(module.engine());
    if (define) {
      if (Result<void> defined = define(linker); !defined) return defined;
    }
    Result<Instance> made = linker.instantiate(store, module);
    if (!made) return std::move(made).error();
    instance = *made;
    return {};
  }

  /// Makes the code of a block that is to be run, where it is missing; counts what it found.
  void prepare(BlockId block) {
    if (!wanted || tier_of(machine(), block) >= *wanted) {
      // What has never been run gets its first code in the run itself.
      const bool fresh = tier_of(machine(), block) == Tier::Interp &&
                         machine().code(block).interp.load(std::memory_order_acquire) == nullptr;
      ++(fresh ? stats.compiles : stats.hits);
      return;
    }
    const Clock::time_point begin = Clock::now();
    // In its absence the next lower tier's: a function that the optimiser refuses has baseline code.
    bool made = false;
    for (Tier tier = *wanted; tier != Tier::Interp && !made; tier = static_cast<Tier>(static_cast<int>(tier) - 1)) {
      if (tier_of(machine(), block) >= tier) break;
      made = tiering::Manager::promote(machine(), block, static_cast<vm::Tier>(tier)).empty();
    }
    stats.compile_time += Clock::now() - begin;
    stats.compiles += made ? 1 : 0;
    if (tier_of(machine(), block) < *wanted) ++stats.refused;
  }

  Result<std::vector<Val>> call(BlockId block, std::span<const Val> args) {
    ExecutionStats::OfTier& counts = stats.by_tier[static_cast<size_t>(tier_of(machine(), block))];
    const Func func(&store.impl(), instance.impl()->funcs[block]);
    const Clock::time_point begin = Clock::now();
    Result<std::vector<Val>> done = func.call(args);
    counts.time += Clock::now() - begin;
    ++counts.runs;
    stats.failed += done.ok() ? 0 : 1;
    return done;
  }
};

BlockExecutor::BlockExecutor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BlockExecutor::~BlockExecutor() = default;

Result<std::vector<Val>> BlockExecutor::run(BlockId block, std::span<const Val> args) {
  if (!has_block(impl_->machine(), block)) return no_block(impl_->machine(), block);
  impl_->prepare(block);
  return impl_->call(block, args);
}

Result<std::vector<Val>> BlockExecutor::run(std::string_view name, std::span<const Val> args) {
  const std::optional<BlockId> block = impl_->cache.find(name);
  if (!block) return Error(ErrorKind::Usage, "there is no block of the name " + printable_name(name));
  return run(*block, args);
}

std::vector<Result<std::vector<Val>>> BlockExecutor::run_batch(std::span<const BlockCall> calls) {
  for (const BlockCall& call : calls) {
    if (has_block(impl_->machine(), call.block)) impl_->prepare(call.block);
  }
  std::vector<Result<std::vector<Val>>> results;
  results.reserve(calls.size());
  for (const BlockCall& call : calls) {
    if (has_block(impl_->machine(), call.block)) {
      results.push_back(impl_->call(call.block, call.args));
    } else {
      results.push_back(no_block(impl_->machine(), call.block));
    }
  }
  return results;
}

const ExecutionStats& BlockExecutor::stats() const { return impl_->stats; }
void BlockExecutor::reset_stats() { impl_->stats = {}; }
const BlockCache& BlockExecutor::cache() const { return impl_->cache; }
Store& BlockExecutor::store() { return impl_->store; }
Instance BlockExecutor::instance() const { return impl_->instance; }

Result<std::unique_ptr<InterpreterExecutor>> InterpreterExecutor::create(const BlockCache& cache, const Define& define,
                                                                         const StoreLimits& limits) try {
  Result<Module> module = cache.impl().interpreter();
  if (!module) return std::move(module).error();
  auto impl = std::make_unique<Impl>(cache, std::move(*module), std::nullopt, limits);
  if (Result<void> made = impl->instantiate(define); !made) return std::move(made).error();
  return std::unique_ptr<InterpreterExecutor>(new InterpreterExecutor(std::move(impl)));
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<std::unique_ptr<JitExecutor>> JitExecutor::create(const BlockCache& cache, const Define& define, Tier tier,
                                                         const StoreLimits& limits) try {
  if (tier == Tier::Interp) {
    return Error(ErrorKind::Usage, "a JitExecutor runs machine code: an InterpreterExecutor interprets");
  }
  auto impl = std::make_unique<Impl>(cache, cache.module(), tier, limits);
  if (Result<void> made = impl->instantiate(define); !made) return std::move(made).error();
  return std::unique_ptr<JitExecutor>(new JitExecutor(std::move(impl)));
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<std::unique_ptr<HybridExecutor>> HybridExecutor::create(const BlockCache& cache, const Define& define,
                                                               const StoreLimits& limits) try {
  auto impl = std::make_unique<Impl>(cache, cache.module(), std::nullopt, limits);
  if (Result<void> made = impl->instantiate(define); !made) return std::move(made).error();
  return std::unique_ptr<HybridExecutor>(new HybridExecutor(std::move(impl)));
}
VMRUN_CATCH_OUR_EXCEPTIONS

// ---- vCPUs ------------------------------------------------------------------------------------------------------------

VCPU::State VCPU::state() const {
  const int32_t thread = store_->impl().vcpu().thread.load(std::memory_order_acquire);
  if (thread == 0) return State::Idle;
  return thread > 0 ? State::Running : State::Suspended;
}

std::string_view to_string(VCPU::State state) {
  switch (state) {
    case VCPU::State::Idle: return "idle";
    case VCPU::State::Running: return "running";
    case VCPU::State::Suspended: return "suspended";
  }
  return "unknown";
}

}  // namespace vmrun
