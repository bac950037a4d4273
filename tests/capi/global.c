// Globals that guest and host share.
#include "common.h"

static wasm_val_t read_global(const wasm_global_t* global) {
  wasm_val_t value;
  wasm_global_get(global, &value);
  return value;
}

static wasm_val_t call_for(const wasm_func_t* func) {
  wasm_val_t out[1] = {WASM_INIT_VAL};
  const wasm_val_vec_t args = WASM_EMPTY_VEC;
  wasm_val_vec_t results = WASM_ARRAY_VEC(out);
  CHECK(wasm_func_call(func, &args, &results) == NULL);
  return out[0];
}

void test_global(void) {
  const world_t world = new_world();
  wasm_module_t* const module = load(world.store, "capi_global");
  wasm_globaltype_t* const const_type = wasm_globaltype_new(wasm_valtype_new_i64(), WASM_CONST);
  wasm_globaltype_t* const var_type = wasm_globaltype_new(wasm_valtype_new_f32(), WASM_VAR);
  wasm_val_t five = WASM_I64_VAL(5), two = WASM_F32_VAL(2), nine = WASM_F32_VAL(9);
  wasm_global_t* const constant = wasm_global_new(world.store, const_type, &five);
  wasm_global_t* const variable = wasm_global_new(world.store, var_type, &two);
  NEED(constant != NULL && variable != NULL);
  CHECK(wasm_global_new(world.store, var_type, &five) == NULL);  // of another type
  wasm_extern_t* imports[] = {wasm_global_as_extern(constant), wasm_global_as_extern(variable)};
  wasm_instance_t* const instance = instantiate(world.store, module, imports, 2);

  wasm_global_t* const same = get_global(instance, "var again");
  CHECK(wasm_global_same(variable, same) && !wasm_global_same(constant, same));
  wasm_global_t* const copy = wasm_global_copy(variable);
  CHECK(wasm_global_same(copy, same));
  int info = 0;
  wasm_global_set_host_info(copy, &info);
  CHECK(wasm_global_get_host_info(same) == &info && wasm_global_get_host_info(constant) == NULL);

  wasm_func_t* const get_const = get_func(instance, "get const");
  wasm_func_t* const get_var = get_func(instance, "get var");
  wasm_func_t* const set_var = get_func(instance, "set var");
  CHECK(call_for(get_const).of.i64 == 5 && call_for(get_var).of.f32 == 2);
  wasm_global_set(variable, &nine);
  CHECK(call_for(get_var).of.f32 == 9 && read_global(same).of.f32 == 9);
  wasm_val_t in[1] = {WASM_F32_VAL(73)};
  const wasm_val_vec_t args = WASM_ARRAY_VEC(in);
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  CHECK(wasm_func_call(set_var, &args, &none) == NULL);
  CHECK(read_global(variable).of.f32 == 73);

  // What cannot be set stays.
  wasm_val_t six = WASM_I64_VAL(6);
  wasm_global_set(constant, &six);
  CHECK(read_global(constant).of.i64 == 5 && vmrun_error_kind(vmrun_last_error()) == VMRUN_ERROR_USAGE);
  wasm_global_set(variable, &six);
  CHECK(read_global(variable).of.f32 == 73);

  wasm_global_t* const own_global = get_global(instance, "own");
  wasm_globaltype_t* const own_type = wasm_global_type(own_global);
  CHECK(wasm_globaltype_mutability(own_type) == WASM_VAR && read_global(own_global).of.i32 == 5);
  wasm_globaltype_delete(own_type);

  wasm_global_delete(own_global);
  wasm_func_delete(get_const);
  wasm_func_delete(get_var);
  wasm_func_delete(set_var);
  wasm_global_delete(copy);
  wasm_global_delete(same);
  wasm_global_delete(constant);
  wasm_global_delete(variable);
  wasm_globaltype_delete(const_type);
  wasm_globaltype_delete(var_type);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  end_world(world);
}
