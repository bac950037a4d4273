// Errors with their kind, message and place; configuration.
#include "common.h"

void test_errors(void) {
  const world_t world = new_world();
  CHECK(strchr(vmrun_version(), '.') != NULL);

  // A byte that is no opcode, in function 3.
  wasm_byte_vec_t image;
  read_image("capi_trap", &image);
  size_t at = 0;
  for (size_t i = 0; i + 5 <= image.size; ++i) {
    if (memcmp(&image.data[i], "\x04\x00\x01\x00\x0b", 5) == 0) at = i + 3;
  }
  NEED(at != 0);
  image.data[at] = (byte_t)0x27;
  wasm_module_t* module = NULL;
  vmrun_error_t* error = vmrun_module_new(world.store, &image, "broken", &module);
  NEED(error != NULL);
  uint64_t offset = 0;
  uint32_t func = 0;
  CHECK(module == NULL && vmrun_error_kind(error) == VMRUN_ERROR_MALFORMED);
  CHECK(vmrun_error_offset(error, &offset) && offset == at);
  CHECK(vmrun_error_function(error, &func) && func == 3);
  CHECK(strlen(vmrun_error_message(error)) > 5);
  vmrun_error_delete(error);
  CHECK(wasm_module_new(world.store, &image) == NULL && vmrun_last_error() != NULL);
  CHECK(!wasm_module_validate(world.store, &image));
  wasm_byte_vec_delete(&image);

  error = vmrun_module_new_from_file(world.store, "/nowhere.wasm", &module);
  NEED(error != NULL);
  CHECK(vmrun_error_kind(error) == VMRUN_ERROR_IO && !vmrun_error_offset(error, &offset));
  vmrun_error_delete(error);
  error = vmrun_module_new_from_file(world.store, VMRUN_FIXTURES "/capi_hello.wasm", &module);
  CHECK(error == NULL && module != NULL);

  // Imports that do not fit.
  wasm_trap_t* trap = NULL;
  CHECK(wasm_instance_new(world.store, module, NULL, &trap) == NULL);
  NEED(trap != NULL);
  CHECK(vmrun_trap_kind(trap) == VMRUN_ERROR_LINK);
  wasm_trap_delete(trap);
  vmrun_linker_t* const linker = vmrun_linker_new(world.store);
  wasm_instance_t* instance = NULL;
  trap = vmrun_linker_instantiate(linker, module, &instance);
  CHECK(instance == NULL && vmrun_trap_kind(trap) == VMRUN_ERROR_LINK);
  wasm_trap_delete(trap);
  vmrun_linker_unknown_imports_trap(linker, true);
  trap = vmrun_linker_instantiate(linker, module, &instance);
  NEED(trap == NULL && instance != NULL);
  wasm_func_t* const run = get_func(instance, "run");
  CHECK(traps(run, 0, NULL));
  CHECK(vmrun_instance_export(instance, "no such") == NULL);
  wasm_func_delete(run);
  wasm_instance_delete(instance);
  vmrun_linker_delete(linker);
  wasm_module_delete(module);
  end_world(world);

  // A proposal that is off, in the interpreter alone.
  wasm_config_t* const config = wasm_config_new();
  vmrun_config_set_tiers(config, VMRUN_TIERS_INTERP);
  CHECK(vmrun_config_set_feature(config, "simd", false) && !vmrun_config_set_feature(config, "simt", false));
  wasm_engine_t* const engine = wasm_engine_new_with_config(config);
  wasm_store_t* const store = wasm_store_new(engine);
  read_image("capi_more", &image);
  CHECK(wasm_module_new(store, &image) == NULL);
  wasm_byte_vec_delete(&image);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
}
