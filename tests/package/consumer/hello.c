/* The same in C, by the standard API. With an argument: the folder of the plug-ins. */
#include <stdio.h>

#include "vmrun/c.h"
#include "wasm.h"

static const byte_t image[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x0c, 0x02, 0x60, 0x02, 0x7f, 0x7f, 0x01,
    0x7f, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x02, 0x0c, 0x01, 0x04, 0x68, 0x6f, 0x73, 0x74, 0x03, 0x61,
    0x64, 0x64, 0x00, 0x00, 0x03, 0x02, 0x01, 0x01, 0x07, 0x09, 0x01, 0x05, 0x74, 0x77, 0x69, 0x63,
    0x65, 0x00, 0x01, 0x0a, 0x0a, 0x01, 0x08, 0x00, 0x20, 0x00, 0x20, 0x00, 0x10, 0x00, 0x0b,
};

static wasm_trap_t* add(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  results->data[0].kind = WASM_I32;
  results->data[0].of.i32 = args->data[0].of.i32 + args->data[1].of.i32;
  return NULL;
}

int main(int argc, char** argv) {
  if (argc > 1) vmrun_set_plugin_folder(argv[1]);
  vmrun_error_t* const missing = vmrun_load_optimiser();
  if (missing != NULL) {
    fprintf(stderr, "error: %s\n", vmrun_error_message(missing));
    vmrun_error_delete(missing);
    return 1;
  }

  wasm_config_t* const config = wasm_config_new();
  vmrun_config_set_tiers(config, VMRUN_TIERS_OPT);
  wasm_engine_t* const engine = wasm_engine_new_with_config(config);
  wasm_store_t* const store = wasm_store_new(engine);
  wasm_byte_vec_t bytes;
  wasm_byte_vec_new(&bytes, sizeof image, image);
  wasm_module_t* const module = wasm_module_new(store, &bytes);
  wasm_byte_vec_delete(&bytes);
  if (module == NULL) return 1;

  wasm_functype_t* const type =
      wasm_functype_new_2_1(wasm_valtype_new_i32(), wasm_valtype_new_i32(), wasm_valtype_new_i32());
  wasm_func_t* const host = wasm_func_new(store, type, add);
  wasm_functype_delete(type);
  wasm_extern_t* items[] = {wasm_func_as_extern(host)};
  const wasm_extern_vec_t imports = WASM_ARRAY_VEC(items);
  wasm_trap_t* trap = NULL;
  wasm_instance_t* const instance = wasm_instance_new(store, module, &imports, &trap);
  if (instance == NULL) return 1;

  wasm_extern_vec_t exports;
  wasm_instance_exports(instance, &exports);
  wasm_val_t in[1] = {WASM_I32_VAL(21)}, out[1] = {WASM_INIT_VAL};
  const wasm_val_vec_t args = WASM_ARRAY_VEC(in);
  wasm_val_vec_t results = WASM_ARRAY_VEC(out);
  trap = wasm_func_call(wasm_extern_as_func(exports.data[0]), &args, &results);
  printf("twice 21 is %d, by vmrun %s\n", (int)out[0].of.i32, vmrun_version());

  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_func_delete(host);
  wasm_module_delete(module);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return trap != NULL || out[0].of.i32 != 42;
}
