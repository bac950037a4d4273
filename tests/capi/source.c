// Places in a guest's source: frames of a trap with details, those of calls that the guest's compiler inlined first.
#include "common.h"

static const char* const file = "/guest/tests/guests/lines_ledger.cpp";

/// Runs the guest that divides by zero in a function inlined in another, and returns its trap.
static wasm_trap_t* divide(wasm_store_t* store, const char* image) {
  vmrun_wasi_config_t* const config = vmrun_wasi_config_new();
  vmrun_wasi_config_arg(config, "ledger");
  vmrun_wasi_config_arg(config, "x");
  wasm_module_t* const module = load(store, image);
  vmrun_linker_t* const linker = vmrun_linker_new(store);
  NEED(vmrun_linker_define_wasi(linker, config) == NULL);
  wasm_instance_t* instance = NULL;
  NEED(vmrun_linker_instantiate(linker, module, &instance) == NULL);
  int status = -1;
  wasm_trap_t* const trap = vmrun_wasi_run(instance, &status);
  NEED(trap != NULL);
  CHECK(vmrun_trap_code(trap) == VMRUN_TRAP_INTEGER_DIVIDE_BY_ZERO);
  wasm_instance_delete(instance);
  vmrun_linker_delete(linker);
  wasm_module_delete(module);
  vmrun_wasi_config_delete(config);
  return trap;
}

static void with_details(const char* image) {
  wasm_config_t* const config = wasm_config_new();
  vmrun_config_set_backtrace_details(config, true);
  wasm_engine_t* const engine = wasm_engine_new_with_config(config);
  NEED(engine != NULL);
  wasm_store_t* const store = wasm_store_new(engine);
  wasm_trap_t* const trap = divide(store, image);
  wasm_frame_vec_t frames;
  wasm_trap_trace(trap, &frames);
  wasm_trap_delete(trap);  // frames stay whole
  NEED(frames.size >= 2);

  vmrun_source_t source;
  NEED(vmrun_frame_source(frames.data[0], 0, &source));
  CHECK(strcmp(source.function, "app::Ledger::divide") == 0);
  CHECK(strcmp(source.file, file) == 0 && source.line == 13 && source.column == 14);
  NEED(vmrun_frame_source(frames.data[0], 1, &source));
  CHECK(strstr(source.function, "app::Ledger::total") == source.function);
  CHECK(strcmp(source.file, file) == 0 && source.line == 17);
  CHECK(!vmrun_frame_source(frames.data[0], 2, &source));
  CHECK(!vmrun_frame_source(frames.data[0], SIZE_MAX, &source));

  NEED(vmrun_frame_source(frames.data[1], 0, &source));
  CHECK(strcmp(source.file, file) == 0 && source.line == 41);
  CHECK(!vmrun_frame_source(frames.data[1], 1, &source));

  wasm_frame_t* const copy = wasm_frame_copy(frames.data[0]);
  wasm_frame_vec_delete(&frames);
  NEED(vmrun_frame_source(copy, 0, &source));
  CHECK(strcmp(source.file, file) == 0 && source.line == 13);
  wasm_frame_delete(copy);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
}

void test_source(void) {
  with_details("lines_ledger4");
  with_details("lines_ledger5");

  // Without details there are no places.
  const world_t world = new_world();
  wasm_trap_t* const trap = divide(world.store, "lines_ledger5");
  wasm_frame_t* const origin = wasm_trap_origin(trap);
  NEED(origin != NULL);
  vmrun_source_t source;
  CHECK(!vmrun_frame_source(origin, 0, &source));
  wasm_frame_delete(origin);
  wasm_trap_delete(trap);
  end_world(world);
}
