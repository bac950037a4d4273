// What the documents' blocks of C talk about.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmrun/c.h"
#include "wasm.h"

#define CONTEXT                                                                                                    \
  wasm_engine_t *engine, wasm_store_t *store, wasm_module_t *module, wasm_instance_t *instance, wasm_func_t *func, \
      void (*run)(void*), void *env
#define USE_CONTEXT (void)engine, (void)store, (void)module, (void)instance, (void)func, (void)run, (void)env
