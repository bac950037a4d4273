// What the embedding tests share: fixtures as modules, and the host functions they import.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "tests/support/ok.h"
#include "vmrun/vmrun.h"

namespace vmrun::test {

inline Module load(const Engine& engine, const std::string& name) {
  Result<Module> module = Module::compile_file(engine, std::string(VMRUN_FIXTURES "/") + name + ".wasm");
  if (!module) FAIL(name << ": " << module.error().to_string());
  return *module;
}

/// A store with an instance of engine_basic whose host functions are plain.
struct Basic {
  Engine engine;
  Store store;
  Linker linker;
  int notes = 0;
  Instance instance;

  explicit Basic(const Config& config = {}, const StoreLimits& limits = {})
      : engine(config), store(engine, limits), linker(engine), instance(nullptr) {
    ok(linker.func_wrap("env", "add", [](int32_t a, int32_t b) { return a + b; }));
    ok(linker.func_wrap("env", "note", [this](int64_t, double) { ++notes; }));
    ok(linker.func_wrap("env", "again", [](Caller& caller, int32_t n) -> Result<int32_t> {
      if (n == 0) return 0;
      Result<Func> self = caller.instance().func("nested");
      if (!self) return self.error();
      Result<TypedFunc<int32_t(int32_t)>> typed = self->typed<int32_t(int32_t)>();
      if (!typed) return typed.error();
      Result<int32_t> below = typed->call(n - 1);
      if (!below) return below.error();
      return *below + 1;
    }));
    instance = ok(linker.instantiate(store, load(engine, "engine_basic")));
  }

  template <class Signature>
  TypedFunc<Signature> func(const char* name) {
    return ok(ok(instance.func(name)).template typed<Signature>());
  }
};

}  // namespace vmrun::test
