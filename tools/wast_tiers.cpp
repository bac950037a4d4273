// Where functions ran: see wast_tiers.h.
#include "tools/wast_tiers.h"

#include <cstdio>

#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

constexpr const char* kNames[] = {"interp", "baseline", "opt"};
constexpr unsigned kBaseline = 1, kOpt = 2;
/// More complaints than that help nobody.
constexpr uint64_t kComplaints = 20;

}  // namespace

void WastTiers::add(const std::string& script, const Module& module) {
  for (unsigned tier : {kBaseline, kOpt}) {
    const TierStats stats = module.tier_stats(static_cast<Tier>(tier));
    compiled_[tier] += stats.functions;
    units_[tier] += stats.osr_units;
    loaded_ += stats.loaded;
    for (const auto& [reason, count] : stats.reasons) reasons_[tier][reason] += count;
  }
  for (uint32_t i = 0; i < module.function_count(); ++i) {
    const FunctionRuns runs = module.function_runs(i);
    bool ran = false;
    for (unsigned tier = 0; tier < 3; ++tier) {
      ran_in_[tier] += runs.runs[tier] != 0;
      runs_[tier] += runs.runs[tier];
      entries_[tier] += runs.osr_entries[tier];
      refused_[tier] += runs.refused[tier];
      ran |= runs.runs[tier] != 0;
    }
    ran_ += ran;
    if (ran) judge(script, module, i, runs);
  }
}

void WastTiers::judge(const std::string& script, const Module& module, uint32_t func_index, const FunctionRuns& runs) {
  const uint64_t all = runs.runs[0] + runs.runs[1] + runs.runs[2];
  bool good = true;
  switch (wanted_) {
    case Tiers::Baseline: good = runs.refused[kBaseline] || runs.runs[kBaseline] == all; break;
    case Tiers::Opt: good = runs.refused[kOpt] || runs.runs[kOpt] == all; break;
    case Tiers::Steps:
      // A call in each tier that takes the function, then all in the last one.
      good = runs.runs[0] >= 1 && (all < 2 || runs.refused[kBaseline] || runs.runs[kBaseline] >= 1) &&
             (all < 3 || runs.refused[kOpt] || runs.runs[kOpt] >= 1);
      break;
    default: return;
  }
  if (good) return;
  if (++elsewhere_ > kComplaints) return;
  const std::string name = printable_name(module.function_name(func_index));
  std::printf("%s: function %u%s%s ran %llu times in the interpreter, %llu in baseline and %llu in optimised code\n",
              printable(script).c_str(), func_index, name.empty() ? "" : " ", name.c_str(),
              static_cast<unsigned long long>(runs.runs[0]), static_cast<unsigned long long>(runs.runs[kBaseline]),
              static_cast<unsigned long long>(runs.runs[kOpt]));
}

bool WastTiers::finish() const {
  std::printf("%-10s %10s %10s %10s %12s %12s\n", "tier", "compiled", "osr units", "refused", "functions ran",
              "loop entries");
  for (unsigned tier = 0; tier < 3; ++tier) {
    std::printf("%-10s %10llu %10llu %10llu %12llu %12llu\n", kNames[tier],
                static_cast<unsigned long long>(compiled_[tier]), static_cast<unsigned long long>(units_[tier]),
                static_cast<unsigned long long>(refused_[tier]), static_cast<unsigned long long>(ran_in_[tier]),
                static_cast<unsigned long long>(entries_[tier]));
    for (const auto& [reason, count] : reasons_[tier]) {
      std::printf("  refused %llu: %s\n", static_cast<unsigned long long>(count), reason.c_str());
    }
  }
  std::printf("functions that ran: %llu, elsewhere than wanted: %llu\n", static_cast<unsigned long long>(ran_),
              static_cast<unsigned long long>(elsewhere_));
  if (stored_) {
    const uint64_t all = compiled_[kBaseline] + compiled_[kOpt] + units_[kBaseline] + units_[kOpt];
    std::printf("functions and loops whose code was stored: %llu of %llu\n", static_cast<unsigned long long>(loaded_),
                static_cast<unsigned long long>(all));
    if (loaded_ != all) return false;
  }
  // A tier whose compiler refuses everything, or is not installed, has proved nothing.
  const unsigned wanted = wanted_ == Tiers::Baseline ? kBaseline : wanted_ == Tiers::Opt ? kOpt : 0;
  return elsewhere_ == 0 && (wanted == 0 || ran_ == 0 || ran_in_[wanted] != 0);
}

}  // namespace vmrun::tools
