// Threads for guests: see threads.h.
#include "threads.h"

#ifdef __wasm__

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#define STACK_BYTES ((size_t)128 << 10)

__attribute__((import_module("wasi"), import_name("thread-spawn"))) int wasi_thread_spawn(void* thread);

struct thread {
  void* stack_top;  // first: the entry below reads it
  void* (*run)(void*);
  void* argument;
  void* result;
  _Atomic int done;
};

// The engine calls this. It has no stack in memory until it has set one, and none any more once `done` is set, because
// whoever joins frees it.
__asm__(
    ".globaltype __stack_pointer, i32\n"
    ".functype thread_body (i32) -> (i32)\n"
    ".globl wasi_thread_start\n"
    ".export_name wasi_thread_start, wasi_thread_start\n"
    ".type wasi_thread_start,@function\n"
    "wasi_thread_start:\n"
    "  .functype wasi_thread_start (i32, i32) -> ()\n"
    "  local.get 1\n"
    "  i32.load 0\n"
    "  global.set __stack_pointer\n"
    "  local.get 1\n"
    "  call thread_body\n"
    "  local.tee 0\n"
    "  i32.const 1\n"
    "  i32.atomic.store 0\n"
    "  local.get 0\n"
    "  i32.const -1\n"
    "  memory.atomic.notify 0\n"
    "  drop\n"
    "  end_function\n");

// The linker makes every export of a command begin with constructors and end with destructors, the entry of threads too, unless
// the program calls the constructors itself. The destructors flush streams, which a thread would do while another one prints.
void __wasm_call_ctors(void);
void threads_begin(void) { __wasm_call_ctors(); }

__attribute__((used)) _Atomic int* thread_body(thread* t) {
  t->result = t->run(t->argument);
  return &t->done;
}

static void wait_while(_Atomic int* cell, int value) { __builtin_wasm_memory_atomic_wait32((int*)cell, value, -1); }
static void wake(_Atomic int* cell, unsigned count) { __builtin_wasm_memory_atomic_notify((int*)cell, count); }

void mutex_lock(mutex* m) {
  int seen = 0;
  if (atomic_compare_exchange_strong(&m->state, &seen, 1)) return;
  if (seen != 2) seen = atomic_exchange(&m->state, 2);
  while (seen != 0) {
    wait_while(&m->state, 2);
    seen = atomic_exchange(&m->state, 2);
  }
}

void mutex_unlock(mutex* m) {
  if (atomic_exchange(&m->state, 0) == 2) wake(&m->state, 1);
}

void condition_wait(condition* c, mutex* m) {
  const int seen = atomic_load(&c->signals);
  mutex_unlock(m);
  wait_while(&c->signals, seen);
  mutex_lock(m);
}

void condition_signal(condition* c) {
  atomic_fetch_add(&c->signals, 1);
  wake(&c->signals, 1);
}

void condition_broadcast(condition* c) {
  atomic_fetch_add(&c->signals, 1);
  wake(&c->signals, UINT32_MAX);
}

static mutex heap = MUTEX_INIT;

void* shared_malloc(size_t size) {
  mutex_lock(&heap);
  void* p = malloc(size);
  mutex_unlock(&heap);
  return p;
}

void shared_free(void* p) {
  mutex_lock(&heap);
  free(p);
  mutex_unlock(&heap);
}

thread* thread_start(void* (*run)(void*), void* argument) {
  char* block = shared_malloc(STACK_BYTES + sizeof(thread));
  if (block == NULL) return NULL;
  thread* t = (thread*)(block + STACK_BYTES);
  t->stack_top = (void*)((uintptr_t)t & ~(uintptr_t)15);
  t->run = run;
  t->argument = argument;
  t->result = NULL;
  atomic_store(&t->done, 0);
  if (wasi_thread_spawn(t) > 0) return t;
  shared_free(block);
  return NULL;
}

void* thread_join(thread* t) {
  while (!atomic_load(&t->done)) wait_while(&t->done, 0);
  void* result = t->result;
  shared_free((char*)t - STACK_BYTES);
  return result;
}

#endif
