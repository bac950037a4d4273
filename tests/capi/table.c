// Tables of functions.
#include "common.h"

static wasm_trap_t* negate(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  results->data[0].kind = WASM_I32;
  results->data[0].of.i32 = -args->data[0].of.i32;
  return NULL;
}

static int32_t through(const wasm_func_t* func, int32_t value, int32_t index) {
  const int32_t args[] = {value, index};
  return call_i32(func, 2, args);
}
static bool call_traps(const wasm_func_t* func, int32_t index) {
  const int32_t args[] = {0, index};
  return traps(func, 2, args);
}

void test_table(void) {
  const world_t world = new_world();
  wasm_module_t* const module = load(world.store, "capi_table");
  wasm_instance_t* const instance = instantiate(world.store, module, NULL, 0);
  wasm_table_t* const table = get_table(instance, "table");
  wasm_func_t* const call = get_func(instance, "call");
  wasm_func_t* const f = get_func(instance, "f");
  wasm_func_t* const g = get_func(instance, "g");
  wasm_functype_t* const type = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
  wasm_func_t* const host = wasm_func_new(world.store, type, negate);
  wasm_functype_delete(type);

  CHECK(wasm_table_size(table) == 2);
  CHECK(wasm_table_get(table, 0) == NULL);
  wasm_ref_t* const one = wasm_table_get(table, 1);
  NEED(one != NULL);
  CHECK(wasm_ref_as_func(one) != NULL && wasm_ref_as_table(one) == NULL);
  CHECK(wasm_func_same(wasm_ref_as_func(one), f) && !wasm_func_same(wasm_ref_as_func(one), g));
  wasm_ref_delete(one);
  CHECK(call_traps(call, 0) && through(call, 7, 1) == 7 && call_traps(call, 2));

  CHECK(wasm_table_set(table, 0, wasm_func_as_ref(g)) && wasm_table_set(table, 1, NULL));
  CHECK(!wasm_table_set(table, 2, wasm_func_as_ref(f)));
  CHECK(wasm_table_get(table, 2) == NULL && vmrun_error_kind(vmrun_last_error()) == VMRUN_ERROR_USAGE);
  CHECK(through(call, 7, 0) == 666 && call_traps(call, 1));

  CHECK(wasm_table_grow(table, 3, wasm_func_as_ref(host)) && wasm_table_size(table) == 5);
  CHECK(through(call, 5, 4) == -5);
  CHECK(wasm_table_grow(table, 5, NULL) && !wasm_table_grow(table, 1, NULL));  // at its maximum
  CHECK(wasm_table_grow(table, 0, NULL) && wasm_table_size(table) == 10);

  wasm_foreign_t* const foreign = wasm_foreign_new(world.store);
  CHECK(!wasm_table_set(table, 0, wasm_foreign_as_ref(foreign)));  // no function
  wasm_foreign_delete(foreign);

  // One that a guest cannot see.
  const wasm_limits_t limits = {5, 5};
  wasm_tabletype_t* const alone_type = wasm_tabletype_new(wasm_valtype_new_funcref(), &limits);
  wasm_table_t* const alone = wasm_table_new(world.store, alone_type, wasm_func_as_ref(f));
  NEED(alone != NULL);
  CHECK(wasm_table_size(alone) == 5 && !wasm_table_grow(alone, 1, NULL));
  wasm_tabletype_t* const asked = wasm_table_type(alone);
  CHECK(wasm_tabletype_limits(asked)->max == 5);
  wasm_tabletype_delete(asked);
  wasm_tabletype_delete(alone_type);

  wasm_table_delete(alone);
  wasm_func_delete(host);
  wasm_func_delete(f);
  wasm_func_delete(g);
  wasm_func_delete(call);
  wasm_table_delete(table);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  end_world(world);
}
