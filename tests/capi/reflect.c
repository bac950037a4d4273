// Types of what modules import and export.
#include "common.h"

static bool named(const wasm_name_t* name, const char* text) {
  return name->size == strlen(text) && memcmp(name->data, text, name->size) == 0;
}

static void check_func(const wasm_externtype_t* type) {
  const wasm_functype_t* const func = wasm_externtype_as_functype_const(type);
  NEED(func != NULL);
  const wasm_valtype_vec_t* const params = wasm_functype_params(func);
  NEED(params->size == 3 && wasm_functype_results(func)->size == 1);
  CHECK(wasm_valtype_kind(params->data[0]) == WASM_I32 && wasm_valtype_kind(params->data[1]) == WASM_F64);
  CHECK(wasm_valtype_kind(params->data[2]) == WASM_F32);
  CHECK(wasm_externtype_as_globaltype_const(type) == NULL && wasm_externtype_as_memorytype_const(type) == NULL);
}

void test_reflect(void) {
  const world_t world = new_world();
  wasm_module_t* const module = load(world.store, "capi_reflect");

  wasm_importtype_vec_t imports;
  wasm_module_imports(module, &imports);
  NEED(imports.size == 1);
  CHECK(named(wasm_importtype_module(imports.data[0]), "env") && named(wasm_importtype_name(imports.data[0]), "f"));
  CHECK(wasm_externtype_kind(wasm_importtype_type(imports.data[0])) == WASM_EXTERN_FUNC);
  wasm_importtype_vec_t again;
  wasm_importtype_vec_copy(&again, &imports);
  wasm_importtype_vec_delete(&imports);
  CHECK(again.size == 1 && named(wasm_importtype_name(again.data[0]), "f"));
  wasm_importtype_vec_delete(&again);

  wasm_exporttype_vec_t exports;
  wasm_module_exports(module, &exports);
  NEED(exports.size == 5);
  const char* const names[] = {"func", "global", "table", "memory", "refs"};
  for (size_t i = 0; i < exports.size; ++i) CHECK(named(wasm_exporttype_name(exports.data[i]), names[i]));
  check_func(wasm_exporttype_type(exports.data[0]));
  wasm_externtype_t* const copy = wasm_externtype_copy(wasm_exporttype_type(exports.data[0]));
  check_func(copy);
  CHECK(wasm_functype_as_externtype(wasm_externtype_as_functype(copy)) == copy);
  wasm_externtype_delete(copy);

  const wasm_globaltype_t* const global = wasm_externtype_as_globaltype_const(wasm_exporttype_type(exports.data[1]));
  NEED(global != NULL);
  CHECK(wasm_globaltype_mutability(global) == WASM_VAR);
  CHECK(wasm_valtype_kind(wasm_globaltype_content(global)) == WASM_F64);

  const wasm_tabletype_t* const table = wasm_externtype_as_tabletype_const(wasm_exporttype_type(exports.data[2]));
  NEED(table != NULL);
  CHECK(wasm_valtype_kind(wasm_tabletype_element(table)) == WASM_EXTERNREF);
  CHECK(wasm_tabletype_limits(table)->min == 0 && wasm_tabletype_limits(table)->max == 50);

  const wasm_memorytype_t* const memory = wasm_externtype_as_memorytype_const(wasm_exporttype_type(exports.data[3]));
  NEED(memory != NULL);
  CHECK(wasm_memorytype_limits(memory)->min == 1 && wasm_memorytype_limits(memory)->max == wasm_limits_max_default);

  const wasm_functype_t* const refs = wasm_externtype_as_functype_const(wasm_exporttype_type(exports.data[4]));
  NEED(refs != NULL);
  CHECK(wasm_valtype_kind(wasm_functype_params(refs)->data[0]) == WASM_FUNCREF);
  CHECK(wasm_valtype_is_ref(wasm_functype_params(refs)->data[1]));
  CHECK(wasm_valtype_kind(wasm_functype_results(refs)->data[0]) == VMRUN_V128);
  wasm_exporttype_vec_delete(&exports);

  // Made by hand.
  CHECK(wasm_valtype_new(77) == NULL);
  wasm_functype_t* const many =
      wasm_functype_new_3_2(wasm_valtype_new_i32(), wasm_valtype_new_i64(), wasm_valtype_new_externref(),
                            wasm_valtype_new_funcref(), wasm_valtype_new_f64());
  wasm_functype_t* const twin = wasm_functype_copy(many);
  wasm_functype_delete(many);
  CHECK(wasm_functype_params(twin)->size == 3 && wasm_functype_results(twin)->size == 2);
  CHECK(wasm_valtype_kind(wasm_functype_results(twin)->data[0]) == WASM_FUNCREF);
  wasm_name_t name, from;
  wasm_name_new_from_string(&name, "name");
  wasm_name_new_from_string(&from, "from");
  wasm_importtype_t* const import = wasm_importtype_new(&from, &name, wasm_functype_as_externtype(twin));
  CHECK(named(wasm_importtype_module(import), "from"));
  wasm_importtype_delete(import);

  wasm_module_delete(module);
  end_world(world);
}
