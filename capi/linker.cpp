// Linking by name, and WASI.
#include "vmrun/linker.h"

#include "capi/funcs.h"
#include "capi/types.h"
#include "vmrun/wasi.h"

using namespace vmrun;
using namespace vmrun::capi;

struct vmrun_wasi_config_t {
  WasiConfig config;
};

struct vmrun_linker_t {
  explicit vmrun_linker_t(StorePtr s) : store(std::move(s)), linker(store->store.engine()) {}
  const StorePtr store;
  Linker linker;
};

namespace {

/// The failure of what `f` does, exhausted memory too.
template <class F>
vmrun_error_t* failure_of(F&& f) {
  try {
    Result<void> done = f();
    return done ? nullptr : new_error(std::move(done).error());
  } catch (const std::bad_alloc&) {
    return new_error(Error(ErrorKind::Limit, "out of memory"));
  }
}

WasiConfig::Sink sink_of(vmrun_wasi_sink_t sink, void* env) {
  return [sink, env](std::string_view bytes) { return sink(env, bytes.data(), bytes.size()); };
}

}  // namespace

// ---- WASI's configuration ----

vmrun_wasi_config_t* vmrun_wasi_config_new(void) {
  return guarded([] { return new vmrun_wasi_config_t; });
}
void vmrun_wasi_config_delete(vmrun_wasi_config_t* config) { delete config; }
void vmrun_wasi_config_arg(vmrun_wasi_config_t* config, const char* value) {
  guarded([&] { config->config.arg(value); });
}
void vmrun_wasi_config_env(vmrun_wasi_config_t* config, const char* name, const char* value) {
  guarded([&] { config->config.env(name, value); });
}
void vmrun_wasi_config_inherit_env(vmrun_wasi_config_t* config) {
  guarded([&] { config->config.inherit_env(); });
}
void vmrun_wasi_config_inherit_stdio(vmrun_wasi_config_t* config) { config->config.inherit_stdio(); }
void vmrun_wasi_config_stdio_fds(vmrun_wasi_config_t* config, int in, int out, int err) {
  config->config.stdin_fd(in).stdout_fd(out).stderr_fd(err);
}
void vmrun_wasi_config_stdin_bytes(vmrun_wasi_config_t* config, const byte_t* bytes, size_t size) {
  guarded([&] { config->config.stdin_bytes(std::string(bytes, size)); });
}
void vmrun_wasi_config_stdout_to(vmrun_wasi_config_t* config, vmrun_wasi_sink_t sink, void* env) {
  guarded([&] { config->config.stdout_to(sink_of(sink, env)); });
}
void vmrun_wasi_config_stderr_to(vmrun_wasi_config_t* config, vmrun_wasi_sink_t sink, void* env) {
  guarded([&] { config->config.stderr_to(sink_of(sink, env)); });
}
void vmrun_wasi_config_preopen_dir(vmrun_wasi_config_t* config, const char* host, const char* guest, bool read_only) {
  guarded([&] { config->config.preopen_dir(host, guest, read_only); });
}
void vmrun_wasi_config_preopen_socket(vmrun_wasi_config_t* config, int fd) {
  guarded([&] { config->config.preopen_socket(fd); });
}
void vmrun_wasi_config_max_descriptors(vmrun_wasi_config_t* config, uint32_t n) { config->config.max_descriptors(n); }
void vmrun_wasi_config_max_threads(vmrun_wasi_config_t* config, uint32_t n) { config->config.max_threads(n); }
void vmrun_wasi_config_random_seed(vmrun_wasi_config_t* config, uint64_t seed) { config->config.random_seed(seed); }

// ---- linkers ----

vmrun_linker_t* vmrun_linker_new(wasm_store_t* store) {
  return guarded([&] { return new vmrun_linker_t(store->state); });
}
void vmrun_linker_delete(vmrun_linker_t* linker) { delete linker; }
void vmrun_linker_allow_shadowing(vmrun_linker_t* linker, bool allow) { linker->linker.allow_shadowing(allow); }
void vmrun_linker_unknown_imports_trap(vmrun_linker_t* linker, bool trap) { linker->linker.unknown_imports_trap(trap); }
vmrun_error_t* vmrun_linker_define(vmrun_linker_t* linker, const char* module, const char* name,
                                   const wasm_extern_t* item) {
  return failure_of([&]() -> Result<void> {
    if (item->store != linker->store) return Error(ErrorKind::Usage, "the definition belongs to another store");
    return linker->linker.define(module, name, extern_of(*item), linker->store->store);
  });
}
vmrun_error_t* vmrun_linker_define_func(vmrun_linker_t* linker, const char* module, const char* name,
                                        const wasm_functype_t* type, vmrun_callback_t callback, void* env,
                                        void (*finalizer)(void*)) {
  return failure_of([&] {
    Callback made{.with_caller = callback, .env = env, .finalizer = finalizer};
    return linker->linker.host_func(module, name, host_func(from_functype(*type), made));
  });
}
vmrun_error_t* vmrun_linker_define_instance(vmrun_linker_t* linker, const char* module,
                                            const wasm_instance_t* instance) {
  return failure_of([&]() -> Result<void> {
    if (instance->store != linker->store) return Error(ErrorKind::Usage, "the instance belongs to another store");
    return linker->linker.define_instance(module, instance_of(*instance), linker->store->store);
  });
}
vmrun_error_t* vmrun_linker_define_wasi(vmrun_linker_t* linker, const vmrun_wasi_config_t* config) {
  return failure_of([&]() -> Result<void> {
    Result<WasiContext> context = WasiContext::create(config->config);
    if (!context) return std::move(context).error();
    return add_wasi(linker->linker, *context);
  });
}
vmrun_error_t* vmrun_linker_define_shared_memories(vmrun_linker_t* linker, const wasm_module_t* module) {
  return failure_of([&] { return linker->linker.add_shared_memories(linker->store->store, module_of(*module)); });
}
wasm_trap_t* vmrun_linker_instantiate(vmrun_linker_t* linker, const wasm_module_t* module, wasm_instance_t** out) {
  *out = nullptr;
  const StorePtr state = linker->store;
  return guarded([&]() -> wasm_trap_t* {
    Result<Instance> made = linker->linker.instantiate(state->store, module_of(*module));
    if (!made) return trap_for(state, std::move(made).error());
    state->instances.push_back(made->impl());
    *out = new_instance(state, *made);
    return nullptr;
  });
}

// ---- programs ----

wasm_trap_t* vmrun_wasi_run(const wasm_instance_t* instance, int* status) {
  const StorePtr state = instance->store;
  *status = 0;
  auto main = [&]() -> Result<void> {
    Result<Func> start = instance_of(*instance).func("_start");
    if (!start) return std::move(start).error();
    Result<std::vector<Val>> done = start->call();
    if (!done) return std::move(done).error();
    return {};
  };
  return guarded([&]() -> wasm_trap_t* {
    const bool threads = starts_threads(instance_of(*instance).module());
    Result<void> done = threads ? run_wasi(state->store, main) : main();
    if (done) return nullptr;
    if (done.error().kind == ErrorKind::Exit) {
      *status = done.error().exit_status;
      return nullptr;
    }
    return trap_for(state, std::move(done).error());
  });
}
