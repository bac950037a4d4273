/* embed.cpp in C, by the standard API (wasm.h), which any program for it uses: a host function, a call into the guest, and
   what a trap looks like. The module is embed.cpp's. */
#include <stdio.h>
#include <string.h>

#include "vmrun/c.h"
#include "wasm.h"

static const byte_t image[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x10, 0x03, 0x60, 0x01, 0x7f, 0x00, 0x60, 0x01, 0x7f,
    0x01, 0x7f, 0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7f, 0x02, 0x0c, 0x01, 0x04, 0x68, 0x6f, 0x73, 0x74, 0x03, 0x6c,
    0x6f, 0x67, 0x00, 0x00, 0x03, 0x03, 0x02, 0x01, 0x02, 0x07, 0x13, 0x02, 0x06, 0x73, 0x75, 0x6d, 0x5f, 0x74,
    0x6f, 0x00, 0x01, 0x06, 0x64, 0x69, 0x76, 0x69, 0x64, 0x65, 0x00, 0x02, 0x0a, 0x27, 0x02, 0x1d, 0x01, 0x01,
    0x7f, 0x03, 0x40, 0x20, 0x01, 0x20, 0x00, 0x6a, 0x21, 0x01, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, 0x0d,
    0x00, 0x0b, 0x20, 0x01, 0x10, 0x00, 0x20, 0x01, 0x0b, 0x07, 0x00, 0x20, 0x00, 0x20, 0x01, 0x6d, 0x0b};

static wasm_trap_t* log_value(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  (void)results;
  printf("guest says %d\n", (int)args->data[0].of.i32);
  return NULL; /* or a trap, which ends the guest */
}

int main(void) {
  /* An engine may be shared by threads; a store and what lives in it belong to one thread at a time. */
  wasm_engine_t* const engine = wasm_engine_new();
  wasm_store_t* const store = wasm_store_new(engine);

  wasm_byte_vec_t bytes;
  wasm_byte_vec_new(&bytes, sizeof image, image);
  wasm_module_t* const module = wasm_module_new(store, &bytes);
  wasm_byte_vec_delete(&bytes);
  if (module == NULL) {
    fprintf(stderr, "error: %s\n", vmrun_error_message(vmrun_last_error()));
    return 1;
  }

  wasm_functype_t* const type = wasm_functype_new_1_0(wasm_valtype_new_i32());
  wasm_func_t* const host = wasm_func_new(store, type, log_value);
  wasm_functype_delete(type);
  wasm_extern_t* items[] = {wasm_func_as_extern(host)};
  const wasm_extern_vec_t imports = WASM_ARRAY_VEC(items);
  wasm_trap_t* trap = NULL;
  wasm_instance_t* const instance = wasm_instance_new(store, module, &imports, &trap);
  if (instance == NULL) return 1;

  wasm_extern_t* const sum_to = vmrun_instance_export(instance, "sum_to");
  wasm_val_t in[2] = {WASM_I32_VAL(100), WASM_I32_VAL(0)}, out[1] = {WASM_INIT_VAL};
  wasm_val_vec_t args = {1, in};
  wasm_val_vec_t results = WASM_ARRAY_VEC(out);
  trap = wasm_func_call(wasm_extern_as_func(sum_to), &args, &results);
  if (trap != NULL) return 1;
  printf("sum_to(100) = %d\n", (int)out[0].of.i32);

  /* This one traps, and says where. */
  wasm_extern_t* const divide = vmrun_instance_export(instance, "divide");
  args.size = 2;
  trap = wasm_func_call(wasm_extern_as_func(divide), &args, &results);
  if (trap == NULL) return 1;
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  wasm_frame_t* const origin = wasm_trap_origin(trap);
  printf("divide(100, 0): %s in %s at %#zx\n", message.data, vmrun_frame_func_name(origin),
         wasm_frame_module_offset(origin));
  const int right = vmrun_trap_code(trap) == VMRUN_TRAP_INTEGER_DIVIDE_BY_ZERO;

  /* In any order: things live until their last handle is gone. */
  wasm_frame_delete(origin);
  wasm_byte_vec_delete(&message);
  wasm_trap_delete(trap);
  wasm_extern_delete(divide);
  wasm_extern_delete(sum_to);
  wasm_instance_delete(instance);
  wasm_func_delete(host);
  wasm_module_delete(module);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return right ? 0 : 1;
}
