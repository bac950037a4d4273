// Callbacks in C++ may throw: through the guest and out of the host's call.
#include <stdexcept>
#include <string>

#include "common.h"

namespace {

wasm_trap_t* throws(void* env, const wasm_val_vec_t*, wasm_val_vec_t*) {
  const std::string text(static_cast<const char*>(env));
  throw std::runtime_error(text);
}

}  // namespace

void test_throws(void) {
  const world_t world = new_world();
  wasm_module_t* const module = load(world.store, "capi_trap");
  wasm_functype_t* const type = wasm_functype_new_0_1(wasm_valtype_new_i32());
  char text[] = "thrown in a callback";
  wasm_func_t* const host = wasm_func_new_with_env(world.store, type, throws, text, nullptr);
  wasm_functype_delete(type);
  wasm_extern_t* imports[] = {wasm_func_as_extern(host)};
  wasm_instance_t* const instance = instantiate(world.store, module, imports, 1);
  wasm_func_t* const run = get_func(instance, "callback");
  std::string caught;
  for (int i = 0; i < 3; ++i) {
    try {
      traps(run, 0, nullptr);
    } catch (const std::runtime_error& error) {
      caught += error.what();
    }
  }
  CHECK(caught.size() == 3 * (sizeof text - 1));
  wasm_func_t* const divide = get_func(instance, "divide");
  const int32_t args[] = {6, 3};
  CHECK(call_i32(divide, 2, args) == 2);
  wasm_func_delete(divide);
  wasm_func_delete(run);
  wasm_func_delete(host);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  end_world(world);
}
