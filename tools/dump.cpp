// The dump of --profile=FILE.json: docs/profile.schema.json says what it holds, and a test compares the two.
#include <sys/resource.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "tools/profiling.h"
#include "tools/report.h"
#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::nanoseconds;

const char* name_of(Tier tier) {
  constexpr const char* kNames[] = {"interp", "baseline", "opt"};
  return kNames[static_cast<size_t>(tier)];
}
const char* name_of(GuestProfile::Code code) {
  constexpr const char* kNames[] = {"interp", "baseline", "opt", "host", "cut"};
  return kNames[static_cast<size_t>(code)];
}

std::string time_text(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

Json sampling_json(const GuestProfile& profile) {
  Json functions = Json::array(), nodes = Json::array(), ticks = Json::array();
  for (const auto& function : profile.functions) {
    functions.push_back({{"module", function.module}, {"name", function.name}, {"index", function.index}});
  }
  for (const auto& node : profile.nodes) {
    nodes.push_back({node.parent, node.function, node.offset, name_of(node.code), node.samples, node.self.count()});
  }
  // Of the time line, what a picture can show.
  constexpr size_t kTicks = 20'000;
  const size_t step = profile.ticks.size() / kTicks + 1;
  for (size_t i = 0; i < profile.ticks.size(); i += step) {
    const GuestProfile::Tick& tick = profile.ticks[i];
    ticks.push_back({tick.time.count(), tick.thread, tick.node, tick.used.count()});
  }
  return {{"interval_ns", profile.interval.count()},
          {"samples", profile.samples()},
          {"total_ns", profile.total().count()},
          {"cut", profile.cut},
          {"functions", std::move(functions)},
          {"nodes", std::move(nodes)},
          {"ticks_every", step},
          {"ticks", std::move(ticks)}};
}

Json compile_json(const CompileRecord& record, std::chrono::steady_clock::time_point begin) {
  const auto since = std::chrono::duration_cast<nanoseconds>(record.begin - begin).count();
  Json out = {{"module", record.module},
              {"function", record.function},
              {"index", record.func_index},
              {"loop", nullptr},
              {"from", name_of(record.from)},
              {"to", name_of(record.tier)},
              {"reason", record.reason},
              {"work", record.work},
              {"heat_ns", record.heat.count()},
              {"gain_ns", record.gain.count()},
              {"cost_ns", record.cost.count()},
              {"waiting", record.waiting},
              {"idle", record.idle},
              {"background", record.background},
              {"thread", record.thread},
              {"begin_ns", since},
              {"waited_ns", record.waited.count()},
              {"compile_ns", record.compiling.count()},
              {"install_ns", record.installing.count()},
              {"publish_ns", record.publishing.count()},
              {"wasm_bytes", record.wasm_bytes},
              {"code_bytes", record.code_bytes},
              {"failure", nullptr}};
  if (record.loop) out["loop"] = *record.loop;
  if (!record.failure.empty()) out["failure"] = record.failure;
  return out;
}

/// Sampled time of a module's functions, by index and what ran.
using SelfTimes = std::map<uint32_t, std::map<GuestProfile::Code, int64_t>>;

SelfTimes self_times(const GuestProfile& profile, std::string_view module) {
  SelfTimes out;
  for (const auto& node : profile.nodes) {
    const auto& function = profile.functions[node.function];
    if (node.samples == 0 || function.module != module) continue;
    out[function.index][node.code] += node.self.count();
  }
  return out;
}

/// Sampled time by source line, innermost where calls were inlined: the lines with most time.
Json lines_json(const GuestProfile& profile, std::string_view module) {
  constexpr size_t kMostLines = 5000;
  struct Line {
    const SourceLine* place = nullptr;
    int64_t total = 0;
    std::map<GuestProfile::Code, int64_t> self;
  };
  std::map<std::tuple<std::string_view, uint32_t, std::string_view>, Line> lines;
  for (const auto& node : profile.nodes) {
    const std::vector<SourceLine>& places = profile.sources[node.source];
    if (node.samples == 0 || places.empty() || places[0].line == 0) continue;
    const auto& function = profile.functions[node.function];
    if (function.module != module) continue;
    const std::string_view name = places.size() > 1 ? std::string_view(places[0].function) : function.name;
    Line& line = lines[{places[0].file, places[0].line, name}];
    line.place = places.data();
    line.total += node.self.count();
    line.self[node.code] += node.self.count();
  }
  std::vector<std::pair<std::string_view, const Line*>> hottest;
  hottest.reserve(lines.size());
  for (const auto& [key, line] : lines) hottest.emplace_back(std::get<2>(key), &line);
  std::ranges::sort(hottest, std::greater<>(), [](const auto& line) { return line.second->total; });
  if (hottest.size() > kMostLines) hottest.resize(kMostLines);
  Json out = Json::array();
  for (const auto& [function, line] : hottest) {
    Json self = Json::object();
    for (const auto& [code, time] : line->self) self[name_of(code)] = time;
    out.push_back({{"file", line->place->file},
                   {"line", line->place->line},
                   {"function", function},
                   {"self_ns", std::move(self)}});
  }
  return out;
}

/// A function, if there is anything to say of it.
Json function_json(const Module& module, const FuncBody& body, const SelfTimes& times) {
  const FunctionHeat heat = module.function_heat(body.func_index);
  const FunctionProfile counts = module.profile(body.func_index);
  const auto self = times.find(body.func_index);
  if (heat.heat.count() == 0 && heat.tier == Tier::Interp && counts.entries == 0 && self == times.end()) return {};
  Json out = {{"index", body.func_index},
              {"name", body.name.empty() ? strf("func[%u]", body.func_index) : printable_name(body.name)},
              {"offset", body.offset},
              {"bytes", body.size},
              {"tier", name_of(heat.tier)},
              {"heat_ns", heat.heat.count()}};
  Json sampled = Json::object(), loops = Json::array(), conditions = Json::array(), calls = Json::array();
  if (self != times.end()) {
    for (const auto& [code, time] : self->second) sampled[name_of(code)] = time;
  }
  for (const FunctionHeat::Loop& loop : heat.loops) {
    loops.push_back({{"offset", loop.offset}, {"tier", name_of(loop.tier)}, {"heat_ns", loop.heat.count()}});
  }
  for (const FunctionProfile::Condition& condition : counts.conditions) {
    if (condition.count != 0) conditions.push_back({{"offset", condition.offset}, {"count", condition.count}});
  }
  for (const FunctionProfile::IndirectCall& call : counts.indirect_calls) {
    if (call.target) {
      calls.push_back({{"offset", call.offset}, {"target", *call.target}, {"changes", call.changes}});
    }
  }
  out["self_ns"] = std::move(sampled);
  out["loops"] = std::move(loops);
  out["entries"] = counts.entries;
  out["conditions"] = std::move(conditions);
  out["indirect_calls"] = std::move(calls);
  return out;
}

Json tier_json(const Module& module, Tier tier) {
  const TierStats stats = module.tier_stats(tier);
  Json reasons = Json::array();
  for (const auto& [reason, count] : stats.reasons) reasons.push_back({{"reason", reason}, {"count", count}});
  return {{"tier", name_of(tier)},
          {"functions", stats.functions},
          {"loops", stats.osr_units},
          {"failed", stats.failed},
          {"dropped", stats.dropped},
          {"wasm_bytes", stats.wasm_bytes},
          {"code_bytes", stats.code_bytes},
          {"compile_ns", stats.compile_time.count()},
          {"osr_entries", stats.osr_entries},
          {"reasons", std::move(reasons)}};
}

/// Which functions a dump tells of, in their order in the image: of very many, those with most time, then heat.
std::vector<uint32_t> hottest_functions(const Module& module, const std::vector<FuncBody>& bodies,
                                        const SelfTimes& times, size_t& left_out) {
  constexpr size_t kMostFunctions = 1 << 16;
  std::vector<uint32_t> out(bodies.size());
  std::iota(out.begin(), out.end(), 0);
  if (out.size() <= kMostFunctions) return out;
  std::vector<std::pair<int64_t, int64_t>> ranks(bodies.size());
  size_t told = 0;
  for (size_t i = 0; i < bodies.size(); ++i) {
    const FunctionHeat heat = module.function_heat(bodies[i].func_index);
    // One that was compiled and never seen at work comes before those that never ran.
    ranks[i].second = heat.heat.count() + (heat.tier != Tier::Interp ? 1 : 0);
    if (const auto self = times.find(bodies[i].func_index); self != times.end()) {
      for (const auto& [code, time] : self->second) ranks[i].first += time;
    }
    told += ranks[i] != std::pair<int64_t, int64_t>() ? 1 : 0;
  }
  std::ranges::nth_element(out, out.begin() + kMostFunctions, std::greater<>(), [&](uint32_t i) { return ranks[i]; });
  out.resize(kMostFunctions);
  std::ranges::sort(out);
  left_out = told > kMostFunctions ? told - kMostFunctions : 0;
  return out;
}

Json module_json(const std::string& image, const Module& module, const GuestProfile* samples) {
  const std::string name = printable_name(module.name());
  const SelfTimes times = samples != nullptr ? self_times(*samples, name) : SelfTimes();
  const std::vector<FuncBody> bodies = module.functions();
  size_t left_out = 0;
  Json functions = Json::array();
  for (const uint32_t index : hottest_functions(module, bodies, times, left_out)) {
    if (Json function = function_json(module, bodies[index], times); !function.is_null()) {
      functions.push_back(std::move(function));
    }
  }
  const TranslationStats translated = module.translation_stats();
  return {
      {"image", image},
      {"name", name},
      {"bytes", module.size()},
      {"function_count", module.function_count()},
      {"translated",
       {{"quick", translated.quick_functions}, {"careful", translated.careful_functions}, {"bytes", translated.bytes}}},
      {"tiers", {tier_json(module, Tier::Baseline), tier_json(module, Tier::Opt)}},
      {"functions", std::move(functions)},
      {"functions_left_out", left_out},
      {"lines", samples != nullptr ? lines_json(*samples, name) : Json::array()}};
}

/// How often what took how long; ranges are left out in which nothing was.
Json durations_json(const Durations& durations) {
  Json ranges = Json::array();
  for (size_t i = 0; i < Durations::kRanges; ++i) {
    if (durations.counts[i] != 0) ranges.push_back({uint64_t{2} << i, durations.counts[i]});
  }
  return {{"measured", durations.total()},
          {"sum_ns", durations.sum.count()},
          {"half_ns", durations.percentile(0.5).count()},
          {"nine_of_ten_ns", durations.percentile(0.9).count()},
          {"99_of_100_ns", durations.percentile(0.99).count()},
          {"below_ns", std::move(ranges)}};
}

Json scheduler_json(const Executor* executor) {
  if (executor == nullptr) return nullptr;
  const ExecutorStats stats = executor->stats();
  return {{"io", executor->io()},
          {"workers", stats.workers},
          {"threads", stats.threads},
          {"blocked_threads", stats.blocked_threads},
          {"tasks", stats.tasks},
          {"ready", stats.ready},
          {"spawned", stats.spawned},
          {"switches", stats.switches},
          {"parks", stats.parks},
          {"preemptions", stats.preemptions},
          {"steals", stats.steals},
          {"finished", stats.finished},
          {"yields", stats.yields},
          {"stolen", stats.stolen},
          {"migrations", stats.migrations},
          {"queue_latency", durations_json(stats.queue_latency)},
          {"timer_lateness", durations_json(stats.timer_lateness)},
          {"io_waiting", stats.io.waiting},
          {"io_transfers", stats.io.transfers},
          {"io_calls",
           {{"read", stats.io.reads},
            {"write", stats.io.writes},
            {"accept", stats.io.accepts},
            {"connect", stats.io.connects},
            {"receive", stats.io.receives},
            {"send", stats.io.sends},
            {"sync", stats.io.syncs},
            {"wait", stats.io.waits}}}};
}

Json process_json(uint64_t peak_memory) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto time = [](const timeval& t) { return int64_t{t.tv_sec} * 1'000'000'000 + int64_t{t.tv_usec} * 1000; };
  return {{"user_ns", time(usage.ru_utime)},
          {"system_ns", time(usage.ru_stime)},
          {"peak_resident_bytes", static_cast<uint64_t>(usage.ru_maxrss) * 1024},
          {"peak_linear_memory_bytes", peak_memory},
          {"voluntary_switches", usage.ru_nvcsw},
          {"involuntary_switches", usage.ru_nivcsw},
          {"blocks_read", usage.ru_inblock},
          {"blocks_written", usage.ru_oublock}};
}

std::string tiers_name(Tiers tiers) {
  for (const TiersName& known : tiers_names()) {
    if (known.tiers == tiers) return known.name;
  }
  return "";
}

}  // namespace

std::string dump_text(const RunOptions& options, const DumpSubject& subject, const GuestProfile* samples,
                      std::chrono::system_clock::time_point start, nanoseconds duration, const DumpEnd& end) {
  const CompileRecords records = compile_records();
  const auto begin = std::chrono::steady_clock::now() - duration;
  Json modules = Json::array(), compiles = Json::array();
  for (const auto& [image, module] : subject.modules) modules.push_back(module_json(image, module, samples));
  for (const CompileRecord& record : records.all) compiles.push_back(compile_json(record, begin));
  Json out = {{"format", "vmrun-profile"},
              {"version", 1},
              {"vmrun", VMRUN_VERSION},
              {"command", subject.command},
              {"start", time_text(start)},
              {"duration_ns", duration.count()},
              {"end", {{"by", end.by}, {"status", nullptr}}},
              {"tier", tiers_name(options.config.tiers)},
              {"sampling", samples != nullptr ? sampling_json(*samples) : Json(nullptr)},
              {"modules", std::move(modules)},
              {"compiles", std::move(compiles)},
              {"compiles_left_out", records.left_out},
              {"scheduler", scheduler_json(subject.executor)},
              {"process", process_json(subject.peak_memory)}};
  if (end.status) out["end"]["status"] = *end.status;
  return out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace vmrun::tools
