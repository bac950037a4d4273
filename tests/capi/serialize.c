// Modules as bytes, and modules that stores share.
#include "common.h"

static int hellos;
static wasm_trap_t* hello(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  (void)args, (void)results;
  ++hellos;
  return NULL;
}

static void run(wasm_store_t* store, const wasm_module_t* module) {
  wasm_functype_t* const type = wasm_functype_new_0_0();
  wasm_func_t* const func = wasm_func_new(store, type, hello);
  wasm_functype_delete(type);
  wasm_extern_t* imports[] = {wasm_func_as_extern(func)};
  wasm_instance_t* const instance = instantiate(store, module, imports, 1);
  wasm_func_t* const entry = get_func(instance, "run");
  hellos = 0;
  CHECK(!traps(entry, 0, NULL) && hellos == 1);
  wasm_func_delete(entry);
  wasm_instance_delete(instance);
  wasm_func_delete(func);
}

static void refused(vmrun_error_t* error, vmrun_error_kind_t kind) {
  NEED(error != NULL);
  CHECK(vmrun_error_kind(error) == kind);
  vmrun_error_delete(error);
}

// With a key, and with another one; `plain` has no MAC.
static void check_macs(wasm_store_t* store, const wasm_module_t* module, const wasm_byte_vec_t* plain) {
  wasm_byte_t secret[32] = {1, 2, 3}, other[32] = {1, 2, 4};
  const wasm_byte_vec_t key = {32, secret}, wrong = {32, other}, small = {31, secret};
  wasm_byte_vec_t bytes;
  refused(vmrun_module_serialize(module, &small, &bytes), VMRUN_ERROR_USAGE);
  CHECK(bytes.size == 0);
  NEED(vmrun_module_serialize(module, &key, &bytes) == NULL);
  wasm_module_t* again = NULL;
  NEED(vmrun_module_deserialize(store, &bytes, &key, &again) == NULL);
  run(store, again);
  wasm_module_delete(again);
  refused(vmrun_module_deserialize(store, &bytes, &wrong, &again), VMRUN_ERROR_MALFORMED);
  CHECK(again == NULL);
  refused(vmrun_module_deserialize(store, &bytes, &small, &again), VMRUN_ERROR_USAGE);
  refused(vmrun_module_deserialize(store, plain, &key, &again), VMRUN_ERROR_MALFORMED);
  for (size_t i = 0; i < bytes.size; i += 251) {
    bytes.data[i] ^= 1;
    refused(vmrun_module_deserialize(store, &bytes, &key, &again), VMRUN_ERROR_MALFORMED);
    bytes.data[i] ^= 1;
  }
  // Without a key it is as if there were no MAC.
  again = wasm_module_deserialize(store, &bytes);
  NEED(again != NULL);
  run(store, again);
  wasm_module_delete(again);
  wasm_byte_vec_delete(&bytes);
}

void test_serialize(void) {
  const world_t world = new_world();
  wasm_module_t* const module = load(world.store, "capi_hello");
  wasm_byte_vec_t bytes;
  wasm_module_serialize(module, &bytes);
  NEED(bytes.size > 8);
  wasm_module_t* const again = wasm_module_deserialize(world.store, &bytes);
  NEED(again != NULL);
  CHECK(!wasm_module_same(module, again));
  run(world.store, again);
  wasm_module_delete(again);

  // Anything else is refused.
  for (size_t i = 0; i < bytes.size; i += 3) {
    const wasm_byte_vec_t cut = {i, bytes.data};
    wasm_module_t* const part = wasm_module_deserialize(world.store, &cut);
    CHECK(part == NULL);
    wasm_module_delete(part);
  }
  wasm_byte_vec_t image;
  read_image("capi_hello", &image);
  CHECK(wasm_module_deserialize(world.store, &image) == NULL);
  CHECK(wasm_module_validate(world.store, &image) && !wasm_module_validate(world.store, &bytes));
  wasm_byte_vec_delete(&image);
  check_macs(world.store, module, &bytes);
  wasm_byte_vec_delete(&bytes);

  // In another store.
  wasm_shared_module_t* const shared = wasm_module_share(module);
  wasm_module_delete(module);
  wasm_store_t* const other = wasm_store_new(world.engine);
  wasm_module_t* const obtained = wasm_module_obtain(other, shared);
  wasm_shared_module_delete(shared);
  run(other, obtained);
  wasm_module_delete(obtained);
  wasm_store_delete(other);
  end_world(world);
}
