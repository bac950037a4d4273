// See load.h.
#include "engine/load.h"

#include <atomic>
#include <cstdlib>
#include <utility>

#include "engine/engine_impl.h"
#include "interp/interp.h"
#include "vm/runtime/samples.h"
#include "vm/wasm/loops.h"
#include "vm/wasm/validated.h"

namespace vmrun::engine {

CacheKey cache_key(const Engine& engine, const vm::Image& image) {
  const Config& config = engine.config();
  const Engine::Impl& impl = *engine.impl();
  return {vm::content_hash(std::as_bytes(image.bytes()), config.validation_threads),
          impl.tiers->settings(impl.pool->guards(), config.fuel, config.count_runs)};
}

namespace {

bool details_by_environment() {
  const char* said = std::getenv("VMRUN_BACKTRACE_DETAILS");
  return said != nullptr && *said != 0 && std::string_view(said) != "0";
}

}  // namespace

Result<std::shared_ptr<vm::Module>> load_module(const Engine& engine, Result<std::shared_ptr<const vm::Image>> image,
                                                std::string_view name, std::shared_ptr<const jit::stored::File> file) {
  if (!image) return std::move(image).error();
  const Config& config = engine.config();
  if ((*image)->bytes().size() > config.max_image_bytes) {
    return Error(ErrorKind::Limit, "image of " + std::to_string((*image)->bytes().size()) +
                                       " bytes is larger than the limit of " + std::to_string(config.max_image_bytes));
  }
  tiering::StoredCode stored;
  stored.file = std::move(file);
  if (const Cache* cache = engine.impl()->cache.get(); cache != nullptr && stored.file == nullptr) {
    stored = cache->find(cache_key(engine, **image));
  }
  vm::DecodeOptions options;
  options.features.bits = config.features.bits() | FeatureSet{Feature::Mvp}.bits();
  options.threads = config.validation_threads;
  options.name = name;
  std::shared_ptr<vm::TypeRegistry> registry = engine.impl()->registry;
  const bool validated = stored.file != nullptr && stored.file->header().validated == 1;
  Result<std::shared_ptr<vm::Module>> decoded =
      validated ? vm::decode_validated_module(std::move(*image), std::move(registry), options,
                                              {static_cast<uint32_t>(stored.file->header().features)})
                : vm::decode_module(std::move(*image), std::move(registry), options);
  if (!decoded) return decoded;
  vm::Module* module = decoded->get();
  module->guarded_memories = engine.impl()->pool->guards();
  module->metered = config.fuel;
  module->effort = config.effort;
  module->count_runs = config.count_runs;
  module->source_lines = config.backtrace_details.value_or(details_by_environment());
  static constinit std::atomic<uint32_t> made_modules{0};
  module->number = made_modules.fetch_add(1, std::memory_order_relaxed) + 1;
  const std::shared_ptr<tiering::Manager>& tiers = engine.impl()->tiers;
  // All code goes when the last handle and the last store let go of the module, or when something is missing below.
  std::shared_ptr<vm::Module> made(module, [keep = std::move(*decoded), tiers](vm::Module* m) {
    if (m->interp == nullptr) return;
    vm::forget_samples_of(*m);
    if (tiers != nullptr) tiers->detach(*m);
    interp::detach(*m);
    vm::free_block_records(*m);
  });
  interp::attach(*module);
  if (tiers != nullptr) tiers->attach(*module, {}, std::move(stored));
  return made;
}

}  // namespace vmrun::engine
