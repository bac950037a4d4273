// Engine: the configuration and what all its stores and modules share.
#include "vmrun/engine.h"

#include <vector>

#include "engine/engine_impl.h"
#include "engine/exceptions.h"
#include "jit/code/announce.h"
#include "jit/compiler.h"
#include "jit/crossing/trampoline.h"
#include "jit/stop/guest_samples.h"
#include "jit/stop/preempt.h"
#include "vm/base/plugin.h"
#include "vm/runtime/fault.h"

namespace vmrun {
namespace {

std::shared_ptr<tiering::Manager> make_tiers(const Config& config) {
  const tiering::Mode& mode = tiering::mode_of(config.tiers);
  if (!mode.facts.machine_code) return nullptr;
  tiering::Options options;
  options.mode = &mode;
  options.eager_baseline = config.eager_baseline;
  options.threads = config.compile_threads;
  options.profile = config.profile;
  options.inlining = config.inlining;
  options.polls = !jit::kStopsBySignal;
  return {new tiering::Manager(options), [](tiering::Manager* manager) {
            if (!manager->is_forked()) delete manager;  // else it ends with the process
          }};
}

}  // namespace

Engine::Engine(const Config& config) {
  const auto made = std::make_shared<Impl>();
  const auto refs = std::make_shared<vm::StripedRef<Impl>>(made);
  for (size_t i = 0; i < vm::kStripes; ++i) made->self[i] = refs->ref(i);
  impl_ = std::shared_ptr<Impl>(refs, made.get());
  impl_->config = config;
  impl_->registry = std::make_shared<vm::TypeRegistry>();
  vm::MemoryPool::Options pool;
  pool.dense = config.dense_memory;
  pool.dense_bytes = config.dense_memory_max_bytes;
  pool.guards = config.guard_pages;
  pool.cached = config.cached_memories;
  if (config.memory_hooks) pool.hosted = std::make_shared<vm::HostedMemories>(*config.memory_hooks);
  impl_->pool = std::make_shared<vm::MemoryPool>(pool);
  impl_->registry_refs = vm::StripedRef(impl_->registry);
  impl_->pool_refs = vm::StripedRef(impl_->pool);
  impl_->shared_funcs = std::make_shared<vm::SharedFuncs>();
  vm::fault_install();
  jit::preempt_install();
  jit::watch_guest_threads();
  jit::initialize();
  impl_->tiers = make_tiers(config);
  if (impl_->tiers == nullptr) return;
  if (config.cache_hooks) {
    impl_->cache = std::make_unique<engine::Cache>(*config.cache_hooks);
  } else if (config.cache) {
    impl_->cache = std::make_unique<engine::Cache>(*config.cache);
  }
}

Result<void> announce_code(CodeTool tool) {
  std::string why;
  std::unique_ptr<jit::Announcer> announcer;
  switch (tool) {
    case CodeTool::PerfMap: announcer = jit::make_perf_map(&why); break;
    case CodeTool::JitDump: announcer = jit::make_jitdump(&why); break;
    case CodeTool::Gdb: announcer = jit::make_gdb_announcer(jit::GdbLines::off); break;
    case CodeTool::GdbLines: announcer = jit::make_gdb_announcer(jit::GdbLines::on); break;
  }
  if (announcer == nullptr) return Error(ErrorKind::Io, std::move(why));
  jit::announce_to(std::move(announcer));
  return {};
}

void set_plugin_folder(std::string folder) { vm::name_plugin_folder(std::move(folder)); }

Result<void> load_optimiser() try {
  std::string why;
  if (jit::load_opt_compiler(&why) != nullptr) return {};
  return Error(ErrorKind::Unsupported, "no optimised code: " + why);
}
VMRUN_CATCH_OUR_EXCEPTIONS

std::span<const TiersName> tiers_names() {
  static const std::vector<TiersName> names = [] {
    std::vector<TiersName> out;
    for (const tiering::Mode* mode : tiering::modes()) out.push_back({mode->tiers, mode->name, mode->help});
    return out;
  }();
  return names;
}

Engine Engine::for_store() const {
  std::shared_ptr<Impl> own = impl_->self[vm::stripe()].lock();
  return own != nullptr ? Engine(std::move(own)) : *this;
}

const Config& Engine::config() const { return impl_->config; }
bool Engine::compiling() const { return impl_->tiers != nullptr && impl_->tiers->compiling(); }

}  // namespace vmrun
