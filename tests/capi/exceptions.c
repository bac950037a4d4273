// Tags, exceptions that cross between guest and host, callers.
#include "more.h"

more_t new_more(world_t world, vmrun_callback_t throws, vmrun_callback_t waits, void* env) {
  more_t more;
  more.world = world;
  wasm_tagtype_t* const carried =
      wasm_tagtype_new(wasm_functype_new_2_0(wasm_valtype_new_i32(), wasm_valtype_new_i64()));
  more.fail = vmrun_tag_new(world.store, carried);
  wasm_tagtype_delete(carried);
  NEED(more.fail != NULL);

  vmrun_linker_t* const linker = vmrun_linker_new(world.store);
  NEED(vmrun_linker_define(linker, "host", "fail", more.fail) == NULL);
  wasm_functype_t* const nothing = wasm_functype_new_0_0();
  wasm_functype_t* const number = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
  NEED(vmrun_linker_define_func(linker, "host", "throw", nothing, throws, env, NULL) == NULL);
  NEED(vmrun_linker_define_func(linker, "host", "wait", number, waits, env, NULL) == NULL);
  vmrun_error_t* const twice = vmrun_linker_define_func(linker, "host", "wait", number, waits, env, NULL);
  CHECK(twice != NULL && vmrun_error_kind(twice) == VMRUN_ERROR_USAGE);
  vmrun_error_delete(twice);
  wasm_functype_delete(nothing);
  wasm_functype_delete(number);

  wasm_module_t* const module = load(world.store, "capi_more");
  NEED(vmrun_linker_instantiate(linker, module, &more.instance) == NULL);
  wasm_module_delete(module);
  vmrun_linker_delete(linker);
  return more;
}

void end_more(more_t more) {
  wasm_extern_delete(more.fail);
  wasm_instance_delete(more.instance);
}

static vmrun_tag_t* thrown_tag;

static wasm_trap_t* throws(void* env, vmrun_caller_t* caller, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  (void)env, (void)args, (void)results;
  // Who calls, and its memory.
  wasm_instance_t* const instance = vmrun_caller_instance(caller);
  CHECK(instance != NULL && vmrun_caller_store(caller) != NULL);
  wasm_instance_delete(instance);
  const byte_t* const bytes = vmrun_caller_bytes(caller, 16, 5);
  CHECK(bytes != NULL && memcmp(bytes, "hello", 5) == 0);
  CHECK(vmrun_caller_bytes(caller, 65535, 2) == NULL && vmrun_caller_bytes(caller, UINT64_MAX, 1) == NULL);

  wasm_val_t carried[] = {WASM_I32_VAL(5), WASM_I64_VAL(6)};
  wasm_val_vec_t values = WASM_ARRAY_VEC(carried);
  wasm_ref_t* const exception = vmrun_exception_new(thrown_tag, &values);
  NEED(exception != NULL);
  values.size = 1;
  CHECK(vmrun_exception_new(thrown_tag, &values) == NULL);
  wasm_trap_t* const trap = vmrun_trap_new_exception(exception);
  wasm_ref_delete(exception);
  return trap;
}

static wasm_trap_t* nothing(void* env, vmrun_caller_t* caller, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  (void)env, (void)caller;
  wasm_val_copy(&results->data[0], &args->data[0]);
  return NULL;
}

void test_exceptions(void) {
  const more_t more = new_more(new_world(), throws, nothing, NULL);
  thrown_tag = more.fail;

  // The host throws, the guest catches.
  wasm_func_t* const catches = get_func(more.instance, "catch");
  wasm_val_t out[2] = {WASM_INIT_VAL, WASM_INIT_VAL};
  const wasm_val_vec_t none = WASM_EMPTY_VEC;
  wasm_val_vec_t results = WASM_ARRAY_VEC(out);
  CHECK(wasm_func_call(catches, &none, &results) == NULL);
  CHECK(out[0].of.i32 == 5 && out[1].of.i64 == 6);
  wasm_func_delete(catches);

  // The guest throws, nobody catches.
  wasm_func_t* const uncaught = get_func(more.instance, "uncaught");
  wasm_trap_t* const trap = wasm_func_call(uncaught, &none, &results);
  NEED(trap != NULL);
  CHECK(vmrun_trap_kind(trap) == VMRUN_ERROR_EXCEPTION && vmrun_trap_code(trap) == VMRUN_TRAP_NONE);
  wasm_ref_t* const exception = vmrun_trap_exception(trap);
  NEED(exception != NULL);
  wasm_trap_delete(trap);
  wasm_extern_t* const item = vmrun_instance_export(more.instance, "own");
  vmrun_tag_t* const own_tag = vmrun_extern_as_tag(item);
  NEED(own_tag != NULL);
  CHECK(wasm_extern_kind(item) == WASM_EXTERN_TAG && vmrun_extern_as_tag(wasm_func_as_extern(uncaught)) == NULL);
  CHECK(vmrun_exception_values(exception, own_tag, NULL));
  // It lives while the handle does, whatever is thrown meanwhile.
  for (int i = 0; i < 5000; ++i) wasm_trap_delete(wasm_func_call(uncaught, &none, &results));
  wasm_val_vec_t values;
  CHECK(!vmrun_exception_values(exception, more.fail, &values));
  CHECK(vmrun_exception_values(exception, own_tag, NULL));
  NEED(vmrun_exception_values(exception, own_tag, &values));
  CHECK(values.size == 2 && values.data[0].of.i32 == 7 && values.data[1].of.i64 == 8);
  wasm_val_vec_delete(&values);
  wasm_externtype_t* const type = wasm_extern_type(item);
  const wasm_tagtype_t* const tag_type = wasm_externtype_as_tagtype_const(type);
  NEED(tag_type != NULL && wasm_externtype_as_functype_const(type) == NULL);
  CHECK(wasm_functype_params(wasm_tagtype_functype(tag_type))->size == 2);
  wasm_tagtype_t* const copy = wasm_tagtype_copy(tag_type);
  CHECK(wasm_valtype_kind(wasm_functype_params(wasm_tagtype_functype(copy))->data[1]) == WASM_I64);
  wasm_tagtype_delete(copy);
  wasm_externtype_delete(type);

  wasm_ref_t* const twin = wasm_ref_copy(exception);
  CHECK(wasm_ref_same(twin, exception));
  wasm_ref_delete(twin);
  wasm_ref_delete(exception);
  wasm_extern_delete(item);
  wasm_func_delete(uncaught);
  end_more(more);
  end_world(more.world);
}
