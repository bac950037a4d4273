// Switches of few targets, which baseline code tells apart by compares, and those of some more: every index goes where the
// specification says, with results and without, in all tiers.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>

#include "tests/support/module_builder.h"
#include "vmrun/vmrun.h"

using namespace vmrun;

namespace {

constexpr uint32_t kMost = 9;

/// "f" (i32) -> i32: a br_table of `targets` and the default one, the n-th of which goes to block n % distinct, with a result
/// or none. Each block that the jump does not leave adds one.
test::Bytes image(uint32_t targets, uint32_t distinct, bool with_result) {
  spine::ModuleBuilder builder;
  spine::Code code;
  for (uint32_t i = 0; i < distinct; ++i) with_result ? code.block(-1) : code.block();
  if (with_result) code.i32_const(0);
  code.get(0).op({0x0e}).u(targets);
  for (uint32_t i = 0; i <= targets; ++i) code.u(i % distinct);
  for (uint32_t i = 0; i < distinct; ++i) {
    code.end();
    with_result ? code.i32_const(1).i32_add() : code.get(1).i32_const(1).i32_add().set(1);
  }
  if (!with_result) code.get(1);
  builder.define(builder.func("f", builder.type({spine::i32}, {spine::i32})), code, {spine::i32});
  return builder.build();
}

}  // namespace

TEST_CASE("a br_table of few targets") {
  for (const Tiers tiers : {Tiers::Interp, Tiers::Baseline, Tiers::Opt}) {
    Config config;
    config.tiers = tiers;
    const Engine engine(config);
    for (uint32_t shape = 0; shape < 2 * (kMost + 1) * (kMost + 1); ++shape) {
      const bool with_result = shape % 2 != 0;
      const uint32_t targets = shape / 2 / (kMost + 1), distinct = shape / 2 % (kMost + 1) + 1;
      if (distinct > targets + 1) continue;
      // LLVM takes some ms for each: a few of them.
      if (tiers == Tiers::Opt && (targets + distinct) % 5 != 0) continue;
      CAPTURE(with_result);
      CAPTURE(targets);
      CAPTURE(distinct);
      const Result<Module> module = Module::compile(engine, image(targets, distinct, with_result));
      REQUIRE(module);
      Store store(engine);
      const auto f = Instance::instantiate(store, *module, {})->func("f")->typed<int32_t(int32_t)>();
      for (const int32_t n : {0, 1, 2, 3, 4, 5, 8, 9, 10, 255, INT32_MAX, INT32_MIN, -1}) {
        CAPTURE(n);
        const uint32_t taken = std::min(static_cast<uint32_t>(n), targets) % distinct;
        CHECK(*f->call(n) == static_cast<int32_t>(distinct - taken));
      }
    }
  }
}
