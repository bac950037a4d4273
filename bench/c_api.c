/* What crossings cost through the standard C API: one program for any library that has it (bench/c_api builds it for each).
   The module is
     (module (import "" "host" (func $host (param i32) (result i32)))
       (memory (export "memory") 1)
       (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
       (func (export "many") (param i32) (result i32) (local i32)
         (loop $on (local.set 1 (call $host (local.get 1)))
                   (br_if $on (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 1))) */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "wasm.h"

static const byte_t image[] = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x0c, 0x02, 0x60, 0x01, 0x7f, 0x01,
                               0x7f, 0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7f, 0x02, 0x09, 0x01, 0x00, 0x04, 0x68, 0x6f, 0x73,
                               0x74, 0x00, 0x00, 0x03, 0x03, 0x02, 0x01, 0x00, 0x05, 0x03, 0x01, 0x00, 0x01, 0x07, 0x17,
                               0x03, 0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 0x02, 0x00, 0x03, 0x61, 0x64, 0x64, 0x00,
                               0x01, 0x04, 0x6d, 0x61, 0x6e, 0x79, 0x00, 0x02, 0x0a, 0x22, 0x02, 0x07, 0x00, 0x20, 0x00,
                               0x20, 0x01, 0x6a, 0x0b, 0x18, 0x01, 0x01, 0x7f, 0x03, 0x40, 0x20, 0x01, 0x10, 0x00, 0x21,
                               0x01, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x20, 0x01, 0x0b};

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static wasm_trap_t* host(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  results->data[0].kind = WASM_I32;
  results->data[0].of.i32 = args->data[0].of.i32 + 1;
  return NULL;
}

typedef struct guest_t {
  wasm_store_t* store;
  wasm_module_t* module;
  wasm_func_t* host;
  wasm_instance_t* instance;
  wasm_extern_vec_t exports; /* memory, add, many */
} guest_t;

static guest_t start(wasm_engine_t* engine, const wasm_shared_module_t* shared) {
  guest_t guest;
  guest.store = wasm_store_new(engine);
  guest.module = wasm_module_obtain(guest.store, shared);
  wasm_functype_t* const type = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
  guest.host = wasm_func_new(guest.store, type, host);
  wasm_functype_delete(type);
  wasm_extern_t* items[] = {wasm_func_as_extern(guest.host)};
  const wasm_extern_vec_t imports = WASM_ARRAY_VEC(items);
  wasm_trap_t* trap = NULL;
  guest.instance = wasm_instance_new(guest.store, guest.module, &imports, &trap);
  if (guest.instance == NULL) abort();
  wasm_instance_exports(guest.instance, &guest.exports);
  return guest;
}

static void end(guest_t* guest) {
  wasm_extern_vec_delete(&guest->exports);
  wasm_instance_delete(guest->instance);
  wasm_func_delete(guest->host);
  wasm_module_delete(guest->module);
  wasm_store_delete(guest->store);
}

static int32_t call(const guest_t* guest, size_t which, size_t count, int32_t a, int32_t b) {
  wasm_val_t in[2] = {WASM_I32_VAL(a), WASM_I32_VAL(b)}, out[1] = {WASM_INIT_VAL};
  const wasm_val_vec_t args = {count, in};
  wasm_val_vec_t results = WASM_ARRAY_VEC(out);
  if (wasm_func_call(wasm_extern_as_func(guest->exports.data[which]), &args, &results) != NULL) abort();
  return out[0].of.i32;
}

/* The best of several rounds, in nanoseconds for one of `n`. */
enum { rounds = 7 };
static double best(double (*round)(void*, int), void* env, int n) {
  double least = 1e300;
  for (int i = 0; i < rounds; ++i) {
    const double time = round(env, n) / n;
    if (time < least) least = time;
  }
  return least;
}

static double calls(void* env, int n) {
  const double begin = now();
  int32_t sum = 0;
  for (int i = 0; i < n; ++i) sum = call(env, 1, 2, sum, i);
  return now() - begin;
}

static double callbacks(void* env, int n) {
  const double begin = now();
  if (call(env, 2, 1, n, 0) != n) abort();
  return now() - begin;
}

typedef struct starts_t {
  wasm_engine_t* engine;
  const wasm_shared_module_t* shared;
} starts_t;

static double starts(void* env, int n) {
  const starts_t* const with = env;
  const double begin = now();
  for (int i = 0; i < n; ++i) {
    guest_t guest = start(with->engine, with->shared);
    if (call(&guest, 1, 2, 20, 22) != 42) abort();
    end(&guest);
  }
  return now() - begin;
}

int main(void) {
  wasm_engine_t* const engine = wasm_engine_new();
  wasm_store_t* const store = wasm_store_new(engine);
  wasm_byte_vec_t bytes;
  wasm_byte_vec_new(&bytes, sizeof image, image);
  wasm_module_t* const module = wasm_module_new(store, &bytes);
  if (module == NULL) abort();
  wasm_shared_module_t* const shared = wasm_module_share(module);

  guest_t guest = start(engine, shared);
  printf("host to guest        %8.1f ns\n", best(calls, &guest, 300000));
  printf("guest to host        %8.1f ns\n", best(callbacks, &guest, 300000));
  starts_t with = {engine, shared};
  printf("start, call and end  %8.1f us\n", best(starts, &with, 2000) / 1e3);

  end(&guest);
  wasm_shared_module_delete(shared);
  wasm_module_delete(module);
  wasm_byte_vec_delete(&bytes);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
