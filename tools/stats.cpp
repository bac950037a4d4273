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

unsigned long long number(uint64_t n) { return n; }

std::string mebibytes(uint64_t bytes) { return strf("%.1f MiB", static_cast<double>(bytes) / (1 << 20)); }

void stats_line(const char* what, const std::string& value) {
  std::fprintf(stderr, "%-28s %s\n", what, printable(value).c_str());
}

void print_resident_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  stats_line("peak resident memory", mebibytes(static_cast<uint64_t>(usage.ru_maxrss) * 1024));
}

/// What was made of an image's functions.
void print_code_stats(const Module& module) {
  const TranslationStats translated = module.translation_stats();
  stats_line("image", strf("%zu bytes, %zu functions", module.size(), module.functions().size()));
  stats_line("functions translated", strf("%llu quickly, %llu carefully, %llu bytes of code",
                                          static_cast<unsigned long long>(translated.quick_functions),
                                          static_cast<unsigned long long>(translated.careful_functions),
                                          static_cast<unsigned long long>(translated.bytes)));
  for (const auto& [tier, name] : {std::pair(Tier::Baseline, "baseline"), std::pair(Tier::Opt, "optimised")}) {
    const TierStats stats = module.tier_stats(tier);
    if (stats.functions + stats.osr_units + stats.failed == 0) continue;
    stats_line(strf("%s code", name).c_str(),
               strf("%llu functions, %llu loops, %llu bytes to %llu, %.3f ms", number(stats.functions),
                    number(stats.osr_units), number(stats.wasm_bytes), number(stats.code_bytes),
                    milliseconds(stats.compile_time)));
    if (stats.loaded != 0) {
      stats_line(strf("%s code that was stored", name).c_str(), strf("%llu of these", number(stats.loaded)));
    }
    stats_line(strf("%s compile tasks", name).c_str(),
               strf("%llu, with %llu of these", number(stats.tasks), number(stats.task_units)));
    stats_line(strf("%s entries in loops", name).c_str(), strf("%llu", number(stats.osr_entries)));
    if (stats.dropped != 0) stats_line(strf("%s code dropped", name).c_str(), strf("%llu", number(stats.dropped)));
    if (stats.failed == 0) continue;
    stats_line(strf("%s code failed", name).c_str(), strf("%llu", number(stats.failed)));
    if (stats.bugs != 0) stats_line(strf("%s bugs of vmrun", name).c_str(), strf("%llu", number(stats.bugs)));
    constexpr size_t kShown = 5;
    for (size_t i = 0; i < std::min(kShown, stats.reasons.size()); ++i) {
      stats_line("", strf("%6llu  %s", number(stats.reasons[i].second), stats.reasons[i].first.c_str()));
    }
  }
  if (const std::string profile = profile_summary(module); !profile.empty()) stats_line("profile", profile);
}

}  // namespace

void print_stats(std::chrono::nanoseconds load, const RunTimes& times, const Module& module) {
  std::fflush(stdout);
  stats_line("load and validate", strf("%.3f ms", milliseconds(load)));
  stats_line("instantiate", strf("%.3f ms", milliseconds(times.instantiate)));
  stats_line("run", strf("%.3f ms", milliseconds(times.run)));
  print_code_stats(module);
  stats_line("peak linear memory", mebibytes(times.peak_memory));
  print_resident_memory();
}

void print_many_stats(const ManyFigures& figures, std::span<const Program> programs) {
  std::fflush(stdout);
  const ExecutorStats& tasks = figures.tasks;
  const uint64_t guests = std::max<uint64_t>(figures.guests, 1);
  stats_line("load and validate", strf("%.3f ms", milliseconds(figures.load)));
  stats_line("guests", strf("%llu, %llu failed", number(figures.guests), number(figures.failed)));
  stats_line("run", strf("%.3f ms from the first one's start to the last one's end", milliseconds(figures.wall)));
  stats_line("a guest on average",
             strf("instantiate %.3f ms, run %.3f ms, waiting included", milliseconds(figures.instantiate / guests),
                  milliseconds(figures.run / guests)));
  stats_line("scheduler", strf("%u workers, %zu threads, waits by %s", tasks.workers, tasks.threads, figures.io));
  stats_line("tasks",
             strf("%llu spawned, %llu switches, %llu parks, %llu preemptions, %llu steals", number(tasks.spawned),
                  number(tasks.switches), number(tasks.parks), number(tasks.preemptions), number(tasks.steals)));
  for (const Program& program : programs) {
    if (programs.size() > 1) std::fprintf(stderr, "%s\n", printable(program.image).c_str());
    print_code_stats(program.module);
  }
  stats_line("largest linear memory", mebibytes(figures.largest_memory));
  print_resident_memory();
}

void print_times(uint64_t run, uint64_t runs, const RunTimes& times) {
  std::fflush(stdout);
  std::fprintf(stderr, "run %llu of %llu: instantiate %.3f ms, run %.3f ms\n", static_cast<unsigned long long>(run),
               static_cast<unsigned long long>(runs), milliseconds(times.instantiate), milliseconds(times.run));
}

}  // namespace vmrun::tools
