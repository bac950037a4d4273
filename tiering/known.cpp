// What earlier runs found hot, and asking for optimised code of it at a function's first call. See module_tiers.h.
//
// The rule is that of policy.h, over runs: what has taken so long in all runs until now will take as long again in those to
// come, which have the code without compiling it. So the heat of all runs together pays for a compile, though no single
// run might. What is asked for must also come before the run ends, or it would be compiled again and again for nothing: as
// much as compiles in the time that a run takes is chosen when the module is loaded, what gains most for its cost first. What
// was asked for and came too late has to promise twice as much the next time, until it has not been tried for 16 runs.
//
// Where nothing is stored (a cache that is only read), no later run has the code. Then what counts is what a run spends: the
// heat of all runs by their number. A compile that this pays begins at the first call too.
#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <string_view>
#include <utility>

#include "tiering/manager.h"
#include "tiering/module_tiers.h"
#include "tiering/policy.h"
#include "vm/base/build.h"
#include "vm/base/checksum.h"
#include "vm/wasm/loops.h"

namespace vmrun::tiering {

using vm::FuncCode;
using vm::Tier;

uint16_t this_optimiser() {
  const std::string_view build = vm::build_id();
  return static_cast<uint16_t>(vm::checksum(std::as_bytes(std::span(build.data(), build.size())))) | 1;
}

namespace {

/// As StoredCode::hot_runs counts.
constexpr uint32_t kOneRun = 256;

/// What a unit costs, whose loops nobody has looked at yet.
uint32_t expected_size(const vm::Module& module, const HotUnit& hot) {
  const uint32_t whole = module.funcs[hot.func_index].body.size();
  return jit::is_alone(hot.unit) ? std::min(whole, policy::kAloneBytes) : whole;
}

}  // namespace

std::vector<HotUnit> ModuleTiers::choose_known() const {
  std::vector<HotUnit> chosen;
  if (!mode().facts.optimises || !heat_.exists()) return chosen;
  const double best = *std::ranges::max_element(policy::kSaved);
  const uint64_t runs = stored_.keeper != nullptr ? kOneRun : std::max(stored_.hot_runs, kOneRun);
  for (HotUnit hot : stored_.hot) {
    hot.heat = static_cast<uint32_t>(hot.heat * uint64_t{kOneRun} / runs);
    if (hot.func_index < module_.imported_funcs || hot.func_index >= module_.funcs.size()) continue;
    if (hot.refused == this_optimiser() || find_stored({hot.func_index, hot.unit, Tier::opt}) != nullptr) continue;
    const bool whole = find_stored({hot.func_index, jit::kWholeFunction, Tier::opt}) != nullptr;
    if (jit::is_alone(hot.unit) && whole) continue;
    const double costs = manager_.cost(expected_size(module_, hot), Tier::opt, false, false) * policy::kStoredWeight;
    const double patience = std::exp2(hot.late / kLate);
    if (gain(hot.heat, Tier::baseline, Tier::opt, best) > costs * patience) chosen.push_back(hot);
  }
  const auto time = [&](const HotUnit& hot) {
    return manager_.cost(expected_size(module_, hot), Tier::opt, false, false);
  };
  if (stored_.run.count() == 0) return chosen;
  std::ranges::sort(chosen, std::greater(), [&](const HotUnit& hot) { return hot.heat / time(hot); });
  double left = static_cast<double>(stored_.run.count()) - policy::kFirstNanoseconds[static_cast<unsigned>(Tier::opt)];
  std::erase_if(chosen, [&](const HotUnit& hot) {
    const double its = time(hot);
    if (its > left) return true;
    left -= its;
    return false;
  });
  std::ranges::sort(chosen, {}, [](const HotUnit& hot) { return std::pair(hot.func_index, hot.unit); });
  return chosen;
}

void ModuleTiers::consider_known(FuncCode& code) {
  const auto known = std::ranges::equal_range(known_, code.func_index, {}, &HotUnit::func_index);
  for (const HotUnit& hot : known) {
    const Unit unit{hot.unit, size_of(code, hot.unit), work_of(code, hot.unit), "hot in earlier runs", false};
    // A small function's time is its callers' code to gain.
    const bool inlined = hot.unit == jit::kWholeFunction && is_inlined(code);
    const double heat = hot.heat / std::exp2(hot.late / kLate) / (inlined ? policy::kInlinedFactor : 1);
    request(code, unit, Tier::baseline, Tier::opt, static_cast<uint32_t>(heat));
  }
}

}  // namespace vmrun::tiering
