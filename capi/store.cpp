// Configuration, engines, stores.
#include <algorithm>
#include <chrono>
#include <limits>

#include "capi/handles.h"
#include "vmrun/features.h"

using namespace vmrun;
using namespace vmrun::capi;

const char* vmrun_version(void) { return VMRUN_VERSION_TEXT; }
void vmrun_set_plugin_folder(const char* folder) {
  guarded([&] { set_plugin_folder(folder != nullptr ? folder : ""); });
}
vmrun_error_t* vmrun_load_optimiser(void) {
  Result<void> loaded = load_optimiser();
  return loaded ? nullptr : new_error(std::move(loaded).error());
}

// ---- configuration ----

wasm_config_t* wasm_config_new(void) {
  return guarded([] { return new wasm_config_t; });
}
void wasm_config_delete(wasm_config_t* config) { delete config; }

static_assert(VMRUN_TIERS_STEPS == static_cast<int>(Tiers::Steps) && VMRUN_TIERS_OPT == static_cast<int>(Tiers::Opt));
void vmrun_config_set_tiers(wasm_config_t* config, vmrun_tiers_t tiers) {
  config->config.tiers = tiers >= 0 && tiers <= VMRUN_TIERS_STEPS ? static_cast<Tiers>(tiers) : Tiers::Auto;
}
bool vmrun_config_set_feature(wasm_config_t* config, const char* name, bool on) {
  const std::optional<Feature> feature = name != nullptr ? feature_named(name) : std::nullopt;
  if (feature) config->config.features.set(*feature, on);
  return feature.has_value();
}
void vmrun_config_set_eager_baseline(wasm_config_t* config, bool on) { config->config.eager_baseline = on; }
void vmrun_config_set_compile_threads(wasm_config_t* config, unsigned n) { config->config.compile_threads = n; }
void vmrun_config_set_profile(wasm_config_t* config, bool on) { config->config.profile = on; }
void vmrun_config_set_backtrace_details(wasm_config_t* config, bool on) { config->config.backtrace_details = on; }
void vmrun_config_set_fuel(wasm_config_t* config, bool on) { config->config.fuel = on; }
void vmrun_config_set_dense_memory(wasm_config_t* config, bool on, uint64_t max_bytes) {
  config->config.dense_memory = on;
  if (on) config->config.dense_memory_max_bytes = max_bytes;
}
void vmrun_config_set_guard_pages(wasm_config_t* config, bool on) { config->config.guard_pages = on; }
void vmrun_config_set_max_image_bytes(wasm_config_t* config, uint64_t bytes) { config->config.max_image_bytes = bytes; }

// ---- engines ----

wasm_engine_t* wasm_engine_new(void) {
  return guarded([] {
    make_spare_failures();
    return new wasm_engine_t{Engine()};
  });
}
wasm_engine_t* wasm_engine_new_with_config(wasm_config_t* config) {
  const std::unique_ptr<wasm_config_t> owned(config);
  return guarded([&] {
    make_spare_failures();
    return new wasm_engine_t{config != nullptr ? Engine(config->config) : Engine()};
  });
}
void wasm_engine_delete(wasm_engine_t* engine) { delete engine; }

// ---- stores ----

void vmrun_limits_init(vmrun_limits_t* out) {
  const StoreLimits limits;
  *out = {limits.memory_bytes, limits.table_elements, limits.exception_bytes,     limits.instances,
          limits.stack_bytes,  limits.host_depth,     limits.trap_on_grow_failure};
}

wasm_store_t* vmrun_store_new(wasm_engine_t* engine, const vmrun_limits_t* limits) {
  StoreLimits wanted;
  if (limits != nullptr) {
    wanted.memory_bytes = limits->memory_bytes;
    wanted.table_elements = limits->table_elements;
    wanted.exception_bytes = limits->exception_bytes;
    wanted.instances = limits->instances;
    wanted.stack_bytes = limits->stack_bytes;
    wanted.host_depth = limits->host_depth;
    wanted.trap_on_grow_failure = limits->trap_on_grow_failure;
  }
  return guarded([&] { return new wasm_store_t{std::make_shared<StoreState>(engine->engine, wanted)}; });
}
// Those who know the standard alone can say no limit. Instances are made by the host, never by a guest.
wasm_store_t* wasm_store_new(wasm_engine_t* engine) {
  vmrun_limits_t limits;
  vmrun_limits_init(&limits);
  limits.instances = std::numeric_limits<decltype(limits.instances)>::max();
  return vmrun_store_new(engine, &limits);
}
void wasm_store_delete(wasm_store_t* store) { delete store; }

void vmrun_store_interrupt(wasm_store_t* store) { store->state->store.interrupt(); }
void vmrun_store_clear_interrupt(wasm_store_t* store) { store->state->store.clear_interrupt(); }
vmrun_error_t* vmrun_store_set_fuel(wasm_store_t* store, uint64_t units) {
  Result<void> set = store->state->store.set_fuel(units);
  return set ? nullptr : new_error(std::move(set).error());
}
uint64_t vmrun_store_fuel(const wasm_store_t* store) { return store->state->store.fuel(); }
bool vmrun_store_set_cpu_time_limit(wasm_store_t* store, uint64_t nanoseconds) {
  constexpr auto kMost = static_cast<uint64_t>(std::chrono::nanoseconds::max().count());
  return guarded([&] {
    store->state->store.set_cpu_time_limit(std::chrono::nanoseconds(std::min(nanoseconds, kMost)));
    return true;
  });
}
uint64_t vmrun_store_cpu_time(const wasm_store_t* store) {
  return static_cast<uint64_t>(store->state->store.cpu_time().count());
}
uint64_t vmrun_store_memory_bytes(const wasm_store_t* store) { return store->state->store.memory_bytes(); }
uint64_t vmrun_store_peak_memory_bytes(const wasm_store_t* store) { return store->state->store.peak_memory_bytes(); }
void vmrun_store_set_data(wasm_store_t* store, void* data) { store->state->data = data; }
void* vmrun_store_data(const wasm_store_t* store) { return store->state->data; }
