// Memories and stacks by the embedder, in C.
#include "common.h"

#define PAGES ((size_t)4 * MEMORY_PAGE_SIZE)

typedef struct host_t {
  int created, grown, released, finished;
  int refuse;
  bool tasks_ran;
} host_t;

static bool create(void* env, const vmrun_memory_request_t* wanted, vmrun_host_memory_t* out) {
  host_t* const host = env;
  if (host->refuse == 1) return false;
  if (host->refuse == 2) return true;  // and sets nothing
  CHECK(wanted->bytes == MEMORY_PAGE_SIZE && wanted->max_bytes == PAGES && wanted->reservation == 0 && !wanted->shared);
  out->base = aligned_alloc(4096, PAGES);
  memset(out->base, 0, PAGES);
  out->capacity = PAGES;
  out->handle = out->base;
  ++host->created;
  return true;
}
static bool grow(void* env, const vmrun_host_memory_t* memory, uint64_t from, uint64_t to) {
  host_t* const host = env;
  CHECK(memory->base == memory->handle && memory->capacity == PAGES && from < to && to <= PAGES);
  ++host->grown;
  return to < PAGES;
}
static void release_memory(void* env, const vmrun_host_memory_t* memory) {
  host_t* const host = env;
  ++host->released;
  free(memory->handle);
}
static bool allocate(void* env, size_t bytes, vmrun_host_stack_t* out) {
  host_t* const host = env;
  if (host->refuse != 0) return false;
  out->low = aligned_alloc(4096, bytes);
  out->size = bytes;
  ++host->created;
  return true;
}
static void release_stack(void* env, const vmrun_host_stack_t* stack) {
  host_t* const host = env;
  ++host->released;
  free(stack->low);
}
static void finish(void* env) {
  host_t* const host = env;
  CHECK(host->created == host->released);
  ++host->finished;
}

/// An instance of engine_basic, whose imports are not called; NULL, and *trap is why.
static wasm_instance_t* basic(wasm_store_t* store, wasm_trap_t** trap) {
  wasm_module_t* const module = load(store, "engine_basic");
  vmrun_linker_t* const linker = vmrun_linker_new(store);
  vmrun_linker_unknown_imports_trap(linker, true);
  wasm_instance_t* instance = NULL;
  *trap = vmrun_linker_instantiate(linker, module, &instance);
  vmrun_linker_delete(linker);
  wasm_module_delete(module);
  return instance;
}

static void check_memories(vmrun_tiers_t tiers) {
  host_t host = {0};
  const vmrun_memory_hooks_t hooks = {&host, create, grow, release_memory, finish, false};
  wasm_config_t* const config = wasm_config_new();
  vmrun_config_set_tiers(config, tiers);
  vmrun_config_set_memory_hooks(config, &hooks);
  wasm_engine_t* const engine = wasm_engine_new_with_config(config);
  wasm_store_t* const store = wasm_store_new(engine);
  wasm_trap_t* trap = NULL;
  for (host.refuse = 1; host.refuse <= 2; ++host.refuse) {
    CHECK(basic(store, &trap) == NULL);
    NEED(trap != NULL);
    CHECK(vmrun_trap_kind(trap) == VMRUN_ERROR_HOST);
    wasm_trap_delete(trap);
  }
  host.refuse = 0;
  host.released = 0;  // what the second of these set was released
  wasm_instance_t* const instance = basic(store, &trap);
  NEED(instance != NULL);
  wasm_func_t* const at = get_func(instance, "load");
  wasm_func_t* const more = get_func(instance, "grow");
  wasm_memory_t* const memory = get_memory(instance, "memory");
  const int32_t last = MEMORY_PAGE_SIZE - 4, beyond = MEMORY_PAGE_SIZE, three = 3, two = 2;
  CHECK(call_i32(at, 1, &last) == 0 && traps(at, 1, &beyond));
  CHECK(call_i32(more, 1, &two) == 1 && call_i32(at, 1, &beyond) == 0);
  CHECK(call_i32(more, 1, &three) == -1 && host.grown == 1);
  CHECK(!wasm_memory_grow(memory, 1) && host.grown == 2);
  CHECK(wasm_memory_data_size(memory) == (size_t)3 * MEMORY_PAGE_SIZE);
  // All handles but one go before the memory, in an odd order.
  wasm_engine_delete(engine);
  wasm_store_delete(store);
  wasm_func_delete(at);
  wasm_instance_delete(instance);
  wasm_func_delete(more);
  CHECK(host.released == 0 && host.finished == 0);
  wasm_memory_data(memory)[8] = 'j';
  wasm_memory_delete(memory);
  CHECK(host.created == 1 && host.released == 1 && host.finished == 1);
}

static void run(void* env) { ((host_t*)env)->tasks_ran = true; }

static void check_stacks(void) {
  host_t host = {0};
  const vmrun_stack_hooks_t hooks = {&host, allocate, release_stack, finish};
  vmrun_executor_t* const executor = vmrun_executor_new_with_stacks(1, 128 * 1024, &hooks);
  NEED(executor != NULL);
  host.refuse = 1;
  vmrun_task_t* task = NULL;
  CHECK(vmrun_executor_spawn(executor, NULL, run, &host, NULL, &task) == NULL);
  CHECK(vmrun_task_join(task) && vmrun_task_failed(task) && !host.tasks_ran);
  vmrun_task_delete(task);
  host.refuse = 0;
  CHECK(vmrun_executor_spawn(executor, NULL, run, &host, NULL, &task) == NULL);
  CHECK(vmrun_task_join(task) && !vmrun_task_failed(task) && host.tasks_ran);
  vmrun_task_delete(task);
  vmrun_executor_delete(executor);
  CHECK(host.created == 1 && host.finished == 1);
  // Hooks of an executor that cannot be made.
  const vmrun_stack_hooks_t empty = {&host, NULL, NULL, finish};
  CHECK(vmrun_executor_new_with_stacks(1, 0, &empty) == NULL && host.finished == 2);
  CHECK(vmrun_executor_new_with_stacks(1, 1024, &hooks) == NULL && host.finished == 3);
}

void test_hooks(void) {
  check_memories(VMRUN_TIERS_INTERP);
  check_memories(VMRUN_TIERS_BASELINE);
  check_memories(VMRUN_TIERS_OPT);
  check_stacks();
  // A configuration that no engine is made of, and hooks that others replace, in passing.
  host_t host = {0};
  const vmrun_memory_hooks_t hooks = {&host, create, grow, release_memory, finish, false};
  wasm_config_t* const config = wasm_config_new();
  vmrun_config_set_memory_hooks(config, &hooks);
  vmrun_config_set_memory_hooks(config, &hooks);
  CHECK(host.finished == 1);
  vmrun_config_set_memory_hooks(config, NULL);
  CHECK(host.finished == 2);
  vmrun_config_set_guard_pages(config, false);
  wasm_engine_t* const engine = wasm_engine_new_with_config(config);
  wasm_store_t* const store = wasm_store_new(engine);
  wasm_trap_t* trap = NULL;
  wasm_instance_t* const instance = basic(store, &trap);
  NEED(instance != NULL);
  wasm_func_t* const at = get_func(instance, "load");
  const int32_t beyond = MEMORY_PAGE_SIZE;
  CHECK(traps(at, 1, &beyond));
  wasm_func_delete(at);
  wasm_instance_delete(instance);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
}
