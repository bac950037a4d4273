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

TEST_CASE("stored: what was hot is asked for as far as it compiles in the time that a run takes, the hottest first") {
  Config config;
  config.tiers = Tiers::Interp;
  const auto functions_of = [&](std::chrono::nanoseconds run, uint16_t refused, uint16_t late = 0) {
    const Module module = ok(Module::compile_file(Engine(config), VMRUN_FIXTURES "/opt_basic.wasm"));
    Options options;
    options.threads = 1;
    Manager manager(options);
    StoredCode stored;
    stored.run = run;
    stored.hot = {{2, jit::kWholeFunction, 50'000'000, refused, late}, {3, jit::kWholeFunction, 200'000'000}};
    Attached attached(manager, module, std::move(stored));
    attached.call_first(2);
    manager.wait_idle();
    const uint64_t first = attached.stats(vm::Tier::opt).functions;
    attached.call_first(3);
    manager.wait_idle();
    return std::pair(first, attached.stats(vm::Tier::opt).functions);
  };
  using namespace std::chrono_literals;
  CHECK(functions_of(0ns, 0) == std::pair<uint64_t, uint64_t>(1, 2));
  CHECK(functions_of(1s, 0) == std::pair<uint64_t, uint64_t>(1, 2));
  CHECK(functions_of(8ms, 0) == std::pair<uint64_t, uint64_t>(0, 1));
  CHECK(functions_of(3ms, 0) == std::pair<uint64_t, uint64_t>(0, 0));
  // What came too late often has to promise more.
  CHECK(functions_of(1s, 0, 10 * kLate) == std::pair<uint64_t, uint64_t>(0, 1));
  // Another build may take what one has refused.
  CHECK(functions_of(1s, this_optimiser()) == std::pair<uint64_t, uint64_t>(0, 1));
  CHECK(functions_of(1s, static_cast<uint16_t>(this_optimiser() ^ 2)) == std::pair<uint64_t, uint64_t>(1, 2));
}

TEST_CASE("stored: where nothing is stored, what is hot pays by what a single run spends on it") {
  struct NoKeeper final : Keeper {
    void made_optimised() override {}
  };
  Config config;
  config.tiers = Tiers::Interp;
  const auto functions_of = [&](uint32_t heat, uint32_t runs, bool keeps) {
    const Module module = ok(Module::compile_file(Engine(config), VMRUN_FIXTURES "/opt_basic.wasm"));
    Options options;
    options.threads = 1;
    options.idle = false;
    Manager manager(options);
    StoredCode stored;
    stored.hot_runs = runs * 256;
    stored.hot = {{2, jit::kWholeFunction, heat}};
    if (keeps) stored.keeper = std::make_shared<NoKeeper>();
    Attached attached(manager, module, std::move(stored));
    attached.call_first(2);
    manager.wait_idle();
    return attached.stats(vm::Tier::opt).functions;
  };
  constexpr uint32_t kHot = 100'000'000;  // four seconds
  CHECK(functions_of(kHot, 200, true) == 1);
  CHECK(functions_of(kHot, 1, false) == 1);
  CHECK(functions_of(kHot, 4, false) == 1);
  // 20 ms of each run, of which optimised code saves less than it costs to make.
  CHECK(functions_of(kHot, 200, false) == 0);
  CHECK(functions_of(kHot, 0, false) == 1);  // a list that does not say
}
