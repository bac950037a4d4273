// Threads for guests whose C library has none: wasi-threads on memory.atomic.wait and notify. The same names stand for
// POSIX threads where a program is compiled for the machine itself.
//
// The library's functions are for one thread at a time: allocate by shared_malloc and shared_free, print from one thread,
// and leave errno alone. Begin main with threads_begin() and end it by exit(): without it the end of
// each thread flushes streams, and with it a return from main flushes nothing.
#pragma once

#include <stddef.h>

#ifdef __wasm__

typedef struct thread thread;
typedef struct {
  _Atomic int state;  // 0: free, 1: held, 2: held and waited for
} mutex;
typedef struct {
  _Atomic int signals;
} condition;
#define MUTEX_INIT {0}
#define CONDITION_INIT {0}

void threads_begin(void);
/// Null where the engine starts no more.
thread* thread_start(void* (*run)(void*), void* argument);
/// What `run` returned. The handle is gone then.
void* thread_join(thread* t);
void mutex_lock(mutex* m);
void mutex_unlock(mutex* m);
/// May return without a signal.
void condition_wait(condition* c, mutex* m);
void condition_signal(condition* c);
void condition_broadcast(condition* c);
void* shared_malloc(size_t size);
void shared_free(void* p);

#else

#include <pthread.h>
#include <stdlib.h>

typedef pthread_t thread;
typedef pthread_mutex_t mutex;
typedef pthread_cond_t condition;
#define MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
#define CONDITION_INIT PTHREAD_COND_INITIALIZER

static inline void threads_begin(void) {}
static inline thread* thread_start(void* (*run)(void*), void* argument) {
  thread* t = malloc(sizeof *t);
  if (t != NULL && pthread_create(t, NULL, run, argument) != 0) {
    free(t);
    t = NULL;
  }
  return t;
}
static inline void* thread_join(thread* t) {
  void* result = NULL;
  pthread_join(*t, &result);
  free(t);
  return result;
}
static inline void mutex_lock(mutex* m) { pthread_mutex_lock(m); }
static inline void mutex_unlock(mutex* m) { pthread_mutex_unlock(m); }
static inline void condition_wait(condition* c, mutex* m) { pthread_cond_wait(c, m); }
static inline void condition_signal(condition* c) { pthread_cond_signal(c); }
static inline void condition_broadcast(condition* c) { pthread_cond_broadcast(c); }
static inline void* shared_malloc(size_t size) { return malloc(size); }
static inline void shared_free(void* p) { free(p); }

#endif
