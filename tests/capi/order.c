// Handles deleted in any order, also by callbacks, and callbacks that call guests.
#include "common.h"

typedef struct nest_t {
  wasm_store_t* store;
  wasm_func_t* func;  // that of the guest, which calls the callback again
  int depth, most;
} nest_t;

static int gone;
static void forget(void* env) {
  (void)env;
  ++gone;
}

static wasm_trap_t* again(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  nest_t* const nest = env;
  (void)args;
  results->data[0].kind = WASM_I32;
  results->data[0].of.i32 = nest->depth;
  if (++nest->depth < nest->most) {
    const wasm_val_vec_t none = WASM_EMPTY_VEC;
    return wasm_func_call(nest->func, &none, results);
  }
  // The innermost deletes all that there is to delete.
  wasm_func_delete(nest->func);
  wasm_store_delete(nest->store);
  nest->func = NULL;
  return NULL;
}

static wasm_trap_t* deep_trap(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  nest_t* const nest = env;
  (void)args;
  if (++nest->depth < nest->most) {
    const wasm_val_vec_t none = WASM_EMPTY_VEC;
    return wasm_func_call(nest->func, &none, results);  // the trap of the inner call goes on
  }
  return vmrun_trap_new_exit(nest->store, 7);
}

static wasm_instance_t* nested(wasm_store_t* store, nest_t* nest, wasm_func_callback_with_env_t callback) {
  wasm_module_t* const module = load(store, "capi_trap");
  wasm_functype_t* const type = wasm_functype_new_0_1(wasm_valtype_new_i32());
  wasm_func_t* const host = wasm_func_new_with_env(store, type, callback, nest, forget);
  wasm_functype_delete(type);
  wasm_extern_t* imports[] = {wasm_func_as_extern(host)};
  wasm_instance_t* const instance = instantiate(store, module, imports, 1);
  wasm_module_delete(module);
  wasm_func_delete(host);
  nest->store = store;
  nest->func = get_func(instance, "callback");
  nest->depth = 0;
  nest->most = 10;
  return instance;
}

void test_order(void) {
  wasm_engine_t* const engine = wasm_engine_new();
  gone = 0;
  nest_t nest;
  wasm_instance_delete(nested(wasm_store_new(engine), &nest, again));
  const wasm_val_vec_t none = WASM_EMPTY_VEC;
  wasm_val_t out[1] = {WASM_INIT_VAL};
  wasm_val_vec_t results = WASM_ARRAY_VEC(out);
  // The call goes on to its end, and the store with it.
  CHECK(wasm_func_call(nest.func, &none, &results) == NULL && out[0].of.i32 == 9);
  CHECK(gone == 1);

  // An exit goes through all of them, with one trap at the end.
  wasm_store_t* const store = wasm_store_new(engine);
  wasm_instance_t* const instance = nested(store, &nest, deep_trap);
  wasm_trap_t* const trap = wasm_func_call(nest.func, &none, &results);
  NEED(trap != NULL);
  int status = 0;
  CHECK(vmrun_trap_exit_status(trap, &status) && status == 7);
  wasm_func_delete(nest.func);
  wasm_instance_delete(instance);
  wasm_store_delete(store);
  CHECK(gone == 1);
  wasm_engine_delete(engine);
  CHECK(vmrun_trap_kind(trap) == VMRUN_ERROR_EXIT);
  wasm_trap_delete(trap);  // the last handle of its store
  CHECK(gone == 2);

  // NULL is nothing to delete.
  wasm_store_delete(NULL);
  wasm_func_delete(NULL);
  wasm_trap_delete(NULL);
  wasm_valtype_delete(NULL);
  wasm_module_delete(NULL);
  wasm_val_vec_t empty;
  wasm_val_vec_new_empty(&empty);
  wasm_val_vec_delete(&empty);
  wasm_val_vec_delete(&empty);
  CHECK(wasm_func_copy(NULL) == NULL && wasm_ref_as_func(NULL) == NULL && wasm_ref_same(NULL, NULL));
}
