// What baseline code counts, read back after runs whose counts are known.
#include "vm/blocks/profile.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include "tests/support/module_builder.h"
#include "tests/support/ok.h"
#include "vm/blocks/block.h"
#include "vmrun/vmrun.h"

using namespace vmrun;

namespace {

using test::ok;

/// "sum": adds up the odd numbers up to n.
spine::Bytes image() {
  spine::ModuleBuilder builder;
  const uint32_t func = builder.func("sum", builder.type({spine::i32}, {spine::i64}));
  spine::Code code;
  code.loop();
  code.get(0).i32_const(1).op({0x71}).op({0x04, 0x40}).get(1).get(0).i64_extend_i32_u().i64_add().set(1).end();
  code.get(0).i32_const(1).i32_sub().tee(0).br_if(0).end().get(1);
  builder.define(func, code, {spine::i64});
  return builder.build();
}

Config config(bool profile) {
  Config config;
  config.tiers = Tiers::Baseline;
  config.profile = profile;
  return config;
}

TEST_CASE("baseline code counts entries and conditions") {
  for (bool on : {true, false}) {
    Engine engine(config(on));
    Store store(engine);
    const Module module = ok(Module::compile(engine, image(), "profile"));
    const Instance instance = ok(Linker(engine).instantiate(store, module));
    auto sum = ok(ok(instance.func("sum")).typed<int64_t(int32_t)>());
    for (int i = 0; i < 5; ++i) CHECK(ok(sum.call(100)) == 2500);
    const FunctionProfile profile = module.profile(0);
    if (!on) {
      CHECK(profile.entries == 0);
      CHECK(profile.conditions.empty());
      continue;
    }
    CHECK(profile.entries == 5);
    REQUIRE(profile.conditions.size() == 2);
    CHECK(profile.conditions[0].offset < profile.conditions[1].offset);
    CHECK(profile.conditions[0].count == 5 * 50);  // the if found an odd number
    CHECK(profile.conditions[1].count == 5);       // the br_if left the loop
    CHECK(profile.indirect_calls.empty());
  }
}

TEST_CASE("baseline code remembers the target of an indirect call, and how often it changed") {
  spine::ModuleBuilder builder;
  const uint32_t leaf = builder.type({spine::i64}, {spine::i64}), picks = builder.type({spine::i32}, {spine::i64});
  for (int i = 0; i < 2; ++i) {
    const uint32_t func = builder.func("leaf" + std::to_string(i), leaf);
    builder.define(func, spine::Code().get(0).i64_const(i).i64_add());
    builder.element(func);
  }
  const uint32_t pick = builder.func("pick", picks);
  builder.define(pick, spine::Code().i64_const(40).get(0).call_indirect(leaf));
  Engine engine(config(true));
  Store store(engine);
  const Module module = ok(Module::compile(engine, builder.build(), "profile"));
  const Instance instance = ok(Linker(engine).instantiate(store, module));
  auto call = ok(ok(instance.func("pick")).typed<int64_t(int32_t)>());
  for (int i = 0; i < 9; ++i) CHECK(ok(call.call(1)) == 41);
  REQUIRE(module.profile(pick).indirect_calls.size() == 1);
  CHECK(module.profile(pick).indirect_calls[0].target == pick - 1);
  CHECK(module.profile(pick).indirect_calls[0].changes == 1);
  CHECK(ok(call.call(0)) == 40);
  CHECK(module.profile(pick).indirect_calls[0].target == pick - 2);
  CHECK(module.profile(pick).indirect_calls[0].changes == 2);
}

TEST_CASE("profiles grow, and what was counted before stays") {
  vm::FuncCode code;
  const vm::ProfileSite first[] = {{10, vm::ProfileKind::entry, 0}};
  const vm::ProfileSite more[] = {{10, vm::ProfileKind::entry, 0}, {14, vm::ProfileKind::target, 1}};
  CHECK(vm::profile_of(code).empty());
  REQUIRE(vm::add_profile(code, first, 1));
  code.counts.load()[1].runs = 7;
  REQUIRE(vm::add_profile(code, more, 3));
  CHECK(code.counts.load()[1].runs == 7);
  REQUIRE(vm::add_profile(code, first, 1));
  CHECK(vm::profile_of(code).size() == 2);
  vm::free_counts(code.counts.load());
}

}  // namespace
