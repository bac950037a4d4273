// Memories that guest and host share.
#include "common.h"

static int32_t load_at(const wasm_func_t* func, int32_t address) { return call_i32(func, 1, &address); }

void test_memory(void) {
  const world_t world = new_world();
  wasm_module_t* const module = load(world.store, "capi_memory");
  wasm_instance_t* const instance = instantiate(world.store, module, NULL, 0);
  wasm_memory_t* const memory = get_memory(instance, "memory");
  wasm_func_t* const size = get_func(instance, "size");
  wasm_func_t* const load_byte = get_func(instance, "load");
  wasm_func_t* const store_byte = get_func(instance, "store");
  wasm_memory_t* const copy = wasm_memory_copy(memory);
  CHECK(wasm_memory_same(memory, copy));
  wasm_memory_delete(copy);

  CHECK(wasm_memory_size(memory) == 2 && wasm_memory_data_size(memory) == 2 * MEMORY_PAGE_SIZE);
  byte_t* const data = wasm_memory_data(memory);
  CHECK(data[0] == 0 && data[0x1000] == 1 && data[0x1003] == 4);
  CHECK(call_i32(size, 0, NULL) == 2 && load_at(load_byte, 0x1000) == 1);
  CHECK(load_at(load_byte, 0x1ffff) == 0);
  const int32_t beyond[] = {0x20000, 1}, inside[] = {0x1002, 6};
  CHECK(traps(load_byte, 1, beyond) && traps(store_byte, 2, beyond));

  data[0x1003] = 5;
  CHECK(load_at(load_byte, 0x1003) == 5);
  CHECK(!traps(store_byte, 2, inside) && data[0x1002] == 6);

  CHECK(wasm_memory_grow(memory, 1) && wasm_memory_size(memory) == 3);
  CHECK(wasm_memory_data(memory) == data && load_at(load_byte, 0x20000) == 0);
  CHECK(!wasm_memory_grow(memory, 1) && wasm_memory_grow(memory, 0));
  NEED(vmrun_last_error() != NULL);
  CHECK(vmrun_error_kind(vmrun_last_error()) == VMRUN_ERROR_LIMIT);

  const wasm_limits_t limits = {5, 5};
  wasm_memorytype_t* const type = wasm_memorytype_new(&limits);
  wasm_memory_t* const alone = wasm_memory_new(world.store, type);
  NEED(alone != NULL);
  CHECK(wasm_memory_size(alone) == 5 && !wasm_memory_grow(alone, 1));
  wasm_memorytype_delete(type);
  const wasm_limits_t backwards = {5, 4};
  wasm_memorytype_t* const wrong = wasm_memorytype_new(&backwards);
  CHECK(wasm_memory_new(world.store, wrong) == NULL);
  wasm_memorytype_delete(wrong);

  wasm_memory_delete(alone);
  wasm_func_delete(store_byte);
  wasm_func_delete(load_byte);
  wasm_func_delete(size);
  wasm_memory_delete(memory);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  end_world(world);
}
