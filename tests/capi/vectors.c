// Vectors, tables and memories of 64 bits, shared memories.
#include "more.h"

static wasm_trap_t* unused(void* env, vmrun_caller_t* caller, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  (void)env, (void)caller, (void)args, (void)results;
  return NULL;
}

static wasm_trap_t* turn(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  uint8_t bytes[16], turned[16];
  CHECK(vmrun_val_v128(&args->data[0], bytes));
  for (size_t i = 0; i < 16; ++i) turned[i] = bytes[15 - i];
  if (!vmrun_val_new_v128(&results->data[0], turned)) abort();
  return NULL;
}

/// What `func` makes of the bytes 0 to 15.
static void call_with_vector(const wasm_func_t* func, uint8_t bytes[16]) {
  wasm_val_t in[1], out[1] = {WASM_INIT_VAL};
  for (uint8_t i = 0; i < 16; ++i) bytes[i] = i;
  NEED(vmrun_val_new_v128(&in[0], bytes));
  const wasm_val_vec_t args = WASM_ARRAY_VEC(in);
  wasm_val_vec_t results = WASM_ARRAY_VEC(out);
  CHECK(wasm_func_call(func, &args, &results) == NULL);
  wasm_val_t copy;
  wasm_val_copy(&copy, &out[0]);
  wasm_val_delete(&out[0]);
  CHECK(copy.kind == VMRUN_V128 && vmrun_val_v128(&copy, bytes));
  wasm_val_delete(&copy);
  wasm_val_delete(&in[0]);
}

void test_vectors(void) {
  const more_t more = new_more(new_world(), unused, unused, NULL);
  wasm_store_t* const store = more.world.store;
  uint8_t bytes[16];
  wasm_func_t* const swap = get_func(more.instance, "swap");
  call_with_vector(swap, bytes);
  CHECK(bytes[0] == 8 && bytes[7] == 15 && bytes[8] == 0 && bytes[15] == 7);
  wasm_func_delete(swap);
  wasm_functype_t* const type = wasm_functype_new_1_1(wasm_valtype_new(VMRUN_V128), wasm_valtype_new(VMRUN_V128));
  wasm_func_t* const host = wasm_func_new(store, type, turn);
  call_with_vector(host, bytes);
  CHECK(bytes[0] == 15 && bytes[15] == 0);
  wasm_func_delete(host);
  wasm_functype_delete(type);
  wasm_val_t number = WASM_I32_VAL(1);
  CHECK(!vmrun_val_v128(&number, bytes));

  // A global of that type.
  wasm_globaltype_t* const vector = wasm_globaltype_new(wasm_valtype_new(VMRUN_V128), WASM_VAR);
  wasm_val_t value;
  NEED(vmrun_val_new_v128(&value, bytes));
  wasm_global_t* const global = wasm_global_new(store, vector, &value);
  wasm_val_delete(&value);
  wasm_global_get(global, &value);
  memset(bytes, 0, sizeof bytes);
  CHECK(vmrun_val_v128(&value, bytes) && bytes[0] == 15);
  wasm_val_delete(&value);
  wasm_global_delete(global);
  wasm_globaltype_delete(vector);

  // A memory and a table of 64 bits.
  const vmrun_limits64_t wide = {1, UINT64_C(1) << 33, true, true, false, 16};
  wasm_memorytype_t* const wide_type = vmrun_memorytype_new(&wide);
  CHECK(wasm_memorytype_limits(wide_type)->max == wasm_limits_max_default);
  wasm_memory_t* const memory = wasm_memory_new(store, wide_type);
  NEED(memory != NULL);
  CHECK(vmrun_memory_grow(memory, 2) && vmrun_memory_size(memory) == 3 && wasm_memory_size(memory) == 3);
  CHECK(vmrun_memory_share(memory) == NULL);
  wasm_memory_delete(memory);
  wasm_memorytype_delete(wide_type);
  wasm_tabletype_t* const table_type = vmrun_tabletype_new(wasm_valtype_new_externref(), &wide);
  vmrun_limits64_t asked;
  vmrun_tabletype_limits(table_type, &asked);
  CHECK(asked.is64 && asked.max == UINT64_C(1) << 33);
  wasm_table_t* const table = wasm_table_new(store, table_type, NULL);
  NEED(table != NULL);
  wasm_foreign_t* const foreign = wasm_foreign_new(store);
  CHECK(vmrun_table_grow(table, 1, wasm_foreign_as_ref(foreign)) && vmrun_table_size(table) == 2);
  wasm_ref_t* const ref = vmrun_table_get(table, 1);
  CHECK(wasm_ref_same(ref, wasm_foreign_as_ref(foreign)) && vmrun_table_set(table, 0, ref));
  CHECK(vmrun_table_get(table, UINT64_C(1) << 32) == NULL);
  wasm_ref_delete(ref);
  wasm_foreign_delete(foreign);
  wasm_table_delete(table);
  wasm_tabletype_delete(table_type);

  // A memory that two stores share.
  const vmrun_limits64_t shared_limits = {1, 2, true, false, true, 16};
  wasm_memorytype_t* const shared_type = vmrun_memorytype_new(&shared_limits);
  wasm_memory_t* const shared = wasm_memory_new(store, shared_type);
  wasm_memorytype_delete(shared_type);
  NEED(shared != NULL);
  vmrun_shared_memory_t* const handle = vmrun_memory_share(shared);
  NEED(handle != NULL);
  wasm_store_t* const other = wasm_store_new(more.world.engine);
  wasm_memory_t* const there = vmrun_memory_obtain(other, handle);
  NEED(there != NULL);
  vmrun_shared_memory_delete(handle);
  wasm_memory_data(shared)[5] = 6;
  CHECK(wasm_memory_data(there)[5] == 6 && vmrun_memory_grow(there, 1) && vmrun_memory_size(shared) == 2);
  wasm_memory_delete(shared);
  wasm_memory_delete(there);
  wasm_store_delete(other);

  end_more(more);
  end_world(more.world);
}
