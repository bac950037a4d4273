// What the tests of the C API share. Each subject is a function of a file of its own; main.c runs them.
#ifndef VMRUN_TESTS_CAPI_COMMON_H
#define VMRUN_TESTS_CAPI_COMMON_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmrun/c.h"
#include "wasm.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Failed checks so far.
extern int failures;

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                             \
    }                                                                         \
  } while (0)
/// A check without which nothing that follows makes sense.
#define NEED(condition)                                                           \
  do {                                                                            \
    if (!(condition)) {                                                           \
      const vmrun_error_t* last = vmrun_last_error();                             \
      fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #condition, \
              last != NULL ? vmrun_error_message(last) : "no error");             \
      exit(1);                                                                    \
    }                                                                             \
  } while (0)

/// The image of a fixture, owned by the caller.
void read_image(const char* name, wasm_byte_vec_t* out);
wasm_module_t* load(wasm_store_t* store, const char* name);
/// Instantiates; the imports are borrowed. Neither fails.
wasm_instance_t* instantiate(wasm_store_t* store, const wasm_module_t* module, wasm_extern_t* imports[], size_t count);
/// An export by its name, owned by the caller.
wasm_func_t* get_func(const wasm_instance_t* instance, const char* name);
wasm_global_t* get_global(const wasm_instance_t* instance, const char* name);
wasm_table_t* get_table(const wasm_instance_t* instance, const char* name);
wasm_memory_t* get_memory(const wasm_instance_t* instance, const char* name);
/// Calls a function of numbers with at most one result of 32 bits, which it returns; fails on a trap.
int32_t call_i32(const wasm_func_t* func, size_t count, const int32_t args[]);
/// Whether such a call traps.
bool traps(const wasm_func_t* func, size_t count, const int32_t args[]);
/// Whether the trap's message is that; deletes the trap.
bool says(wasm_trap_t* trap, const char* message);
/// An engine and a store.
typedef struct world_t {
  wasm_engine_t* engine;
  wasm_store_t* store;
} world_t;
world_t new_world(void);
void end_world(world_t world);

void test_callback(void);
void test_finalize(void);
void test_global(void);
void test_hello(void);
void test_hostref(void);
void test_memory(void);
void test_multi(void);
void test_reflect(void);
void test_serialize(void);
void test_start(void);
void test_table(void);
void test_threads(void);
void test_trap(void);
// Beyond the standard.
void test_errors(void);
void test_exceptions(void);
void test_hooks(void);
void test_limits(void);
void test_misuse(void);
void test_order(void);
void test_source(void);
void test_tasks(void);
void test_throws(void);
void test_no_memory(void);
void test_vectors(void);
void test_wasi(void);

#ifdef __cplusplus
}
#endif

#endif
