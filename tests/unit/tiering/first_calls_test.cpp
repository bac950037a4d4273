// Which first calls get machine code: all but a module's first few, and none have to wait for it once a module was
// compiled ahead.
#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include "tests/support/module_builder.h"
#include "tests/unit/tiering/fixture.h"
#include "vm/blocks/policy.h"

namespace vmrun::tiering {
namespace {

/// `count` functions "f0" and so on, which add their number to their parameter.
spine::Bytes image(unsigned count) {
  spine::ModuleBuilder builder;
  const uint32_t type = builder.type({spine::i64}, {spine::i64});
  for (unsigned i = 0; i < count; ++i) {
    const uint32_t func = builder.func("f" + std::to_string(i), type);
    builder.define(func, spine::Code().get(0).i64_const(i).i64_add());
  }
  return builder.build();
}

constexpr unsigned kFunctions = policy::kQuietCalls + 10;

struct World {
  Engine engine;
  Store store{engine};
  Module module;
  Instance instance;
  explicit World(const Config& config)
      : engine(config),
        module(ok(Module::compile(engine, image(kFunctions), "first"))),
        instance(ok(Linker(engine).instantiate(store, module))) {}
  int64_t call(unsigned i, int64_t n) {
    return ok(ok(ok(instance.func("f" + std::to_string(i))).typed<int64_t(int64_t)>()).call(n));
  }
  uint64_t compiled() { return module.tier_stats(Tier::Baseline).functions; }
};

Config config(Tiers tiers, bool eager) {
  Config config;
  config.tiers = tiers;
  config.eager_baseline = eager;
  config.compile_threads = 2;
  return config;
}

TEST_CASE("a module's first few functions are interpreted, the others compiled at their first call") {
  World world(config(Tiers::Auto, false));
  for (unsigned i = 0; i < kFunctions; ++i) {
    CHECK(world.call(i, 1) == i + 1);
    CHECK(world.compiled() == (i < policy::kQuietCalls ? 0 : i + 1 - policy::kQuietCalls));
  }
  // And once those first ones are hot.
  for (unsigned n = 0; n < 200'000; ++n) CHECK(world.call(0, n) == n);
  CHECK(world.compiled() == kFunctions - policy::kQuietCalls + 1);
}

TEST_CASE("compiled ahead, everything is there before the first call") {
  for (Tiers tiers : {Tiers::Auto, Tiers::Baseline, Tiers::InterpBaseline}) {
    World world(config(tiers, true));
    CHECK(world.compiled() == kFunctions);
    for (unsigned i = 0; i < kFunctions; ++i) CHECK(world.call(i, 1) == i + 1);
    CHECK(world.module.translation_stats().quick_functions == 0);
    CHECK(world.compiled() == kFunctions);
  }
}

}  // namespace
}  // namespace vmrun::tiering
