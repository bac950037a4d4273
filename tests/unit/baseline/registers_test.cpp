// Instructions whose operands stand in awkward registers give the interpreter's results.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "vmrun/vmrun.h"

using namespace vmrun;

namespace {

std::vector<Val> run(Tiers tiers, bool dense, const char* name, const std::vector<Val>& args) {
  Config config;
  config.tiers = tiers;
  config.dense_memory = dense;
  Engine engine(config);
  Result<Module> module = Module::compile_file(engine, VMRUN_FIXTURES "/baseline_registers.wasm");
  REQUIRE(module);
  Store store(engine);
  Result<Instance> instance = Instance::instantiate(store, *module, {});
  REQUIRE(instance);
  Result<Func> func = instance->func(name);
  REQUIRE(func);
  Result<std::vector<Val>> results = func->call(args);
  if (!results) FAIL(results.error().to_string());
  if (tiers == Tiers::Baseline) CHECK(module->tier_stats(Tier::Baseline).functions > 0);
  return *results;
}

void check(const char* name, const std::vector<Val>& args) {
  INFO(name);
  for (bool dense : {false, true}) {
    const std::vector<Val> expected = run(Tiers::Interp, dense, name, args);
    const std::vector<Val> got = run(Tiers::Baseline, dense, name, args);
    REQUIRE(expected.size() == 1);
    REQUIRE(got.size() == 1);
    if (expected[0].kind() == ValKind::I32) {
      CHECK(got[0].as_i32() == expected[0].as_i32());
    } else {
      CHECK(got[0].as_f64() == expected[0].as_f64());
    }
  }
}

}  // namespace

TEST_CASE("awkward registers") {
  for (int n : {0, 1, 5, 31}) check("rotate", {Val::i32(n)});
  check("arguments", {Val::f64(3), Val::f64(4)});
  check("exchange", {Val::i32(0), Val::i32(0)});
  check("exchange", {Val::i32(2), Val::i32(9)});
}
