// A start function that traps.
#include "common.h"

void test_start(void) {
  const world_t world = new_world();
  wasm_module_t* const module = load(world.store, "capi_start");
  const wasm_extern_vec_t imports = WASM_EMPTY_VEC;
  wasm_trap_t* trap = NULL;
  CHECK(wasm_instance_new(world.store, module, &imports, &trap) == NULL);
  NEED(trap != NULL);
  wasm_frame_t* const origin = wasm_trap_origin(trap);
  NEED(origin != NULL);
  CHECK(wasm_frame_func_index(origin) == 0);
  wasm_frame_delete(origin);
  CHECK(says(trap, "unreachable"));
  // Nobody has to ask why.
  CHECK(wasm_instance_new(world.store, module, &imports, NULL) == NULL);
  NEED(vmrun_last_error() != NULL);
  CHECK(vmrun_error_kind(vmrun_last_error()) == VMRUN_ERROR_TRAP);
  wasm_module_delete(module);
  end_world(world);
}
