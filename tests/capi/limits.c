// Limits of stores, deadlines, interrupts.
#include <pthread.h>
#include <time.h>

#include "more.h"

static wasm_trap_t* echo(void* env, vmrun_caller_t* caller, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  (void)env, (void)caller;
  for (size_t i = 0; i < results->size; ++i) wasm_val_copy(&results->data[i], &args->data[i]);
  return NULL;
}

/// Fuel, in an engine of its own.
static void check_fuel(void) {
  wasm_config_t* const config = wasm_config_new();
  vmrun_config_set_fuel(config, true);
  world_t world;
  world.engine = wasm_engine_new_with_config(config);
  world.store = wasm_store_new(world.engine);
  CHECK(vmrun_store_fuel(world.store) == 0);
  CHECK(vmrun_store_set_fuel(world.store, 1000) == NULL && vmrun_store_fuel(world.store) == 1000);
  const more_t more = new_more(world, echo, echo, NULL);
  wasm_func_t* const spin = get_func(more.instance, "spin");
  const wasm_val_vec_t none = WASM_EMPTY_VEC;
  wasm_val_vec_t no_results = WASM_EMPTY_VEC;
  wasm_trap_t* const trap = wasm_func_call(spin, &none, &no_results);
  NEED(trap != NULL);
  CHECK(vmrun_trap_code(trap) == VMRUN_TRAP_OUT_OF_FUEL);
  CHECK(vmrun_store_fuel(world.store) < 10);
  wasm_trap_delete(trap);
  wasm_func_delete(spin);
  end_more(more);
  end_world(world);
}

/// Processor time, beyond which every call traps until the limit is higher.
static void check_cpu_time(void) {
  const world_t world = new_world();
  const more_t more = new_more(world, echo, echo, NULL);
  CHECK(vmrun_store_cpu_time(world.store) == 0);
  CHECK(vmrun_store_set_cpu_time_limit(world.store, 20 * 1000 * 1000));
  wasm_func_t* const spin = get_func(more.instance, "spin");
  const wasm_val_vec_t none = WASM_EMPTY_VEC;
  wasm_val_vec_t no_results = WASM_EMPTY_VEC;
  for (int i = 0; i < 2; ++i) {
    wasm_trap_t* const trap = wasm_func_call(spin, &none, &no_results);
    NEED(trap != NULL);
    CHECK(vmrun_trap_code(trap) == VMRUN_TRAP_INTERRUPTED);
    CHECK(says(trap, "the processor time of the store is used up"));
    CHECK(vmrun_store_cpu_time(world.store) >= 20 * 1000 * 1000);
  }
  CHECK(vmrun_store_set_cpu_time_limit(world.store, UINT64_MAX));
  wasm_func_t* const grow = get_func(more.instance, "grow");
  wasm_val_t in[1] = {WASM_I64_VAL(0)}, out[1] = {WASM_INIT_VAL};
  const wasm_val_vec_t args = WASM_ARRAY_VEC(in);
  wasm_val_vec_t results = WASM_ARRAY_VEC(out);
  CHECK(wasm_func_call(grow, &args, &results) == NULL);
  wasm_func_delete(grow);
  wasm_func_delete(spin);
  end_more(more);
  end_world(world);
}

static void* interrupt(void* store) {
  const struct timespec moment = {0, 20 * 1000 * 1000};
  nanosleep(&moment, NULL);
  vmrun_store_interrupt(store);
  return NULL;
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/// Works for 50 ms.
static wasm_trap_t* work(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  (void)args, (void)results;
  for (const uint64_t end = now() + 50 * 1000 * 1000; now() < end;) {
  }
  return NULL;
}

static wasm_func_t* worker;
static wasm_trap_t* call_within(void* env, vmrun_caller_t* caller, const wasm_val_vec_t* args,
                                wasm_val_vec_t* results) {
  (void)env, (void)caller;
  const wasm_val_vec_t none = WASM_EMPTY_VEC;
  wasm_val_vec_t no_results = WASM_EMPTY_VEC;
  wasm_trap_delete(vmrun_func_call_within(worker, 1000 * 1000, &none, &no_results));
  wasm_val_copy(&results->data[0], &args->data[0]);
  return NULL;
}

/// The end of an inner time does not end the outer one, which passed meanwhile.
static void check_nested(void) {
  const world_t world = new_world();
  wasm_functype_t* const type = wasm_functype_new_0_0();
  worker = wasm_func_new(world.store, type, work);
  wasm_functype_delete(type);
  const more_t more = new_more(world, call_within, call_within, NULL);
  wasm_func_t* const wait = get_func(more.instance, "wait");
  wasm_val_t in[1] = {WASM_I32_VAL(7)}, out[1] = {WASM_INIT_VAL};
  const wasm_val_vec_t args = WASM_ARRAY_VEC(in);
  wasm_val_vec_t results = WASM_ARRAY_VEC(out);
  CHECK(vmrun_func_call_within(wait, UINT64_MAX, &args, &results) == NULL && out[0].of.i32 == 7);
  wasm_trap_t* const trap = vmrun_func_call_within(wait, 10 * 1000 * 1000, &args, &results);
  CHECK(trap != NULL && vmrun_trap_code(trap) == VMRUN_TRAP_INTERRUPTED);
  wasm_trap_delete(trap);
  CHECK(wasm_func_call(wait, &args, &results) == NULL);
  wasm_func_delete(wait);
  wasm_func_delete(worker);
  end_more(more);
  end_world(world);
}

void test_limits(void) {
  check_nested();
  check_fuel();
  check_cpu_time();
  world_t world;
  world.engine = wasm_engine_new();
  vmrun_limits_t limits;
  vmrun_limits_init(&limits);
  CHECK(limits.memory_bytes == UINT64_MAX && limits.host_depth > 0);
  limits.memory_bytes = 2 * MEMORY_PAGE_SIZE;
  world.store = vmrun_store_new(world.engine, &limits);
  int data = 0;
  vmrun_store_set_data(world.store, &data);
  vmrun_error_t* const no_fuel = vmrun_store_set_fuel(world.store, 5);
  NEED(no_fuel != NULL);
  CHECK(vmrun_error_kind(no_fuel) == VMRUN_ERROR_USAGE && vmrun_store_fuel(world.store) == 0);
  vmrun_error_delete(no_fuel);
  CHECK(vmrun_store_data(world.store) == &data);
  const more_t more = new_more(world, echo, echo, NULL);

  // A page is there; the store holds two; the type has four.
  wasm_func_t* const grow = get_func(more.instance, "grow");
  wasm_val_t in[1] = {WASM_I64_VAL(2)}, out[1] = {WASM_INIT_VAL};
  const wasm_val_vec_t args = WASM_ARRAY_VEC(in), none = WASM_EMPTY_VEC;
  wasm_val_vec_t results = WASM_ARRAY_VEC(out), no_results = WASM_EMPTY_VEC;
  CHECK(wasm_func_call(grow, &args, &results) == NULL && out[0].of.i64 == -1);
  in[0].of.i64 = 1;
  CHECK(wasm_func_call(grow, &args, &results) == NULL && out[0].of.i64 == 1);
  wasm_memory_t* const memory = get_memory(more.instance, "memory");
  CHECK(!vmrun_memory_grow(memory, 1) && vmrun_memory_size(memory) == 2);
  CHECK(vmrun_store_memory_bytes(world.store) == 2 * MEMORY_PAGE_SIZE);
  CHECK(vmrun_store_peak_memory_bytes(world.store) == 2 * MEMORY_PAGE_SIZE);
  wasm_memorytype_t* const type = wasm_memory_type(memory);
  vmrun_limits64_t asked;
  vmrun_memorytype_limits(type, &asked);
  CHECK(asked.is64 && asked.min == 2 && asked.has_max && asked.max == 4 && asked.page_log2 == 16 && !asked.shared);
  wasm_memorytype_delete(type);
  wasm_memory_delete(memory);

  // A deadline ends a loop, and nothing of it is left.
  wasm_func_t* const spin = get_func(more.instance, "spin");
  wasm_trap_t* trap = vmrun_func_call_within(spin, 20 * 1000 * 1000, &none, &no_results);
  NEED(trap != NULL);
  CHECK(vmrun_trap_code(trap) == VMRUN_TRAP_INTERRUPTED);
  wasm_trap_delete(trap);
  in[0].of.i64 = 0;
  CHECK(vmrun_func_call_within(grow, UINT64_MAX, &args, &results) == NULL && out[0].of.i64 == 2);
  // One that is over at once, too: this call may be through before the deadline is noticed, the next is its own.
  trap = vmrun_func_call_within(grow, 0, &args, &results);
  wasm_trap_delete(trap);
  CHECK(wasm_func_call(grow, &args, &results) == NULL && out[0].of.i64 == 2);

  // An interrupt from another thread.
  pthread_t other;
  NEED(pthread_create(&other, NULL, interrupt, world.store) == 0);
  trap = wasm_func_call(spin, &none, &no_results);
  pthread_join(other, NULL);
  NEED(trap != NULL);
  CHECK(vmrun_trap_code(trap) == VMRUN_TRAP_INTERRUPTED);
  wasm_trap_delete(trap);
  vmrun_store_interrupt(world.store);
  vmrun_store_clear_interrupt(world.store);
  CHECK(wasm_func_call(grow, &args, &results) == NULL);

  wasm_func_delete(spin);
  wasm_func_delete(grow);
  end_more(more);
  end_world(world);
}
