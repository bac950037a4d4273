// What the spine's tests share: an engine that promotes nothing by itself, forced promotions, and counters by tier.
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine_impl.h"
#include "tests/support/module_builder.h"
#include "tests/support/ok.h"
#include "vm/wasm/module.h"
#include "vmrun/vmrun.h"

namespace vmrun::spine {

using test::ok;

/// A store and a linker whose modules have the tiers that a schedule or promote() gives them, and counters.
class World {
 public:
  Engine engine;
  Store store;
  Linker linker;

  /// Without `inlining` every call is one, so that it is known which code runs.
  explicit World(tiering::Schedule schedule = nothing(), const StoreLimits& limits = {},
                 Inlining inlining = Inlining::Off)
      : engine(config(inlining)), store(engine, limits), linker(engine) {
    engine.impl()->tiers->set_schedule(std::move(schedule));
  }

  /// A schedule that is there, so that heat decides nothing, and says nothing.
  static tiering::Schedule nothing() { return {{.func_index = UINT32_MAX}}; }

  Module compile(const Bytes& image) { return ok(Module::compile(engine, image, "spine")); }

  static void promote(const Module& module, uint32_t func, vm::Tier tier, uint32_t unit = jit::kWholeFunction) {
    if (tier == vm::Tier::interp) return;
    const std::string why = tiering::Manager::promote(*module.impl(), func, tier, unit);
    if (!why.empty()) FAIL("function " << func << " in tier " << vm::to_string(tier) << ": " << why);
  }

  /// How often a function began to run in each tier.
  static std::array<uint64_t, vm::kTiers> runs(const Module& module, uint32_t func) {
    const vm::FuncCode& code = module.impl()->code(func);
    const vm::TierCounts* counts = code.counts.load();
    REQUIRE(counts != nullptr);
    // The interpreter's entries are what it has charged and not reported yet.
    return {counts[0].runs.load() + code.heat.load(), counts[1].runs.load(), counts[2].runs.load()};
  }
  static uint64_t osr_entries(const Module& module, uint32_t func, vm::Tier tier) {
    return module.impl()->code(func).counts.load()[static_cast<unsigned>(tier)].osr_entries.load();
  }

 private:
  static Config config(Inlining inlining) {
    Config config;
    config.count_runs = true;
    config.inlining = inlining;
    return config;
  }
};

}  // namespace vmrun::spine
