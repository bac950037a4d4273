// What earlier processes found hot: it is asked for at a function's first call, as a whole or at its loop, if it pays.
#include "tests/unit/tiering/fixture.h"
#include "vm/wasm/loops.h"

using namespace vmrun;
using namespace vmrun::test;
using namespace vmrun::tiering;

TEST_CASE("stored: what was hot is optimised at its function's first call, the loop if it was the loop") {
  Config config;
  config.tiers = Tiers::Interp;
  const auto load = [&] { return ok(Module::compile_file(Engine(config), VMRUN_FIXTURES "/opt_basic.wasm")); };
  const Module looked_at = load();
  constexpr uint32_t kLoop = 2;  // the function with one
  const vm::LoopTable* loops = vm::loops_of(looked_at.impl()->code(kLoop));
  REQUIRE(loops->count == 1);
  const uint32_t at = loops->loops[0].offset;
  constexpr uint32_t kHot = 100'000'000, kCool = 25'000;
  struct Case {
    std::vector<HotUnit> hot;
    uint64_t functions, units;
  };
  const Case cases[] = {{{}, 0, 0},
                        {{{kLoop, jit::kWholeFunction, kHot}}, 1, 0},
                        {{{kLoop, at, kHot}}, 0, 1},
                        {{{kLoop, at, kHot}, {kLoop, jit::kWholeFunction, kHot}}, 1, 1},
                        {{{kLoop, at, kCool}, {kLoop, jit::kWholeFunction, kCool}}, 0, 0},
                        // What is no loop of it, or another function's, is nothing.
                        {{{kLoop, at + 1, kHot}, {kLoop, 0, kHot}, {kLoop + 1, at, kHot}, {9999, at, kHot}}, 0, 0}};
  for (const Case& each : cases) {
    Options options;
    options.threads = 1;
    const Module module = load();
    Manager manager(options);
    StoredCode stored;
    stored.hot = each.hot;
    Attached attached(manager, module, std::move(stored));
    attached.call_first(kLoop);
    manager.wait_idle();
    CHECK(attached.stats(vm::Tier::opt).functions == each.functions);
    CHECK(attached.stats(vm::Tier::opt).osr_units == each.units);
  }
}
