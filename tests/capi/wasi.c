// WASI programs: what they are given, what they write, how they end.
#include "common.h"

typedef struct text_t {
  char bytes[4096];
  size_t size;
} text_t;

static bool append(void* env, const byte_t* bytes, size_t size) {
  text_t* const text = env;
  if (text->size + size > sizeof text->bytes) return false;
  memcpy(text->bytes + text->size, bytes, size);
  text->size += size;
  return true;
}

static wasm_instance_t* start(world_t world, const char* name, const vmrun_wasi_config_t* config) {
  wasm_module_t* const module = load(world.store, name);
  vmrun_linker_t* const linker = vmrun_linker_new(world.store);
  NEED(vmrun_linker_define_wasi(linker, config) == NULL);
  NEED(vmrun_linker_define_shared_memories(linker, module) == NULL);
  wasm_instance_t* instance = NULL;
  wasm_trap_t* const trap = vmrun_linker_instantiate(linker, module, &instance);
  NEED(trap == NULL);
  vmrun_linker_delete(linker);
  wasm_module_delete(module);
  return instance;
}

void test_wasi(void) {
  const world_t world = new_world();
  text_t out = {{0}, 0}, err = {{0}, 0};
  vmrun_wasi_config_t* const config = vmrun_wasi_config_new();
  vmrun_wasi_config_arg(config, "program");
  vmrun_wasi_config_arg(config, "first argument");
  vmrun_wasi_config_env(config, "KEY", "value");
  vmrun_wasi_config_stdin_bytes(config, "some input\n", 11);
  vmrun_wasi_config_stdout_to(config, append, &out);
  vmrun_wasi_config_stderr_to(config, append, &err);
  vmrun_wasi_config_random_seed(config, 1);
  vmrun_wasi_config_max_descriptors(config, 16);
  wasm_instance_t* const instance = start(world, "capi_program", config);
  int status = -1;
  CHECK(vmrun_wasi_run(instance, &status) == NULL && status == 2);
  const char* const wanted = "program\nfirst argument\nKEY=value\nsome input\n";
  CHECK(out.size == strlen(wanted) && memcmp(out.bytes, wanted, out.size) == 0);
  CHECK(err.size == strlen("an error\n") && memcmp(err.bytes, "an error\n", err.size) == 0);
  wasm_instance_delete(instance);

  // A directory that is not there.
  vmrun_wasi_config_preopen_dir(config, "/no/such/directory", "/data", true);
  vmrun_linker_t* const linker = vmrun_linker_new(world.store);
  vmrun_error_t* const error = vmrun_linker_define_wasi(linker, config);
  NEED(error != NULL);
  CHECK(vmrun_error_kind(error) == VMRUN_ERROR_IO);
  vmrun_error_delete(error);
  vmrun_linker_delete(linker);
  vmrun_wasi_config_delete(config);

  // A status, and threads of a guest.
  vmrun_wasi_config_t* const other = vmrun_wasi_config_new();
  wasm_instance_t* const exits = start(world, "cli_exit", other);
  CHECK(vmrun_wasi_run(exits, &status) == NULL && status == 7);
  wasm_instance_delete(exits);
  vmrun_wasi_config_delete(other);
  end_world(world);

  // Threads of a guest.
  const world_t second = new_world();
  vmrun_wasi_config_t* const work = vmrun_wasi_config_new();
  const char* const args[] = {"threads_work", "mandelbrot", "2", "16"};
  for (size_t i = 0; i < 4; ++i) vmrun_wasi_config_arg(work, args[i]);
  out.size = 0;
  vmrun_wasi_config_stdout_to(work, append, &out);
  vmrun_wasi_config_max_threads(work, 4);
  wasm_instance_t* const threaded = start(second, "threads_work", work);
  CHECK(vmrun_wasi_run(threaded, &status) == NULL && status == 0 && out.size > 1);
  wasm_instance_delete(threaded);
  vmrun_wasi_config_delete(work);
  end_world(second);
}
