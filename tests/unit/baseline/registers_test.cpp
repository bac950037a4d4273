// Instructions whose operands stand in awkward registers.
#include <doctest/doctest.h>

#include <cstdint>
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

/// The interpreter and baseline code, with and without guard pages, give `expected`.
void check(const char* name, const std::vector<Val>& args, Val expected) {
  INFO(name);
  for (Tiers tiers : {Tiers::Interp, Tiers::Baseline}) {
    for (bool dense : {false, true}) {
      const std::vector<Val> got = run(tiers, dense, name, args);
      REQUIRE(got.size() == 1);
      REQUIRE(got[0].kind() == expected.kind());
      if (expected.kind() == ValKind::I32) {
        CHECK(got[0].as_i32() == expected.as_i32());
      } else {
        CHECK(got[0].as_f64() == expected.as_f64());
      }
    }
  }
}

}  // namespace

TEST_CASE("awkward registers") {
  check("rotate", {Val::i32(0)}, Val::i32(-2));
  check("rotate", {Val::i32(1)}, Val::i32(-3));
  check("rotate", {Val::i32(5)}, Val::i32(-33));
  check("rotate", {Val::i32(31)}, Val::i32(INT32_MAX));
  check("arguments", {Val::f64(3), Val::f64(4)}, Val::f64(608));  // 100 times the lesser of 7 and 6, and 8
  check("exchange", {Val::i32(0), Val::i32(0)}, Val::i32(-1));    // what was there
  check("exchange", {Val::i32(2), Val::i32(9)}, Val::i32(2 + 9 + 0));
}
