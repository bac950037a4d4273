// The modes, a class for each way of deciding and an object for each mode: see mode.h.
#include <algorithm>

#include "jit/code/code.h"
#include "tiering/mode.h"
#include "tiering/module_tiers.h"
#include "vm/base/assert.h"

namespace vmrun::tiering {

using vm::FuncCode;
using vm::LoopCode;
using vm::Tier;

void Mode::hot_function(ModuleTiers& tiers, FuncCode& code) const {
  const Tier from = code.tier.load(std::memory_order_relaxed);
  const uint32_t heat = tiers.charge_entries(code, from);
  tiers.consider(code, from, heat);
  if (from == Tier::interp) tiers.consider_careful(code);
}

void Mode::hot_loop(ModuleTiers& tiers, FuncCode& code, LoopCode& loop, Tier from) const {
  const uint32_t heat = tiers.charge_loop(code, loop, from);
  // What ticks have found is considered as a function when they are served.
  if (!tiers.is_sampled(from)) tiers.consider(code, from, heat);
  tiers.consider_loop(code, loop, from);
}

namespace {

/// Never asked: nobody reports to a manager.
class OnlyInterp final : public Mode {
  using Mode::Mode;
  void first_call(ModuleTiers&, FuncCode&) const override {}
};

/// Stored code at a function's first call, else baseline code, but for the first functions of a module; then what heat
/// asks for.
class ByHeat final : public Mode {
  using Mode::Mode;
  void first_call(ModuleTiers& tiers, FuncCode& code) const override {
    if (!tiers.use_stored(code) && !tiers.is_quiet_call()) tiers.compile_at_first_call(code, Tier::baseline);
    tiers.consider_known(code);
  }
};

/// One tier's code at every function's first call. Heat asks again where there was no memory.
template <Tier tier>
class AtFirstCall final : public Mode {
  using Mode::Mode;
  void first_call(ModuleTiers& tiers, FuncCode& code) const override { tiers.compile_at_first_call(code, tier); }
};

/// Each call and each back-edge moves what runs to the next tier that takes it, and waits for that.
class EachStep final : public Mode {
  using Mode::Mode;
  void first_call(ModuleTiers& tiers, FuncCode& code) const override { tiers.report_at_entry(code, 1); }
  void hot_function(ModuleTiers& tiers, FuncCode& code) const override {
    step(tiers, code, jit::kWholeFunction, code.tier.load(std::memory_order_relaxed));
  }
  void hot_loop(ModuleTiers& tiers, FuncCode& code, LoopCode& loop, Tier from) const override {
    step(tiers, code, loop.offset, from);
  }
  int64_t slice() const override { return 1; }

  static void step(ModuleTiers& tiers, const FuncCode& code, uint32_t unit, Tier from) {
    for (const Tier to : {Tier::baseline, Tier::opt}) {
      if (to > from && tiers.promote(code.func_index, unit, to).empty()) return;
    }
  }
};

constinit const ByHeat kAuto(Tiers::Auto, "auto",
                             "baseline code after a few interpreted calls, optimised code for what is hot (default)",
                             {.optimises = true, .starts_quiet = true});
constinit const OnlyInterp kInterp(Tiers::Interp, "interp",
                                   "the interpreter alone, as where the system allows no machine code",
                                   {.machine_code = false, .baseline = false});
constinit const ByHeat kInterpBaseline(Tiers::InterpBaseline, "interp+baseline", "as auto, without optimised code",
                                       {.starts_quiet = true, .counts = false});
constinit const AtFirstCall<Tier::baseline> kBaseline(
    Tiers::Baseline, "baseline", "baseline code at a function's first call, where the compiler supports it",
    {.counts = false});
constinit const AtFirstCall<Tier::opt> kOpt(Tiers::Opt, "opt", "the same with optimised code",
                                            {.baseline = false, .guests_wait = true});
constinit const EachStep kSteps(Tiers::Steps, "steps",
                                "each call and loop iteration moves what runs a tier up, for tests",
                                {.guests_wait = true});

constexpr const Mode* kModes[] = {&kAuto, &kInterp, &kInterpBaseline, &kBaseline, &kOpt, &kSteps};

}  // namespace

std::span<const Mode* const> modes() { return kModes; }

const Mode& mode_of(Tiers tiers) {
  const auto found = std::ranges::find(kModes, tiers, &Mode::tiers);
  VMRUN_ASSERT(found != std::end(kModes), "each of Tiers has a mode");
  return **found;
}

}  // namespace vmrun::tiering
