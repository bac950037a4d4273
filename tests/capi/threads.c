// A module in many threads, with a store in each.
#include <pthread.h>

#include "common.h"

enum { threads = 8, rounds = 5 };

typedef struct work_t {
  wasm_engine_t* engine;
  wasm_shared_module_t* module;
  int id;
  int calls;
} work_t;

static wasm_trap_t* message(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  (void)results;
  work_t* const work = env;
  if (args->data[0].of.i32 == work->id) ++work->calls;
  return NULL;
}

static void* run(void* env) {
  work_t* const work = env;
  for (int i = 0; i < rounds; ++i) {
    wasm_store_t* const store = wasm_store_new(work->engine);
    wasm_module_t* const module = wasm_module_obtain(store, work->module);
    wasm_functype_t* const type = wasm_functype_new_1_0(wasm_valtype_new_i32());
    wasm_func_t* const func = wasm_func_new_with_env(store, type, message, work, NULL);
    wasm_functype_delete(type);
    wasm_globaltype_t* const number = wasm_globaltype_new(wasm_valtype_new_i32(), WASM_CONST);
    wasm_val_t id = WASM_I32_VAL(work->id);
    wasm_global_t* const global = wasm_global_new(store, number, &id);
    wasm_globaltype_delete(number);
    wasm_extern_t* imports[] = {wasm_func_as_extern(func), wasm_global_as_extern(global)};
    wasm_instance_t* const instance = instantiate(store, module, imports, 2);
    wasm_func_t* const entry = get_func(instance, "run");
    for (int call = 0; call < 100; ++call) traps(entry, 0, NULL);
    wasm_func_delete(entry);
    wasm_instance_delete(instance);
    wasm_global_delete(global);
    wasm_func_delete(func);
    wasm_module_delete(module);
    wasm_store_delete(store);
  }
  return NULL;
}

void test_threads(void) {
  const world_t world = new_world();
  wasm_module_t* const module = load(world.store, "capi_threads");
  wasm_shared_module_t* const shared = wasm_module_share(module);
  wasm_module_delete(module);
  pthread_t handles[threads];
  work_t works[threads];
  for (int i = 0; i < threads; ++i) {
    const work_t work = {world.engine, shared, i, 0};
    works[i] = work;
    NEED(pthread_create(&handles[i], NULL, run, &works[i]) == 0);
  }
  for (int i = 0; i < threads; ++i) {
    pthread_join(handles[i], NULL);
    CHECK(works[i].calls == rounds * 100);
  }
  wasm_shared_module_delete(shared);
  end_world(world);
}
