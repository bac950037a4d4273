// References of the host's that guests hold.
#include "common.h"

static wasm_trap_t* give(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  wasm_val_copy(&results->data[0], &args->data[0]);
  return NULL;
}

/// Calls with a reference (or none, where `kind` is not one) and gives what comes back, owned.
static wasm_ref_t* pass(const wasm_func_t* func, wasm_valkind_t kind, wasm_ref_t* ref) {
  wasm_val_t in[1] = {WASM_REF_VAL(ref)}, out[1] = {WASM_INIT_VAL};
  in[0].kind = kind;
  const wasm_val_vec_t args = {wasm_valkind_is_ref(kind) ? 1 : 0, in};
  wasm_val_vec_t results = {wasm_func_result_arity(func), out};
  CHECK(wasm_func_call(func, &args, &results) == NULL);
  return out[0].of.ref;
}

static bool comes_back(const wasm_func_t* func, wasm_valkind_t kind, wasm_ref_t* ref) {
  wasm_ref_t* const back = pass(func, kind, ref);
  const bool same = wasm_ref_same(back, ref);
  wasm_ref_delete(back);
  return same;
}

void test_hostref(void) {
  const world_t world = new_world();
  wasm_module_t* const module = load(world.store, "capi_hostref");
  wasm_functype_t* const type = wasm_functype_new_1_1(wasm_valtype_new_externref(), wasm_valtype_new_externref());
  wasm_func_t* const host = wasm_func_new(world.store, type, give);
  wasm_functype_delete(type);
  wasm_extern_t* imports[] = {wasm_func_as_extern(host)};
  wasm_instance_t* const instance = instantiate(world.store, module, imports, 1);
  wasm_func_t* const through = get_func(instance, "through");
  wasm_func_t* const func_through = get_func(instance, "func through");
  wasm_func_t* const global_set = get_func(instance, "global set");
  wasm_func_t* const global_get = get_func(instance, "global get");
  wasm_table_t* const table = get_table(instance, "table");
  wasm_global_t* const global = get_global(instance, "global");

  wasm_foreign_t* const one = wasm_foreign_new(world.store);
  wasm_foreign_t* const two = wasm_foreign_new(world.store);
  int info = 0;
  wasm_foreign_set_host_info(one, &info);
  CHECK(!wasm_foreign_same(one, two) && wasm_ref_same(wasm_foreign_as_ref(one), wasm_foreign_as_ref(one)));
  CHECK(wasm_ref_as_func(wasm_foreign_as_ref(one)) == NULL);

  // Through the guest and back, whatever it is.
  CHECK(comes_back(through, WASM_EXTERNREF, NULL));
  CHECK(comes_back(through, WASM_EXTERNREF, wasm_foreign_as_ref(one)));
  CHECK(comes_back(through, WASM_EXTERNREF, wasm_foreign_as_ref(two)));
  CHECK(comes_back(through, WASM_EXTERNREF, wasm_func_as_ref(host)));
  CHECK(comes_back(through, WASM_EXTERNREF, wasm_instance_as_ref(instance)));
  CHECK(comes_back(through, WASM_EXTERNREF, wasm_module_as_ref(module)));
  CHECK(comes_back(through, WASM_EXTERNREF, wasm_table_as_ref(table)));
  CHECK(comes_back(func_through, WASM_FUNCREF, wasm_func_as_ref(through)));
  CHECK(comes_back(func_through, WASM_FUNCREF, wasm_func_as_ref(host)));
  CHECK(comes_back(func_through, WASM_FUNCREF, NULL));

  // In a global and a table. The thing outlives its handles there.
  CHECK(pass(global_set, WASM_EXTERNREF, wasm_foreign_as_ref(one)) == NULL);
  wasm_ref_t* const kept = pass(global_get, WASM_I32, NULL);
  CHECK(wasm_ref_same(kept, wasm_foreign_as_ref(one)) && wasm_ref_get_host_info(kept) == &info);
  wasm_ref_delete(kept);
  wasm_val_t value;
  wasm_global_get(global, &value);
  CHECK(value.kind == WASM_EXTERNREF && wasm_ref_as_foreign(value.of.ref) != NULL);
  wasm_val_t copied;
  wasm_val_copy(&copied, &value);
  wasm_val_delete(&value);
  CHECK(wasm_ref_get_host_info(copied.of.ref) == &info);
  wasm_val_delete(&copied);
  CHECK(wasm_table_set(table, 3, wasm_foreign_as_ref(two)));
  wasm_foreign_delete(two);
  wasm_ref_t* const third = wasm_table_get(table, 3);
  CHECK(third != NULL && wasm_ref_as_foreign(third) != NULL && wasm_table_get(table, 2) == NULL);
  wasm_ref_delete(third);

  // A reference of another store does not enter.
  const world_t other = new_world();
  wasm_foreign_t* const strange = wasm_foreign_new(other.store);
  wasm_func_t* const strange_func = wasm_func_copy(host);
  CHECK(!wasm_table_set(table, 0, wasm_foreign_as_ref(strange)));
  wasm_val_t in[1] = {WASM_REF_VAL(wasm_foreign_as_ref(strange))}, out[1] = {WASM_INIT_VAL};
  const wasm_val_vec_t args = WASM_ARRAY_VEC(in);
  wasm_val_vec_t results = WASM_ARRAY_VEC(out);
  CHECK(says(wasm_func_call(through, &args, &results),
             "an argument is a reference that does not belong to this store (argument 0)"));
  // What is no function is no funcref.
  in[0].of.ref = wasm_foreign_as_ref(one);
  CHECK(says(wasm_func_call(func_through, &args, &results),
             "an argument is a reference of another kind than funcref (argument 0)"));
  wasm_foreign_delete(strange);
  wasm_func_delete(strange_func);
  end_world(other);

  wasm_foreign_delete(one);
  wasm_global_delete(global);
  wasm_table_delete(table);
  wasm_func_delete(through);
  wasm_func_delete(func_through);
  wasm_func_delete(global_set);
  wasm_func_delete(global_get);
  wasm_func_delete(host);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  end_world(world);
}
