/* What bench/prepared measures, by wasmtime's C library: instances of one small module whose imports were resolved once, each in
   a store of its own, called once and dropped. PyPI's package has the library and no header, so what is used is declared here.
   usage: wasmtime [pool]     with `pool`: in slots of its pooling allocator, which keep what was touched
   The module is that of bench/c_api.c. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wasm.h"

typedef struct wasmtime_store wasmtime_store_t;
typedef struct wasmtime_context wasmtime_context_t;
typedef struct wasmtime_linker wasmtime_linker_t;
typedef struct wasmtime_module wasmtime_module_t;
typedef struct wasmtime_instance_pre wasmtime_instance_pre_t;
typedef struct wasmtime_error wasmtime_error_t;
typedef struct wasmtime_caller wasmtime_caller_t;
typedef struct wasmtime_pooling_allocation_config_t wasmtime_pooling_allocation_config_t;
typedef struct wasmtime_func {
  uint64_t store;
  void* inside;
} wasmtime_func_t;
typedef struct wasmtime_instance {
  uint64_t store;
  size_t inside;
} wasmtime_instance_t;
typedef struct wasmtime_extern {
  uint8_t kind;
  union {
    wasmtime_func_t func;
    uint64_t words[3];
  } of;
} wasmtime_extern_t;
typedef struct wasmtime_val {
  uint8_t kind;
  union {
    int32_t i32;
    uint64_t words[3];
  } of;
} wasmtime_val_t;
_Static_assert(sizeof(wasmtime_val_t) == 32 && sizeof(wasmtime_extern_t) == 32, "as the library has them");
typedef wasm_trap_t* (*wasmtime_func_callback_t)(void*, wasmtime_caller_t*, const wasmtime_val_t*, size_t,
                                                 wasmtime_val_t*, size_t);

wasmtime_error_t* wasmtime_module_new(wasm_engine_t*, const uint8_t*, size_t, wasmtime_module_t**);
wasmtime_linker_t* wasmtime_linker_new(wasm_engine_t*);
wasmtime_error_t* wasmtime_linker_define_func(wasmtime_linker_t*, const char*, size_t, const char*, size_t,
                                              const wasm_functype_t*, wasmtime_func_callback_t, void*, void (*)(void*));
wasmtime_error_t* wasmtime_linker_instantiate_pre(const wasmtime_linker_t*, const wasmtime_module_t*,
                                                  wasmtime_instance_pre_t**);
wasmtime_error_t* wasmtime_instance_pre_instantiate(const wasmtime_instance_pre_t*, wasmtime_context_t*,
                                                    wasmtime_instance_t*, wasm_trap_t**);
wasmtime_store_t* wasmtime_store_new(wasm_engine_t*, void*, void (*)(void*));
wasmtime_context_t* wasmtime_store_context(wasmtime_store_t*);
void wasmtime_store_delete(wasmtime_store_t*);
bool wasmtime_instance_export_get(wasmtime_context_t*, const wasmtime_instance_t*, const char*, size_t,
                                  wasmtime_extern_t*);
wasmtime_error_t* wasmtime_func_call(wasmtime_context_t*, const wasmtime_func_t*, const wasmtime_val_t*, size_t,
                                     wasmtime_val_t*, size_t, wasm_trap_t**);
wasmtime_pooling_allocation_config_t* wasmtime_pooling_allocation_config_new(void);
void wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(wasmtime_pooling_allocation_config_t*, size_t);
void wasmtime_pooling_allocation_strategy_set(wasm_config_t*, const wasmtime_pooling_allocation_config_t*);

static const uint8_t image[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x0c, 0x02, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x60, 0x02,
    0x7f, 0x7f, 0x01, 0x7f, 0x02, 0x09, 0x01, 0x00, 0x04, 0x68, 0x6f, 0x73, 0x74, 0x00, 0x00, 0x03, 0x03, 0x02,
    0x01, 0x00, 0x05, 0x03, 0x01, 0x00, 0x01, 0x07, 0x17, 0x03, 0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 0x02,
    0x00, 0x03, 0x61, 0x64, 0x64, 0x00, 0x01, 0x04, 0x6d, 0x61, 0x6e, 0x79, 0x00, 0x02, 0x0a, 0x22, 0x02, 0x07,
    0x00, 0x20, 0x00, 0x20, 0x01, 0x6a, 0x0b, 0x18, 0x01, 0x01, 0x7f, 0x03, 0x40, 0x20, 0x01, 0x10, 0x00, 0x21,
    0x01, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x20, 0x01, 0x0b};
enum { rounds = 7, instances = 20000 };

static wasm_engine_t* engine;
static wasmtime_instance_pre_t* prepared;

static wasm_trap_t* host(void* env, wasmtime_caller_t* caller, const wasmtime_val_t* args, size_t n,
                         wasmtime_val_t* results, size_t m) {
  (void)env, (void)caller, (void)n, (void)m;
  results[0] = args[0];
  return NULL;
}

static void* work(void* unused) {
  for (int i = 0; i < instances; ++i) {
    wasmtime_store_t* const store = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_context_t* const context = wasmtime_store_context(store);
    wasmtime_instance_t instance;
    wasm_trap_t* trap = NULL;
    wasmtime_extern_t add;
    wasmtime_val_t args[2] = {{0, {.i32 = 1}}, {0, {.i32 = 2}}}, result[1];
    if (wasmtime_instance_pre_instantiate(prepared, context, &instance, &trap) != NULL || trap != NULL ||
        !wasmtime_instance_export_get(context, &instance, "add", 3, &add) ||
        wasmtime_func_call(context, &add.of.func, args, 2, result, 1, &trap) != NULL || result[0].of.i32 != 3) {
      abort();
    }
    wasmtime_store_delete(store);
  }
  return unused;
}

static double now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int argc, char** argv) {
  wasm_config_t* const config = wasm_config_new();
  if (argc > 1 && strcmp(argv[1], "pool") == 0) {
    wasmtime_pooling_allocation_config_t* const pool = wasmtime_pooling_allocation_config_new();
    wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pool, 256 << 10);
    wasmtime_pooling_allocation_strategy_set(config, pool);
  }
  engine = wasm_engine_new_with_config(config);
  wasmtime_module_t* module = NULL;
  if (wasmtime_module_new(engine, image, sizeof image, &module) != NULL) abort();
  wasmtime_linker_t* const linker = wasmtime_linker_new(engine);
  wasm_functype_t* const type = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
  if (wasmtime_linker_define_func(linker, "", 0, "host", 4, type, host, NULL, NULL) != NULL) abort();
  if (wasmtime_linker_instantiate_pre(linker, module, &prepared) != NULL) abort();
  for (int threads = 1; threads <= 2; ++threads) {
    double least = 1e300, least_processor = 1e300;
    for (int round = 0; round < rounds; ++round) {
      pthread_t ids[2];
      const double begin = now(CLOCK_MONOTONIC), processor = now(CLOCK_PROCESS_CPUTIME_ID);
      for (int i = 0; i < threads; ++i) pthread_create(&ids[i], NULL, work, NULL);
      for (int i = 0; i < threads; ++i) pthread_join(ids[i], NULL);
      const double time = now(CLOCK_MONOTONIC) - begin, used = now(CLOCK_PROCESS_CPUTIME_ID) - processor;
      if (time < least) least = time;
      if (used < least_processor) least_processor = used;
    }
    const double each = instances * threads;
    printf("%d thread%s  %7.2f us of processor time an instance, %7.2f us by the clock\n", threads,
           threads == 1 ? " " : "s", least_processor / each / 1e3, least / each / 1e3);
  }
  return 0;
}
