// Finalizers of the host's information: each is called once.
#include "common.h"

enum { count = 200 };
static int live;

static void finish(void* info) {
  CHECK((intptr_t)info >= 0 && (intptr_t)info < count);
  --live;
}

static void run_in(wasm_store_t* store, wasm_instance_t* keep[]) {
  wasm_module_t* const module = load(store, "capi_table");
  for (int i = 0; i < count; ++i) {
    wasm_instance_t* const instance = instantiate(store, module, NULL, 0);
    wasm_func_t* const func = get_func(instance, "f");
    wasm_instance_set_host_info_with_finalizer(instance, (void*)(intptr_t)i, finish);
    wasm_func_set_host_info_with_finalizer(func, (void*)(intptr_t)i, finish);
    live += 2;
    wasm_func_delete(func);
    if (i % 20 == 0) {
      keep[i / 20] = instance;
    } else {
      wasm_instance_delete(instance);
    }
  }
  wasm_module_delete(module);
}

static void finish_any(void* info) {
  (void)info;
  --live;
}

/// More instances in one store than a guest could make; the store keeps them when their handles are gone.
static void check_many(wasm_engine_t* engine) {
  enum { many = 100001 };
  wasm_store_t* const store = wasm_store_new(engine);
  wasm_module_t* const module = load(store, "capi_empty");
  live = 0;
  for (int i = 0; i < many; ++i) {
    wasm_instance_t* const instance = instantiate(store, module, NULL, 0);
    wasm_instance_set_host_info_with_finalizer(instance, (void*)(intptr_t)i, finish_any);
    ++live;
    wasm_instance_delete(instance);
  }
  CHECK(live == many);
  wasm_module_delete(module);
  wasm_store_delete(store);
  CHECK(live == 0);
}

void test_finalize(void) {
  live = 0;
  wasm_engine_t* const engine = wasm_engine_new();
  wasm_store_t* const one = wasm_store_new(engine);
  wasm_store_t* const two = wasm_store_new(engine);
  wasm_instance_t *kept_one[count / 20], *kept_two[count / 20];
  run_in(one, kept_one);
  run_in(two, kept_two);
  CHECK(live == 4 * count);

  // In one store the handles go first, in the other the store does.
  for (int i = 0; i < count / 20; ++i) {
    CHECK(wasm_instance_get_host_info(kept_one[i]) == (void*)(intptr_t)(i * 20));
    wasm_instance_delete(kept_one[i]);
  }
  CHECK(live == 4 * count);
  wasm_store_delete(one);
  CHECK(live == 2 * count);
  wasm_store_delete(two);
  CHECK(live == 2 * count);
  for (int i = 0; i < count / 20; ++i) wasm_instance_delete(kept_two[i]);
  CHECK(live == 0);

  check_many(engine);

  // Things that belong to no store die with their last handle; new information takes the old one's place.
  wasm_store_t* const three = wasm_store_new(engine);
  wasm_foreign_t* const foreign = wasm_foreign_new(three);
  live = 2;
  wasm_foreign_set_host_info_with_finalizer(foreign, (void*)1, finish);
  wasm_foreign_t* const copy = wasm_foreign_copy(foreign);
  wasm_foreign_set_host_info_with_finalizer(copy, (void*)2, finish);
  CHECK(live == 1 && wasm_foreign_get_host_info(foreign) == (void*)2);
  wasm_foreign_delete(foreign);
  CHECK(live == 1);
  wasm_foreign_delete(copy);
  CHECK(live == 0);
  wasm_module_t* const module = load(three, "capi_table");
  live = 1;
  wasm_module_set_host_info_with_finalizer(module, (void*)3, finish);
  wasm_module_delete(module);
  CHECK(live == 0);
  wasm_store_delete(three);
  wasm_engine_delete(engine);
}
