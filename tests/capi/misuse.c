// What programs do wrong: each is told, and nothing is lost.
#include <pthread.h>

#include "common.h"

static wasm_trap_t* many(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  for (size_t i = 0; i < results->size; ++i) wasm_val_copy(&results->data[i], &args->data[args->size - 1 - i]);
  return NULL;
}

/// More parameters and results than there is room for in place.
static void check_many(wasm_store_t* store) {
  enum { count = 40 };
  wasm_valtype_t *ps[count], *rs[count];
  for (int i = 0; i < count; ++i) {
    ps[i] = i % 2 != 0 ? wasm_valtype_new_i64() : wasm_valtype_new(VMRUN_V128);
    rs[i] = i % 2 != 0 ? wasm_valtype_new(VMRUN_V128) : wasm_valtype_new_i64();
  }
  wasm_valtype_vec_t params, results;
  wasm_valtype_vec_new(&params, count, ps);
  wasm_valtype_vec_new(&results, count, rs);
  wasm_functype_t* const type = wasm_functype_new(&params, &results);
  CHECK(params.size == 0 && results.size == 0);  // taken over
  wasm_func_t* const func = wasm_func_new(store, type, many);
  wasm_functype_delete(type);
  wasm_val_t in[count], out[count];
  uint8_t bytes[16] = {0};
  for (int i = 0; i < count; ++i) {
    bytes[3] = (uint8_t)i;
    in[i].kind = WASM_I64;
    in[i].of.i64 = i;
    if (i % 2 == 0) NEED(vmrun_val_new_v128(&in[i], bytes));
  }
  const wasm_val_vec_t args = WASM_ARRAY_VEC(in);
  wasm_val_vec_t got = WASM_ARRAY_VEC(out);
  CHECK(wasm_func_call(func, &args, &got) == NULL);
  for (int i = 0; i < count; ++i) {
    if (i % 2 == 0) {
      CHECK(out[i].of.i64 == count - 1 - i);
    } else {
      CHECK(vmrun_val_v128(&out[i], bytes) && bytes[3] == count - 1 - i);
    }
    wasm_val_delete(&in[i]);
    wasm_val_delete(&out[i]);
  }
  wasm_func_delete(func);
}

static wasm_func_t* recursive;
static int depth;
static wasm_trap_t* recurse(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  ++depth;
  return wasm_func_call(recursive, args, results);
}

static wasm_ref_t* strange;
static wasm_trap_t* give_strange(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  (void)args;
  results->data[0].kind = WASM_EXTERNREF;
  results->data[0].of.ref = wasm_ref_copy(strange);
  return NULL;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int from_threads;
static wasm_trap_t* go(void* env, vmrun_caller_t* caller, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  (void)env, (void)args, (void)results;
  // A thread of the guest has a store that has no handles.
  CHECK(vmrun_caller_store(caller) == NULL && vmrun_caller_instance(caller) == NULL);
  CHECK(vmrun_caller_bytes(caller, 0, 4) != NULL);
  pthread_mutex_lock(&lock);
  ++from_threads;
  const bool exits = from_threads == 2;
  pthread_mutex_unlock(&lock);
  return exits ? vmrun_trap_new_exit(vmrun_caller_store(caller), 9) : NULL;
}

static void check_threads(wasm_engine_t* engine, int wanted) {
  wasm_store_t* const store = wasm_store_new(engine);
  vmrun_wasi_config_t* const config = vmrun_wasi_config_new();
  vmrun_linker_t* const linker = vmrun_linker_new(store);
  wasm_module_t* const module = load(store, "wasi_threads_host");
  wasm_functype_t* const type = wasm_functype_new_0_0();
  NEED(vmrun_linker_define_wasi(linker, config) == NULL);
  NEED(vmrun_linker_define_shared_memories(linker, module) == NULL);
  NEED(vmrun_linker_define_func(linker, "host", "go", type, go, NULL, NULL) == NULL);
  wasm_instance_t* instance = NULL;
  NEED(vmrun_linker_instantiate(linker, module, &instance) == NULL);
  int status = -1;
  CHECK(vmrun_wasi_run(instance, &status) == NULL && status == wanted);
  wasm_functype_delete(type);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  vmrun_linker_delete(linker);
  vmrun_wasi_config_delete(config);
  wasm_store_delete(store);
}

static void wrong_stdin(vmrun_wasi_config_t* config) { vmrun_wasi_config_stdin_bytes(config, "abc", SIZE_MAX); }
static void wrong_env(vmrun_wasi_config_t* config) { vmrun_wasi_config_env(config, "HOME", NULL); }
static void wrong_arg(vmrun_wasi_config_t* config) { vmrun_wasi_config_arg(config, NULL); }
static void wrong_dir(vmrun_wasi_config_t* config) { vmrun_wasi_config_preopen_dir(config, "/tmp", NULL, true); }
static void wrong_sink(vmrun_wasi_config_t* config) { vmrun_wasi_config_stdout_to(config, NULL, NULL); }

static int finished;
static void finish(void* env) {
  (void)env;
  ++finished;
}

static bool last_is(vmrun_error_kind_t kind) {
  const vmrun_error_t* const error = vmrun_last_error();
  return error != NULL && vmrun_error_kind(error) == kind;
}
static bool fails(vmrun_error_t* error, vmrun_error_kind_t kind) {
  const bool so = error != NULL && vmrun_error_kind(error) == kind;
  vmrun_error_delete(error);
  return so;
}

/// What is NULL and must not be: callbacks, names, and types whose makers failed. And sizes that nothing has.
static void check_nothing(wasm_store_t* store) {
  wasm_functype_t* const type = wasm_functype_new_0_0();
  vmrun_linker_t* const linker = vmrun_linker_new(store);
  finished = 0;
  CHECK(vmrun_func_new(store, type, NULL, NULL, finish) == NULL && last_is(VMRUN_ERROR_USAGE) && finished == 1);
  CHECK(wasm_func_new_with_env(store, NULL, NULL, NULL, finish) == NULL && finished == 2);
  CHECK(fails(vmrun_linker_define_func(linker, "m", "f", type, NULL, NULL, finish), VMRUN_ERROR_USAGE));
  CHECK(fails(vmrun_linker_define_func(linker, NULL, "f", type, go, NULL, finish), VMRUN_ERROR_USAGE));
  CHECK(fails(vmrun_linker_define_func(linker, "m", NULL, type, go, NULL, finish), VMRUN_ERROR_USAGE));
  CHECK(fails(vmrun_linker_define(linker, "m", "f", NULL), VMRUN_ERROR_USAGE) && finished == 5);
  wasm_module_t* module = NULL;
  CHECK(fails(vmrun_module_new_from_file(store, NULL, &module), VMRUN_ERROR_USAGE) && module == NULL);

  // A kind of value that there is not, and what is made of it.
  CHECK(wasm_valtype_new(99) == NULL && last_is(VMRUN_ERROR_USAGE));
  wasm_functype_t* const bad = wasm_functype_new_1_1(wasm_valtype_new(99), wasm_valtype_new_i32());
  CHECK(bad == NULL && last_is(VMRUN_ERROR_USAGE));
  CHECK(wasm_func_new(store, bad, many) == NULL && last_is(VMRUN_ERROR_USAGE));
  wasm_globaltype_t* const bad_global = wasm_globaltype_new(wasm_valtype_new(77), WASM_VAR);
  CHECK(bad_global == NULL && last_is(VMRUN_ERROR_USAGE));
  wasm_val_t value = WASM_I32_VAL(1);
  CHECK(wasm_global_new(store, bad_global, &value) == NULL);
  const wasm_limits_t limits = {1, 2};
  wasm_tabletype_t* const bad_table = wasm_tabletype_new(wasm_valtype_new(77), &limits);
  CHECK(bad_table == NULL && wasm_table_new(store, bad_table, NULL) == NULL && wasm_memory_new(store, NULL) == NULL);
  CHECK(wasm_tagtype_new(NULL) == NULL && last_is(VMRUN_ERROR_USAGE));
  wasm_tagtype_t* const tag = wasm_tagtype_new(wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32()));
  CHECK(vmrun_tag_new(store, tag) == NULL && last_is(VMRUN_ERROR_USAGE));  // a tag has no results
  wasm_tagtype_delete(tag);

  // Messages: too long, and with zeros inside.
  wasm_message_t message = {SIZE_MAX, (byte_t*)"abc"};
  wasm_trap_t* trap = wasm_trap_new(store, &message);
  CHECK(trap != NULL);
  wasm_trap_delete(trap);
  message.size = 6;
  message.data = (byte_t*)"ab\0cd";  // its last one ends it
  trap = wasm_trap_new(store, &message);
  wasm_message_t said;
  wasm_trap_message(trap, &said);
  CHECK(said.size == 6 && memcmp(said.data, "ab\0cd", 6) == 0);
  wasm_byte_vec_delete(&said);
  wasm_trap_delete(trap);

  // A configuration remembers.
  void (*const wrongs[])(vmrun_wasi_config_t*) = {wrong_stdin, wrong_env, wrong_arg, wrong_dir, wrong_sink};
  for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; ++i) {
    vmrun_wasi_config_t* const config = vmrun_wasi_config_new();
    wrongs[i](config);
    CHECK(last_is(VMRUN_ERROR_USAGE));
    vmrun_wasi_config_arg(config, "fine");
    CHECK(fails(vmrun_linker_define_wasi(linker, config), VMRUN_ERROR_USAGE));
    vmrun_wasi_config_delete(config);
  }
  vmrun_linker_delete(linker);
  wasm_functype_delete(type);
}

void test_misuse(void) {
  const world_t world = new_world(), other = new_world();
  wasm_store_t* const store = world.store;

  // Images.
  wasm_byte_vec_t bytes = WASM_EMPTY_VEC;
  CHECK(wasm_module_new(store, &bytes) == NULL && !wasm_module_validate(store, &bytes));
  CHECK(wasm_module_deserialize(store, &bytes) == NULL);

  // Imports: too many, none, of another kind, of another store, of another engine's module.
  wasm_module_t* const module = load(store, "capi_hello");
  wasm_functype_t* const nothing = wasm_functype_new_0_0();
  wasm_func_t* const func = wasm_func_new(store, nothing, many);
  wasm_func_t* const foreigner = wasm_func_new(other.store, nothing, many);
  const wasm_limits_t one_page = {1, 1};
  wasm_memorytype_t* const memory_type = wasm_memorytype_new(&one_page);
  wasm_memory_t* const memory = wasm_memory_new(store, memory_type);
  wasm_memorytype_delete(memory_type);
  wasm_extern_t* two[] = {wasm_func_as_extern(func), wasm_func_as_extern(func)};
  wasm_extern_t* wrong[] = {wasm_memory_as_extern(memory)};
  wasm_extern_t* strangers[] = {wasm_func_as_extern(foreigner)};
  wasm_extern_t* null[] = {NULL};
  const struct {
    wasm_extern_t** items;
    size_t count;
  } cases[] = {{two, 2}, {two, 0}, {wrong, 1}, {strangers, 1}, {null, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    const wasm_extern_vec_t imports = {cases[i].count, cases[i].items};
    wasm_trap_t* trap = NULL;
    CHECK(wasm_instance_new(store, module, &imports, &trap) == NULL);
    CHECK(trap != NULL && vmrun_trap_kind(trap) == VMRUN_ERROR_LINK);
    wasm_trap_delete(trap);
  }
  wasm_trap_t* trap = NULL;
  const wasm_extern_vec_t theirs = {1, strangers};
  CHECK(wasm_instance_new(other.store, module, &theirs, &trap) == NULL);
  CHECK(trap != NULL && vmrun_trap_kind(trap) == VMRUN_ERROR_USAGE);
  wasm_trap_delete(trap);
  vmrun_linker_t* const linker = vmrun_linker_new(store);
  vmrun_error_t* const error = vmrun_linker_define(linker, "", "hello", wasm_func_as_extern(foreigner));
  CHECK(error != NULL && vmrun_error_kind(error) == VMRUN_ERROR_USAGE);
  vmrun_error_delete(error);
  vmrun_linker_delete(linker);

  // Types that validation would refuse.
  const wasm_limits_t limits = {1, 2};
  wasm_tabletype_t* const numbers = wasm_tabletype_new(wasm_valtype_new_i32(), &limits);
  CHECK(wasm_table_new(store, numbers, NULL) == NULL);
  wasm_tabletype_delete(numbers);
  const vmrun_limits64_t odd_page = {1, 1, true, false, false, 5};
  wasm_memorytype_t* const odd = vmrun_memorytype_new(&odd_page);
  CHECK(wasm_memory_new(store, odd) == NULL);
  wasm_memorytype_delete(odd);

  // Messages.
  wasm_message_t message = WASM_EMPTY_VEC;
  CHECK(says(wasm_trap_new(store, &message), ""));
  message.data = (byte_t*)"abc";
  message.size = 3;  // without a NUL
  CHECK(says(wasm_trap_new(store, &message), "abc"));
  // What makes a trap for a callback to return makes one, whatever it is given: NULL would tell the guest that all is
  // well.
  const vmrun_trap_code_t none_of_them[] = {-1, VMRUN_TRAP_NONE, VMRUN_TRAP_OUT_OF_FUEL + 1, 99};
  for (size_t i = 0; i < sizeof none_of_them / sizeof *none_of_them; ++i) {
    wasm_trap_t* const bad = vmrun_trap_new_code(store, none_of_them[i]);
    NEED(bad != NULL);
    CHECK(vmrun_trap_kind(bad) == VMRUN_ERROR_USAGE && vmrun_trap_code(bad) == VMRUN_TRAP_NONE);
    wasm_trap_delete(bad);
  }
  CHECK(says(vmrun_trap_new_code(store, 99), "there is no trap with the code 99"));
  wasm_foreign_t* const foreign = wasm_foreign_new(other.store);
  CHECK(says(vmrun_trap_new_exception(wasm_foreign_as_ref(foreign)), "what was to be thrown is no exception"));
  CHECK(says(vmrun_trap_new_exception(NULL), "what was to be thrown is no exception"));

  // No vectors where there is nothing to hand over.
  CHECK(wasm_func_call(func, NULL, NULL) == NULL);
  check_many(store);
  check_nothing(store);

  // Callbacks that call each other for ever, and one that gives away a reference of another store.
  recursive = wasm_func_new(store, nothing, recurse);
  depth = 0;
  trap = wasm_func_call(recursive, NULL, NULL);
  CHECK(trap != NULL && vmrun_trap_code(trap) == VMRUN_TRAP_STACK_OVERFLOW && depth == 200);
  wasm_trap_delete(trap);
  wasm_func_delete(recursive);
  wasm_functype_t* const gives = wasm_functype_new_0_1(wasm_valtype_new_externref());
  wasm_func_t* const giver = wasm_func_new(store, gives, give_strange);
  strange = wasm_foreign_as_ref(foreign);
  wasm_val_t out[1] = {WASM_INIT_VAL};
  wasm_val_vec_t results = WASM_ARRAY_VEC(out);
  const wasm_val_vec_t none = WASM_EMPTY_VEC;
  CHECK(says(wasm_func_call(giver, &none, &results),
             "a result of a callback is a reference that does not belong to this store"));
  wasm_func_delete(giver);
  wasm_functype_delete(gives);

  from_threads = 0;
  check_threads(world.engine, 0);
  check_threads(world.engine, 9);  // the second one exits
  CHECK(from_threads == 2 && wasm_func_new(store, nothing, NULL) == NULL);

  wasm_foreign_delete(foreign);
  wasm_memory_delete(memory);
  wasm_func_delete(func);
  wasm_func_delete(foreigner);
  wasm_functype_delete(nothing);
  wasm_module_delete(module);
  end_world(other);
  end_world(world);
}
