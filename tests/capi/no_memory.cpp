// Exhausted memory: whatever allocation fails, a call that traps gives a trap, and a failure an error.
#include <cstdlib>
#include <new>

#include "common.h"

namespace {

/// Allocations until one fails; negative: none does.
thread_local long left = -1;

void* take(std::size_t size) {
  if (left >= 0 && left-- == 0) {
    left = 0;  // and all further ones
    return nullptr;
  }
  return std::malloc(size != 0 ? size : 1);
}

/// Calls `f` with the first allocation failing, then with the second, until none did.
template <class F>
void with_each_failing(F&& f) {
  bool failed = true;
  for (long n = 0; failed; ++n) {
    left = n;
    f();
    failed = left == 0;
    left = -1;
    CHECK(n < 1000);
    if (n >= 1000) return;
  }
}

}  // namespace

void* operator new(std::size_t size) {
  if (void* got = take(size)) return got;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return take(size); }
void operator delete(void* at) noexcept { std::free(at); }
void operator delete(void* at, std::size_t) noexcept { std::free(at); }

void test_no_memory(void) {
  const world_t world = new_world();
  wasm_module_t* const module = load(world.store, "capi_trap");
  wasm_functype_t* const type = wasm_functype_new_0_1(wasm_valtype_new_i32());
  auto fail = [](void* env, const wasm_val_vec_t*, wasm_val_vec_t*) {
    wasm_message_t message = {6, const_cast<char*>("failed")};
    return wasm_trap_new(static_cast<wasm_store_t*>(env), &message);
  };
  wasm_func_t* const host = wasm_func_new_with_env(world.store, type, fail, world.store, nullptr);
  wasm_functype_delete(type);
  wasm_extern_t* imports[] = {wasm_func_as_extern(host)};
  wasm_instance_t* const instance = instantiate(world.store, module, imports, 1);
  wasm_func_t *const divide = get_func(instance, "divide"), *const callback = get_func(instance, "callback");

  wasm_val_t in[2] = {WASM_I32_VAL(6), WASM_I32_VAL(0)}, out[1] = {WASM_INIT_VAL};
  const wasm_val_vec_t args = WASM_ARRAY_VEC(in), none = WASM_EMPTY_VEC;
  wasm_val_vec_t results = WASM_ARRAY_VEC(out);
  wasm_trap_t* spare = nullptr;
  auto is_trap = [&](wasm_trap_t* trap) {
    CHECK(trap != nullptr);
    if (trap != nullptr && vmrun_trap_kind(trap) == VMRUN_ERROR_LIMIT) spare = trap;
    wasm_trap_delete(trap);
  };
  with_each_failing([&] { is_trap(wasm_func_call(divide, &args, &results)); });
  with_each_failing([&] { is_trap(wasm_func_call(callback, &none, &results)); });
  with_each_failing([&] { is_trap(wasm_func_call(divide, &none, &results)); });  // too few arguments
  CHECK(spare != nullptr);
  if (spare != nullptr) {  // never deleted, and good for all that a trap is
    left = 0;
    wasm_trap_t* const copy = wasm_trap_copy(spare);
    left = -1;
    CHECK(copy == spare && says(copy, "out of memory") && wasm_trap_origin(spare) == nullptr);
    wasm_trap_set_host_info(spare, spare);
    CHECK(wasm_trap_get_host_info(spare) == nullptr);
  }
  with_each_failing([&] {
    wasm_module_t* made = nullptr;
    vmrun_error_t* const error = vmrun_module_new_from_file(world.store, "/nothing/here.wasm", &made);
    CHECK(error != nullptr && made == nullptr);
    vmrun_error_delete(error);
  });
  wasm_func_delete(callback);
  wasm_func_delete(divide);
  wasm_func_delete(host);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  end_world(world);
}
