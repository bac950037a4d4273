// Guests as tasks: callbacks that wait, an event loop of our own, deadlines.
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "more.h"

enum { calls = 20 };

typedef struct call_t {
  more_t more;
  vmrun_event_t* ready;  // what its callback waits for
  wasm_func_t* func;
  int32_t result;
  bool trapped;
  vmrun_trap_code_t code;
} call_t;

static wasm_trap_t* none_thrown(void* env, vmrun_caller_t* caller, const wasm_val_vec_t* args,
                                wasm_val_vec_t* results) {
  (void)env, (void)caller, (void)args, (void)results;
  return NULL;
}

static wasm_trap_t* wait_for_it(void* env, vmrun_caller_t* caller, const wasm_val_vec_t* args,
                                wasm_val_vec_t* results) {
  call_t* const call = env;
  CHECK(vmrun_in_task());
  vmrun_yield();
  if (!vmrun_event_wait(call->ready, UINT64_MAX)) {
    return vmrun_trap_new_code(vmrun_caller_store(caller), VMRUN_TRAP_INTERRUPTED);
  }
  vmrun_sleep(1000 * 1000);
  results->data[0].kind = WASM_I32;
  results->data[0].of.i32 = 2 * args->data[0].of.i32;
  return NULL;
}

static void run(void* env) {
  call_t* const call = env;
  wasm_val_t in[1] = {WASM_I32_VAL(21)}, out[1] = {WASM_INIT_VAL};
  const wasm_val_vec_t args = WASM_ARRAY_VEC(in);
  wasm_val_vec_t results = WASM_ARRAY_VEC(out);
  wasm_trap_t* const trap = wasm_func_call(call->func, &args, &results);
  call->trapped = trap != NULL;
  if (trap != NULL) call->code = vmrun_trap_code(trap);
  wasm_trap_delete(trap);
  call->result = out[0].of.i32;
}

static void run_pipe(void* env) {
  const int* const ends = env;
  vmrun_error_t* error = vmrun_wait_fd(ends[0], false, 1000 * 1000);
  CHECK(error != NULL && vmrun_error_kind(error) == VMRUN_ERROR_LIMIT);
  vmrun_error_delete(error);
  CHECK(write(ends[1], "x", 1) == 1);
  error = vmrun_wait_fd(ends[0], false, UINT64_MAX);
  CHECK(error == NULL);
}

static int ended;
static pthread_mutex_t ended_lock = PTHREAD_MUTEX_INITIALIZER;
static void count_end(void* env) {
  (void)env;
  pthread_mutex_lock(&ended_lock);
  ++ended;
  pthread_mutex_unlock(&ended_lock);
}

/// What a task deletes that was started with it.
typedef struct own_t {
  wasm_store_t* store;
  wasm_func_t* func;
  int finalized;
} own_t;

static void note_end(void* env) {
  own_t* const own = env;
  ++own->finalized;
}

static void delete_all(void* env) {
  own_t* const own = env;
  wasm_func_delete(own->func);
  wasm_store_delete(own->store);
  CHECK(own->finalized == 0);  // the task keeps the store
}

typedef struct self_t {
  vmrun_event_t* known;
  vmrun_task_t* task;
  bool joined;
} self_t;

static void join_self(void* env) {
  self_t* const self = env;
  vmrun_event_wait(self->known, UINT64_MAX);
  self->joined = vmrun_task_join(self->task);
}

static void check_own_ends(wasm_engine_t* engine) {
  vmrun_executor_t* const executor = vmrun_executor_new(1, 0);
  NEED(executor != NULL);
  own_t own = {wasm_store_new(engine), NULL, 0};
  wasm_functype_t* const type = wasm_functype_new_0_0();
  own.func = vmrun_func_new(own.store, type, none_thrown, &own, note_end);
  wasm_functype_delete(type);
  NEED(vmrun_executor_spawn(executor, own.store, delete_all, &own, NULL, NULL) == NULL);
  vmrun_executor_wait_idle(executor);
  CHECK(own.finalized == 1);

  self_t self = {vmrun_event_new(), NULL, true};
  wasm_store_t* const store = wasm_store_new(engine);
  NEED(vmrun_executor_spawn(executor, store, join_self, &self, NULL, &self.task) == NULL);
  // The store is that task's.
  vmrun_error_t* error = vmrun_executor_spawn(executor, store, join_self, &self, NULL, NULL);
  CHECK(error != NULL && vmrun_error_kind(error) == VMRUN_ERROR_USAGE);
  vmrun_error_delete(error);
  vmrun_event_set(self.known);
  CHECK(vmrun_task_join(self.task) && !self.joined);
  vmrun_task_delete(self.task);
  // It is free again.
  vmrun_event_reset(self.known);
  NEED(vmrun_executor_spawn(executor, store, join_self, &self, NULL, &self.task) == NULL);
  vmrun_event_set(self.known);
  CHECK(vmrun_task_join(self.task));
  vmrun_task_delete(self.task);
  error = vmrun_executor_spawn(executor, NULL, NULL, NULL, NULL, NULL);
  CHECK(error != NULL && vmrun_error_kind(error) == VMRUN_ERROR_USAGE);
  vmrun_error_delete(error);
  vmrun_executor_delete(executor);
  wasm_store_delete(store);
  vmrun_event_delete(self.known);
}

static wasm_func_t* recursive;
static int depth;
static wasm_trap_t* recurse(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  char pad[2048];
  memset(pad, ++depth, sizeof pad);
  wasm_trap_t* const trap = wasm_func_call(recursive, args, results);
  return pad[depth % 2048] != 0 ? trap : NULL;
}

static void recurse_in_task(void* env) {
  bool* const trapped = env;
  const wasm_val_vec_t none = WASM_EMPTY_VEC;
  wasm_val_vec_t no_results = WASM_EMPTY_VEC;
  wasm_trap_t* const trap = wasm_func_call(recursive, &none, &no_results);
  *trapped = trap != NULL && vmrun_trap_code(trap) == VMRUN_TRAP_STACK_OVERFLOW;
  wasm_trap_delete(trap);
}

/// A callback that calls itself by the API, with no guest between, ends before its small stack does.
static void check_small_stack(wasm_engine_t* engine) {
  vmrun_executor_t* const executor = vmrun_executor_new(1, 192 << 10);
  NEED(executor != NULL);
  vmrun_limits_t limits;
  vmrun_limits_init(&limits);
  limits.host_depth = 100000;
  wasm_store_t* const store = vmrun_store_new(engine, &limits);
  wasm_functype_t* const type = wasm_functype_new_0_0();
  recursive = wasm_func_new(store, type, recurse);
  wasm_functype_delete(type);
  bool trapped = false;
  depth = 0;
  NEED(vmrun_executor_spawn(executor, store, recurse_in_task, &trapped, NULL, NULL) == NULL);
  vmrun_executor_delete(executor);
  CHECK(trapped && depth >= 5 && depth < 90);
  wasm_func_delete(recursive);
  wasm_store_delete(store);
}

void test_tasks(void) {
  wasm_engine_t* const engine = wasm_engine_new();
  vmrun_executor_t* const executor = vmrun_executor_new(2, 0);
  NEED(executor != NULL);
  CHECK(vmrun_executor_new(1, 1000) == NULL);  // no stack for a guest
  vmrun_completions_t* const completions = vmrun_completions_new();
  NEED(completions != NULL);
  CHECK(!vmrun_in_task());
  check_own_ends(engine);
  check_small_stack(engine);

  ended = 0;
  call_t all[calls];
  for (int i = 0; i < calls; ++i) {
    call_t* const call = &all[i];
    const world_t world = {engine, wasm_store_new(engine)};
    call->ready = vmrun_event_new();
    call->more = new_more(world, none_thrown, wait_for_it, call);
    call->func = get_func(call->more.instance, "wait");
    vmrun_task_options_t options;
    memset(&options, 0, sizeof options);
    options.name = "call";
    options.completions = completions;
    options.token = (uint64_t)i;
    options.on_end = count_end;
    options.timeout = UINT64_C(60) * 1000 * 1000 * 1000;
    NEED(vmrun_executor_spawn(executor, world.store, run, call, &options, NULL) == NULL);
  }

  // None ends before its event; then each tells the loop, which takes a few at a time.
  struct pollfd poll_for = {vmrun_completions_descriptor(completions), POLLIN, 0};
  CHECK(poll(&poll_for, 1, 20) == 0);
  for (int i = 0; i < calls; ++i) vmrun_event_set(all[i].ready);
  int got = 0;
  bool seen[calls] = {false};
  while (got < calls) {
    NEED(poll(&poll_for, 1, 30000) == 1);
    uint64_t tokens[3];
    const size_t taken = vmrun_completions_take(completions, tokens, 3);
    CHECK(taken > 0);
    for (size_t i = 0; i < taken; ++i) {
      CHECK(!seen[tokens[i]]);
      seen[tokens[i]] = true;
      CHECK(!all[tokens[i]].trapped && all[tokens[i]].result == 42);
    }
    got += (int)taken;
  }
  uint64_t more_tokens[1];
  CHECK(poll(&poll_for, 1, 0) == 0 && vmrun_completions_take(completions, more_tokens, 1) == 0);
  vmrun_executor_wait_idle(executor);
  CHECK(ended == calls);

  // One that is cancelled, and one whose time is up: each was waiting.
  vmrun_event_reset(all[0].ready);
  vmrun_event_reset(all[1].ready);
  vmrun_task_t *cancelled, *late;
  vmrun_task_options_t soon;
  memset(&soon, 0, sizeof soon);
  soon.timeout = 20 * 1000 * 1000;
  soon.priority = 1;
  NEED(vmrun_executor_spawn(executor, all[0].more.world.store, run, &all[0], NULL, &cancelled) == NULL);
  NEED(vmrun_executor_spawn(executor, all[1].more.world.store, run, &all[1], &soon, &late) == NULL);
  vmrun_task_cancel(cancelled);
  CHECK(vmrun_task_join(cancelled) && vmrun_task_done(cancelled) && vmrun_task_join(late));
  CHECK(all[0].trapped && all[0].code == VMRUN_TRAP_INTERRUPTED);
  CHECK(all[1].trapped && all[1].code == VMRUN_TRAP_INTERRUPTED);
  vmrun_task_delete(cancelled);
  vmrun_task_delete(late);

  // A descriptor, in a task that calls no guest.
  int ends[2];
  NEED(pipe(ends) == 0);
  NEED(vmrun_executor_spawn(executor, NULL, run_pipe, ends, NULL, NULL) == NULL);
  vmrun_executor_wait_idle(executor);
  close(ends[0]);
  close(ends[1]);
  CHECK(!vmrun_event_wait(all[0].ready, 1000));

  vmrun_executor_delete(executor);
  vmrun_completions_delete(completions);
  for (int i = 0; i < calls; ++i) {
    wasm_func_delete(all[i].func);
    end_more(all[i].more);
    wasm_store_delete(all[i].more.world.store);
    vmrun_event_delete(all[i].ready);
  }
  wasm_engine_delete(engine);
}
