// Runs the subjects that the arguments name, or all.
#include "common.h"

int failures = 0;

void read_image(const char* name, wasm_byte_vec_t* out) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s.wasm", VMRUN_FIXTURES, name);
  FILE* const file = fopen(path, "rb");
  if (file == NULL) {
    fprintf(stderr, "no %s\n", path);
    exit(1);
  }
  fseek(file, 0, SEEK_END);
  const long size = ftell(file);
  rewind(file);
  wasm_byte_vec_new_uninitialized(out, (size_t)size);
  NEED(fread(out->data, 1, out->size, file) == out->size);
  fclose(file);
}

wasm_module_t* load(wasm_store_t* store, const char* name) {
  wasm_byte_vec_t image;
  read_image(name, &image);
  wasm_module_t* const module = wasm_module_new(store, &image);
  wasm_byte_vec_delete(&image);
  NEED(module != NULL);
  return module;
}

wasm_instance_t* instantiate(wasm_store_t* store, const wasm_module_t* module, wasm_extern_t* imports[], size_t count) {
  const wasm_extern_vec_t vec = {count, imports};
  wasm_trap_t* trap = NULL;
  wasm_instance_t* const instance = wasm_instance_new(store, module, &vec, &trap);
  NEED(instance != NULL && trap == NULL);
  return instance;
}

static wasm_extern_t* get(const wasm_instance_t* instance, const char* name) {
  wasm_extern_t* const item = vmrun_instance_export(instance, name);
  NEED(item != NULL);
  return item;
}
wasm_func_t* get_func(const wasm_instance_t* instance, const char* name) {
  return wasm_extern_as_func(get(instance, name));
}
wasm_global_t* get_global(const wasm_instance_t* instance, const char* name) {
  return wasm_extern_as_global(get(instance, name));
}
wasm_table_t* get_table(const wasm_instance_t* instance, const char* name) {
  return wasm_extern_as_table(get(instance, name));
}
wasm_memory_t* get_memory(const wasm_instance_t* instance, const char* name) {
  return wasm_extern_as_memory(get(instance, name));
}

static wasm_trap_t* call(const wasm_func_t* func, size_t count, const int32_t args[], int32_t* result) {
  wasm_val_t in[4] = {WASM_I32_VAL(0), WASM_I32_VAL(0), WASM_I32_VAL(0), WASM_I32_VAL(0)};
  wasm_val_t out[1] = {WASM_I32_VAL(0)};
  for (size_t i = 0; i < count; ++i) in[i].of.i32 = args[i];
  const wasm_val_vec_t arguments = {count, in};
  wasm_val_vec_t results = WASM_ARRAY_VEC(out);
  wasm_trap_t* const trap = wasm_func_call(func, &arguments, &results);
  *result = out[0].of.i32;
  return trap;
}

int32_t call_i32(const wasm_func_t* func, size_t count, const int32_t args[]) {
  int32_t result;
  wasm_trap_t* const trap = call(func, count, args, &result);
  if (trap != NULL) {
    wasm_message_t message;
    wasm_trap_message(trap, &message);
    fprintf(stderr, "a trap: %s\n", message.data);
    exit(1);
  }
  return result;
}

bool traps(const wasm_func_t* func, size_t count, const int32_t args[]) {
  int32_t result;
  wasm_trap_t* const trap = call(func, count, args, &result);
  wasm_trap_delete(trap);
  return trap != NULL;
}

bool says(wasm_trap_t* trap, const char* message) {
  if (trap == NULL) return false;
  wasm_message_t said;
  wasm_trap_message(trap, &said);
  const bool same = said.size == strlen(message) + 1 && strcmp(said.data, message) == 0;
  if (!same) fprintf(stderr, "a trap says: %s\n", said.data);
  wasm_byte_vec_delete(&said);
  wasm_trap_delete(trap);
  return same;
}

world_t new_world(void) {
  world_t world;
  world.engine = wasm_engine_new();
  NEED(world.engine != NULL);
  world.store = wasm_store_new(world.engine);
  NEED(world.store != NULL);
  return world;
}
void end_world(world_t world) {
  wasm_store_delete(world.store);
  wasm_engine_delete(world.engine);
}

static const struct {
  const char* name;
  void (*run)(void);
} subjects[] = {
    {"callback", test_callback},   {"finalize", test_finalize}, {"global", test_global},
    {"hello", test_hello},         {"hostref", test_hostref},   {"memory", test_memory},
    {"multi", test_multi},         {"reflect", test_reflect},   {"serialize", test_serialize},
    {"start", test_start},         {"table", test_table},       {"threads", test_threads},
    {"trap", test_trap},           {"errors", test_errors},     {"exceptions", test_exceptions},
    {"limits", test_limits},       {"misuse", test_misuse},     {"throws", test_throws},
    {"order", test_order},         {"tasks", test_tasks},       {"vectors", test_vectors},
    {"wasi", test_wasi},           {"source", test_source},     {"hooks", test_hooks},
#ifndef VMRUN_SANITIZED
    {"no_memory", test_no_memory},
#endif
};

int main(int argc, char** argv) {
  int ran = 0;
  for (size_t i = 0; i < sizeof subjects / sizeof *subjects; ++i) {
    bool wanted = argc == 1;
    for (int a = 1; a < argc; ++a) wanted |= strcmp(argv[a], subjects[i].name) == 0;
    if (!wanted) continue;
    const int before = failures;
    subjects[i].run();
    printf("%s: %s\n", subjects[i].name, failures == before ? "passed" : "FAILED");
    ++ran;
  }
  return failures != 0 || ran == 0;
}
