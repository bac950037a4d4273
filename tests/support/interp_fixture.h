// What the interpreter's tests share: a fixture's instance for each effort, through the embedding API.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <utility>

#include "tests/support/ok.h"
#include "vmrun/vmrun.h"

namespace vmrun::test {

inline constexpr Effort kEfforts[] = {Effort::Quick, Effort::Careful, Effort::Auto};

inline Config with(Effort effort, bool dense = false) {
  Config config;
  config.tiers = Tiers::Interp;
  config.effort = effort;
  config.dense_memory = dense;
  return config;
}

/// An engine, a store and a linker for guests; `run` links and instantiates a fixture and gives it a name.
struct World {
  Engine engine;
  Store store;
  Linker linker;

  explicit World(Effort effort, bool dense = false, const StoreLimits& limits = {})
      : engine(with(effort, dense)), store(engine, limits), linker(engine) {}

  Module load(const std::string& name) {
    return ok(Module::compile_file(engine, std::string(VMRUN_FIXTURES "/") + name + ".wasm"));
  }
  Instance run(const std::string& name, const std::string& as = {}) {
    Instance instance = ok(linker.instantiate(store, load(name)));
    if (!as.empty()) ok(linker.define_instance(as, instance, store));
    return instance;
  }
};

template <class Signature>
TypedFunc<Signature> func(Instance instance, const char* name) {
  return ok(ok(instance.func(name)).template typed<Signature>());
}

}  // namespace vmrun::test
