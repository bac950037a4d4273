// --stats and --repeat; see run.h.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>

#include "tools/report.h"
#include "tools/run.h"
#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

double milliseconds(std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

/// What baseline code has counted, in a line.
std::string profile_summary(const Module& module) {
  unsigned long long entries = 0, conditions = 0, ran = 0, single = 0, several = 0;
  for (const FuncBody& body : module.functions()) {
    const FunctionProfile profile = module.profile(body.func_index);
    entries += profile.entries;
    conditions += profile.conditions.size();
    for (const FunctionProfile::Condition& condition : profile.conditions) ran += condition.count != 0;
    for (const FunctionProfile::IndirectCall& call : profile.indirect_calls) {
      if (call.target) ++(call.changes == 1 ? single : several);
    }
  }
  if (entries + conditions == 0) return {};
  return strf("%llu entries, %llu of %llu conditions went on, %llu indirect calls with one target, %llu with more",
              entries, ran, conditions, single, several);
}

}  // namespace

void print_stats(std::chrono::nanoseconds load, const RunTimes& times, const Module& module) {
  std::fflush(stdout);
  const TranslationStats translated = module.translation_stats();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto line = [](const char* what, const std::string& value) {
    std::fprintf(stderr, "%-28s %s\n", what, printable(value).c_str());
  };
  line("load and validate", strf("%.3f ms", milliseconds(load)));
  line("instantiate", strf("%.3f ms", milliseconds(times.instantiate)));
  line("run", strf("%.3f ms", milliseconds(times.run)));
  line("image", strf("%zu bytes, %zu functions", module.size(), module.functions().size()));
  line("functions translated", strf("%llu quickly, %llu carefully, %llu bytes of code",
                                    static_cast<unsigned long long>(translated.quick_functions),
                                    static_cast<unsigned long long>(translated.careful_functions),
                                    static_cast<unsigned long long>(translated.bytes)));
  for (const auto& [tier, name] : {std::pair(Tier::Baseline, "baseline"), std::pair(Tier::Opt, "optimised")}) {
    const TierStats stats = module.tier_stats(tier);
    if (stats.functions + stats.osr_units + stats.failed == 0) continue;
    const auto number = [](uint64_t n) { return static_cast<unsigned long long>(n); };
    line(strf("%s code", name).c_str(), strf("%llu functions, %llu loops, %llu bytes to %llu, %.3f ms",
                                             number(stats.functions), number(stats.osr_units), number(stats.wasm_bytes),
                                             number(stats.code_bytes), milliseconds(stats.compile_time)));
    line(strf("%s compile tasks", name).c_str(),
         strf("%llu, with %llu of these", number(stats.tasks), number(stats.task_units)));
    line(strf("%s entries in loops", name).c_str(), strf("%llu", number(stats.osr_entries)));
    if (stats.dropped != 0) line(strf("%s code dropped", name).c_str(), strf("%llu", number(stats.dropped)));
    if (stats.failed == 0) continue;
    line(strf("%s code failed", name).c_str(), strf("%llu", number(stats.failed)));
    if (stats.bugs != 0) line(strf("%s bugs of vmrun", name).c_str(), strf("%llu", number(stats.bugs)));
    constexpr size_t kShown = 5;
    for (size_t i = 0; i < std::min(kShown, stats.reasons.size()); ++i) {
      line("", strf("%6llu  %s", number(stats.reasons[i].second), stats.reasons[i].first.c_str()));
    }
  }
  if (const std::string profile = profile_summary(module); !profile.empty()) line("profile", profile);
  line("peak linear memory", strf("%.1f MiB", static_cast<double>(times.peak_memory) / (1 << 20)));
  line("peak resident memory", strf("%.1f MiB", static_cast<double>(usage.ru_maxrss) / 1024));
}

void print_times(uint64_t run, uint64_t runs, const RunTimes& times) {
  std::fflush(stdout);
  std::fprintf(stderr, "run %llu of %llu: instantiate %.3f ms, run %.3f ms\n", static_cast<unsigned long long>(run),
               static_cast<unsigned long long>(runs), milliseconds(times.instantiate), milliseconds(times.run));
}

}  // namespace vmrun::tools
