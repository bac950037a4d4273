// Callbacks with and without an environment, called by guests and by the host.
#include "common.h"

static int printed;

static wasm_trap_t* print(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  CHECK(args->data[0].kind == WASM_I32 && results->size == 1 && results->data[0].kind == WASM_I32);
  printed = args->data[0].of.i32;
  wasm_val_copy(&results->data[0], &args->data[0]);
  return NULL;
}

static wasm_trap_t* closure(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  CHECK(args->size == 0);
  results->data[0].kind = WASM_I32;
  results->data[0].of.i32 = *(int*)env;
  return NULL;
}

static wasm_trap_t* wrong_kind(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  (void)args;
  results->data[0].kind = WASM_F64;
  results->data[0].of.f64 = 1.5;
  return NULL;
}

static int finalized;
static void finalize(void* env) {
  CHECK(*(int*)env == 42);
  ++finalized;
}

void test_callback(void) {
  const world_t world = new_world();
  wasm_module_t* const module = load(world.store, "capi_callback");
  wasm_functype_t* const unary = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
  wasm_functype_t* const nullary = wasm_functype_new_0_1(wasm_valtype_new_i32());
  wasm_func_t* const printer = wasm_func_new(world.store, unary, print);
  int number = 42;
  finalized = 0;
  wasm_func_t* const closed = wasm_func_new_with_env(world.store, nullary, closure, &number, finalize);
  wasm_func_t* const wrong = wasm_func_new(world.store, nullary, wrong_kind);

  wasm_extern_t* imports[] = {wasm_func_as_extern(printer), wasm_func_as_extern(closed)};
  wasm_instance_t* const instance = instantiate(world.store, module, imports, 2);
  wasm_func_t* const run = get_func(instance, "run");
  const int32_t args[] = {3, 4};
  CHECK(call_i32(run, 2, args) == 49);
  CHECK(printed == 7);

  // From the host, directly.
  const int32_t one[] = {5};
  CHECK(call_i32(printer, 1, one) == 5);
  CHECK(call_i32(closed, 0, NULL) == 42);
  CHECK(wasm_func_param_arity(run) == 2 && wasm_func_result_arity(run) == 1);

  // Arguments that do not fit are told, and so is a result.
  wasm_val_t values[3] = {WASM_I32_VAL(1), WASM_F32_VAL(2), WASM_INIT_VAL};
  wasm_val_vec_t given = {1, values}, results = {1, &values[2]}, none = WASM_EMPTY_VEC;
  CHECK(says(wasm_func_call(run, &given, &results), "function takes 2 arguments, not 1"));
  given.size = 2;
  CHECK(says(wasm_func_call(run, &given, &results), "an argument has type f32, not i32 (argument 1)"));
  values[1].kind = WASM_I32;
  CHECK(says(wasm_func_call(run, &given, &none), "function gives 1 results, and there is room for 0"));
  given.size = 0;
  CHECK(says(wasm_func_call(wrong, &given, &results), "a result of a callback has type f64, not i32"));

  // The environment goes with the store: when its last handle does.
  wasm_func_delete(wrong);
  wasm_func_delete(printer);
  wasm_func_delete(closed);
  wasm_instance_delete(instance);
  wasm_functype_delete(unary);
  wasm_functype_delete(nullary);
  wasm_module_delete(module);
  end_world(world);
  CHECK(finalized == 0);
  CHECK(call_i32(run, 2, args) == 49);
  wasm_func_delete(run);
  CHECK(finalized == 1);
}
