// Several results, both ways.
#include "common.h"

static wasm_trap_t* turn(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  for (size_t i = 0; i < 4; ++i) wasm_val_copy(&results->data[i], &args->data[3 - i]);
  return NULL;
}

void test_multi(void) {
  const world_t world = new_world();
  wasm_module_t* const module = load(world.store, "capi_multi");
  wasm_valtype_t* forth[4] = {wasm_valtype_new_i32(), wasm_valtype_new_i64(), wasm_valtype_new_f32(),
                              wasm_valtype_new_f64()};
  wasm_valtype_t* back[4] = {wasm_valtype_new_f64(), wasm_valtype_new_f32(), wasm_valtype_new_i64(),
                             wasm_valtype_new_i32()};
  wasm_valtype_vec_t params, results;
  wasm_valtype_vec_new(&params, 4, forth);
  wasm_valtype_vec_new(&results, 4, back);
  wasm_functype_t* const type = wasm_functype_new(&params, &results);
  wasm_func_t* const host = wasm_func_new(world.store, type, turn);
  wasm_functype_delete(type);
  wasm_extern_t* imports[] = {wasm_func_as_extern(host)};
  wasm_instance_t* const instance = instantiate(world.store, module, imports, 1);
  wasm_func_t* const run = get_func(instance, "g");

  wasm_val_t in[4] = {WASM_I32_VAL(-1), WASM_I64_VAL(INT64_C(-20000000000)), WASM_F32_VAL(1.5f), WASM_F64_VAL(-2.25)};
  wasm_val_t out[4] = {WASM_INIT_VAL, WASM_INIT_VAL, WASM_INIT_VAL, WASM_INIT_VAL};
  const wasm_val_vec_t args = WASM_ARRAY_VEC(in);
  wasm_val_vec_t got = WASM_ARRAY_VEC(out);
  CHECK(wasm_func_call(run, &args, &got) == NULL);
  CHECK(out[0].kind == WASM_F64 && out[0].of.f64 == -2.25);
  CHECK(out[1].kind == WASM_F32 && out[1].of.f32 == 1.5f);
  CHECK(out[2].kind == WASM_I64 && out[2].of.i64 == INT64_C(-20000000000));
  CHECK(out[3].kind == WASM_I32 && out[3].of.i32 == -1);

  wasm_val_vec_t copy;
  wasm_val_vec_copy(&copy, &got);
  CHECK(copy.size == 4 && copy.data[2].of.i64 == INT64_C(-20000000000));
  wasm_val_vec_delete(&copy);

  wasm_func_delete(run);
  wasm_func_delete(host);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  end_world(world);
}
