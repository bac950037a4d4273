// A guest calls a function of the host.
#include "common.h"

static int hellos;

static wasm_trap_t* hello(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  CHECK(args->size == 0 && results->size == 0);
  ++hellos;
  return NULL;
}

void test_hello(void) {
  const world_t world = new_world();
  wasm_module_t* const module = load(world.store, "capi_hello");
  wasm_functype_t* const type = wasm_functype_new_0_0();
  wasm_func_t* const func = wasm_func_new(world.store, type, hello);
  wasm_functype_delete(type);
  NEED(func != NULL);

  wasm_extern_t* imports[] = {wasm_func_as_extern(func)};
  wasm_instance_t* const instance = instantiate(world.store, module, imports, 1);
  wasm_func_delete(func);
  wasm_module_delete(module);

  wasm_extern_vec_t exports;
  wasm_instance_exports(instance, &exports);
  wasm_instance_delete(instance);
  NEED(exports.size == 1);
  const wasm_func_t* const run = wasm_extern_as_func(exports.data[0]);
  NEED(run != NULL);
  const wasm_val_vec_t args = WASM_EMPTY_VEC;
  wasm_val_vec_t results = WASM_EMPTY_VEC;
  hellos = 0;
  CHECK(wasm_func_call(run, &args, &results) == NULL);
  CHECK(hellos == 1);
  wasm_extern_vec_delete(&exports);
  end_world(world);
}
