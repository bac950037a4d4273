// Vectors in every place that values can be: all tiers give what the interpreter gives, and did run what they should.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/ok.h"
#include "vm/loops.h"
#include "vm/module.h"
#include "vm/store.h"
#include "vmrun/vmrun.h"

using namespace vmrun;

namespace {

using test::ok;

const char* const kFunctions[] = {"many parameters",   "tail call",  "by reference", "many results", "blocks",
                                  "several in blocks", "if",         "select",       "loop",         "globals",
                                  "live across calls", "exceptions", "many locals"};

struct World {
  Engine engine;
  Store store{engine};
  Linker linker{engine};
  Instance instance;

  explicit World(Tiers tiers)
      : engine([&] {
          Config config;
          config.tiers = tiers;
          config.count_runs = true;
          return config;
        }()),
        instance(ok(linker.instantiate(store, ok(Module::compile_file(engine, VMRUN_FIXTURES "/vectors.wasm"))))) {}

  int64_t call(const char* name, int32_t n) {
    return ok(ok(ok(instance.func(name)).typed<int64_t(int32_t)>()).call(n));
  }
  const vm::TierCounts& counts(const char* name, vm::Tier tier) {
    const vm::FuncRecord& func = *ok(instance.func(name)).impl();
    return vm::counts_of(*func.code)[static_cast<size_t>(tier)];
  }
};

}  // namespace

TEST_CASE("vectors wherever values can be") {
  World interp(Tiers::Interp), baseline(Tiers::Baseline), opt(Tiers::Opt);
  for (const char* name : kFunctions) {
    CAPTURE(name);
    for (int32_t n = 0; n < 6; ++n) {
      CAPTURE(n);
      const int64_t expected = interp.call(name, n);
      CHECK(baseline.call(name, n) == expected);
      CHECK(opt.call(name, n) == expected);
    }
    CHECK(baseline.counts(name, vm::Tier::baseline).runs >= 6);
    CHECK(opt.counts(name, vm::Tier::opt).runs >= 6);
  }
}

TEST_CASE("vectors go along when a loop is entered in the middle") {
  World interp(Tiers::Interp), mixed(Tiers::InterpBaseline), all(Tiers::Auto);
  for (int32_t n = 0; n < 20; ++n) {
    const int64_t expected = interp.call("hot loop", n);
    CHECK(mixed.call("hot loop", n) == expected);
    CHECK(all.call("hot loop", n) == expected);
  }
  CHECK(mixed.counts("hot loop", vm::Tier::baseline).osr_entries > 0);
}
