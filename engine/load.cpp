// See load.h.
#include "engine/load.h"

#include <atomic>
#include <cstdlib>
#include <utility>

#include "engine/engine_impl.h"
#include "engine/file_identity.h"
#include "engine/image_content.h"
#include "interp/interp.h"
#include "vm/base/tally.h"
#include "vm/runtime/samples.h"
#include "vm/wasm/loops.h"
#include "vm/wasm/validated.h"

namespace vmrun::engine {

namespace {

jit::stored::Settings settings_of(const Engine& engine) {
  const Engine::Impl& impl = *engine.impl();
  return impl.tiers->settings(impl.pool->guards(), engine.config().fuel, engine.config().count_runs);
}

bool details_by_environment() {
  const char* said = std::getenv("VMRUN_BACKTRACE_DETAILS");
  return said != nullptr && *said != 0 && std::string_view(said) != "0";
}

/// What the cache has for an image, and who keeps what is new of it.
tiering::StoredCode ask_cache(const Engine& engine, const Cache& cache, const vm::Image& image,
                              const KnownImage* known) {
  tiering::StoredCode stored;
  ImageFacts facts;
  if (known != nullptr) {
    facts = {known->content, known->stamp, known->to_confirm};
  } else {
    if (image.stamp() && is_settled(*image.stamp(), image.read_at()) && keeps_change_times(*image.stamp())) {
      facts.stamp = image.stamp();
    }
    // The hash of an image that is run for the first time is found out while it runs. That it was, its file's record says.
    const bool later = cache.keeps_images() && cache.config().write && facts.stamp &&
                       image.bytes().size() >= kLargeImage && !cache.may_have(image);
    if (!later) facts.content = image_content(image, engine.config().validation_threads);
  }
  if (facts.content) {
    stored = cache.find({*facts.content, settings_of(engine)});
  } else {
    vm::count(vm::tally.cache_misses);
  }
  stored.keeper = cache.keeper(facts);
  return stored;
}

Result<std::shared_ptr<vm::Module>> load(const Engine& engine, std::shared_ptr<const vm::Image> image,
                                         std::string_view name, CompiledImage compiled, const KnownImage* known) {
  const Config& config = engine.config();
  if (image->bytes().size() > config.max_image_bytes) {
    return Error(ErrorKind::Limit, "image of " + std::to_string(image->bytes().size()) +
                                       " bytes is larger than the limit of " + std::to_string(config.max_image_bytes));
  }
  tiering::StoredCode stored;
  stored.file = std::move(compiled.file);
  stored.runs = compiled.trusted;
  if (const Cache* cache = engine.impl()->cache.get(); cache != nullptr && stored.file == nullptr) {
    stored = ask_cache(engine, *cache, *image, known);
  }
  vm::DecodeOptions options;
  options.features.bits = config.features.bits() | FeatureSet{Feature::Mvp}.bits();
  options.threads = config.validation_threads;
  options.name = name;
  std::shared_ptr<vm::TypeRegistry> registry = engine.impl()->registry;
  const bool validated = stored.file != nullptr && stored.runs && stored.file->header().validated == 1;
  Result<std::shared_ptr<vm::Module>> decoded =
      validated
          ? vm::decode_validated_module(std::move(image), std::move(registry), options,
                                        {static_cast<uint32_t>(stored.file->header().features)},
                                        known != nullptr ? std::span(known->bodies) : std::span<const vm::ByteRange>())
          : vm::decode_module(std::move(image), std::move(registry), options);
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
  const auto keeper = std::static_pointer_cast<CacheKeeper>(stored.keeper);
  std::shared_ptr<vm::Module> made(module, [keep = std::move(*decoded), tiers, keeper](vm::Module* m) {
    if (keeper != nullptr) keeper->stop();
    if (m->interp == nullptr) return;
    vm::forget_samples_of(*m);
    if (tiers != nullptr) tiers->detach(*m);
    interp::detach(*m);
    vm::free_block_records(*m);
  });
  interp::attach(*module);
  if (tiers != nullptr) tiers->attach(*module, {}, std::move(stored));
  if (keeper != nullptr) keeper->begin(*module);
  return made;
}

}  // namespace

CacheKey cache_key(const Engine& engine, const vm::Image& image) {
  return {image_content(image, engine.config().validation_threads), settings_of(engine)};
}

Result<std::shared_ptr<vm::Module>> load_module(const Engine& engine, Result<std::shared_ptr<const vm::Image>> image,
                                                std::string_view name, CompiledImage compiled) {
  if (!image) return std::move(image).error();
  return load(engine, std::move(*image), name, std::move(compiled), nullptr);
}

Result<std::shared_ptr<vm::Module>> load_file(const Engine& engine, const std::filesystem::path& path) {
  if (const Cache* cache = engine.impl()->cache.get(); cache != nullptr) {
    if (const std::optional<KnownImage> known = cache->recognise(path)) {
      auto loaded = load(engine, known->image, {}, {}, &*known);
      if (loaded || loaded.error().kind == ErrorKind::Limit) return loaded;
      // What was kept once was a module. Whatever is wrong, the file has the last word.
      VMRUN_LOG_AT(cache_log(), info, "the copy of {} is of no use: {}", path.string(), loaded.error().message);
      cache->forget(*known);
    }
  }
  return load_module(engine, vm::Image::open(path), {});
}

}  // namespace vmrun::engine
