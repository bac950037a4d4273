// Linking by name, and WASI.
#include "vmrun/linker.h"

#include <algorithm>
#include <initializer_list>
#include <optional>

#include "capi/funcs.h"
#include "capi/types.h"
#include "vmrun/wasi.h"

using namespace vmrun;
using namespace vmrun::capi;

struct vmrun_wasi_config_t {
  WasiConfig config;
  std::optional<Error> wrong;  // the first failure
};

struct vmrun_linker_t {
  explicit vmrun_linker_t(StorePtr s) : store(std::move(s)), linker(store->store.engine()) {}
  const StorePtr store;
  Linker linker;
};

namespace {

/// Configures, if none of `needed` is NULL, and keeps the first thing that was wrong for vmrun_linker_define_wasi.
template <class F>
void configure(vmrun_wasi_config_t& config, std::initializer_list<const void*> needed, const char* what, F&& f) {
  std::optional<Error> wrong;
  try {
    if (std::find(needed.begin(), needed.end(), nullptr) == needed.end()) return f(config.config);
    wrong = usage(std::string(what) + " is NULL");
  } catch (...) {
    wrong = caught();
    wrong->message = std::string(what) + ": " + wrong->message;
  }
  set_last_error(*wrong);
  if (!config.wrong) config.wrong = std::move(wrong);
}

/// Names of a definition, if they are there.
std::optional<Error> unnamed(const char* module, const char* name) {
  if (module != nullptr && name != nullptr) return std::nullopt;
  return usage("the name of a module or of a definition in it is NULL");
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
  configure(*config, {value}, "an argument", [&](WasiConfig& to) { to.arg(value); });
}
void vmrun_wasi_config_env(vmrun_wasi_config_t* config, const char* name, const char* value) {
  configure(*config, {name, value}, "a variable's name or value", [&](WasiConfig& to) { to.env(name, value); });
}
void vmrun_wasi_config_inherit_env(vmrun_wasi_config_t* config) {
  configure(*config, {}, "the environment", [](WasiConfig& to) { to.inherit_env(); });
}
void vmrun_wasi_config_inherit_stdio(vmrun_wasi_config_t* config) { config->config.inherit_stdio(); }
void vmrun_wasi_config_stdio_fds(vmrun_wasi_config_t* config, int in, int out, int err) {
  config->config.stdin_fd(in).stdout_fd(out).stderr_fd(err);
}
void vmrun_wasi_config_stdin_bytes(vmrun_wasi_config_t* config, const byte_t* bytes, size_t size) {
  configure(*config, {size != 0 ? bytes : ""}, "standard input", [&](WasiConfig& to) {
    std::string input;
    if (size != 0) input.append(bytes, size);  // a constructor adds before it looks at the length
    to.stdin_bytes(std::move(input));
  });
}
void vmrun_wasi_config_stdout_to(vmrun_wasi_config_t* config, vmrun_wasi_sink_t sink, void* env) {
  configure(*config, {reinterpret_cast<const void*>(sink)}, "the sink of standard output",
            [&](WasiConfig& to) { to.stdout_to(sink_of(sink, env)); });
}
void vmrun_wasi_config_stderr_to(vmrun_wasi_config_t* config, vmrun_wasi_sink_t sink, void* env) {
  configure(*config, {reinterpret_cast<const void*>(sink)}, "the sink of standard error",
            [&](WasiConfig& to) { to.stderr_to(sink_of(sink, env)); });
}
void vmrun_wasi_config_preopen_dir(vmrun_wasi_config_t* config, const char* host, const char* guest, bool read_only) {
  configure(*config, {host, guest}, "a directory's path, or its name for the guest",
            [&](WasiConfig& to) { to.preopen_dir(host, guest, read_only); });
}
void vmrun_wasi_config_preopen_socket(vmrun_wasi_config_t* config, int fd) {
  configure(*config, {}, "a socket", [&](WasiConfig& to) { to.preopen_socket(fd); });
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
    if (auto error = unnamed(module, name)) return *error;
    if (item == nullptr) return usage("the definition is NULL");
    if (item->store != linker->store) return Error(ErrorKind::Usage, "the definition belongs to another store");
    return linker->linker.define(module, name, extern_of(*item), linker->store->store);
  });
}
vmrun_error_t* vmrun_linker_define_func(vmrun_linker_t* linker, const char* module, const char* name,
                                        const wasm_functype_t* type, vmrun_callback_t callback, void* env,
                                        void (*finalizer)(void*)) {
  return failure_of([&]() -> Result<void> {
    auto made = host_func(type, {.with_caller = callback, .env = env, .finalizer = finalizer});
    if (!made) return std::move(made).error();
    if (auto error = unnamed(module, name)) return *error;
    return linker->linker.host_func(module, name, *made);
  });
}
vmrun_error_t* vmrun_linker_define_instance(vmrun_linker_t* linker, const char* module,
                                            const wasm_instance_t* instance) {
  return failure_of([&]() -> Result<void> {
    if (auto error = unnamed(module, "")) return *error;
    if (instance->store != linker->store) return Error(ErrorKind::Usage, "the instance belongs to another store");
    return linker->linker.define_instance(module, instance_of(*instance), linker->store->store);
  });
}
vmrun_error_t* vmrun_linker_define_wasi(vmrun_linker_t* linker, const vmrun_wasi_config_t* config) {
  return failure_of([&]() -> Result<void> {
    if (config->wrong) return *config->wrong;
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
  try {
    Result<Instance> made = linker->linker.instantiate(state->store, module_of(*module));
    if (!made) return trap_for(state, std::move(made).error());
    state->instances.push_back(made->impl());
    *out = new_instance(state, *made);
    return nullptr;
  } catch (const std::bad_alloc&) {  // what a callback throws passes
    return new_trap(state, caught());
  }
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
  try {
    const bool threads = starts_threads(instance_of(*instance).module());
    Result<void> done = threads ? run_wasi(state->store, main) : main();
    if (done) return nullptr;
    if (done.error().kind == ErrorKind::Exit) {
      *status = done.error().exit_status;
      return nullptr;
    }
    return trap_for(state, std::move(done).error());
  } catch (const std::bad_alloc&) {  // what a callback throws passes
    return new_trap(state, caught());
  }
}
