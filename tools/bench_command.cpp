// vmrun bench: the options, and one process after the other.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "tools/bench.h"
#include "tools/commands.h"
#include "tools/guest_stack.h"
#include "tools/output_file.h"
#include "tools/report.h"

namespace vmrun::tools {
namespace {

using Row = OptionRow<RunOptions>;
using Value = std::string_view;

/// Adds what stands between commas, each once.
template <class Fine>
Result<void> add_names(std::vector<std::string>& out, Value list, Fine fine, const std::string& known) {
  while (true) {
    const Value name = list.substr(0, list.find(','));
    if (!fine(name)) return usage_error("'" + std::string(name) + "' is none of " + known);
    if (std::ranges::find(out, name) == out.end()) out.emplace_back(name);
    if (name.size() == list.size()) return {};
    list.remove_prefix(name.size() + 1);
  }
}

Result<void> add_tiers(RunOptions& o, Value v) {
  std::string known;
  for (const TiersName& tiers : tiers_names()) (known += known.empty() ? "" : ", ") += tiers.name;
  const auto is_known = [](Value name) {
    return std::ranges::any_of(tiers_names(), [&](const TiersName& tiers) { return name == tiers.name; });
  };
  return add_names(o.bench.tiers, v, is_known, known);
}

Result<void> add_peers(RunOptions& o, Value v) { return add_names(o.bench.peers, v, is_peer, peer_names()); }

Result<void> set_time(RunOptions& o, Value v) {
  const auto time = parse_duration(v);
  if (!time) return time.error();
  if (*time > std::chrono::hours(1)) return usage_error("must be at most 1h");
  o.bench.time = *time;
  return {};
}

Result<void> set_iterations(RunOptions& o, Value v) {
  const auto n = parse_count_from_1(v, 100'000);
  if (!n) return n.error();
  o.bench.iterations = *n;
  return {};
}

template <auto kMember>
Result<void> set_file(RunOptions& o, Value v) {
  if (v.empty()) return usage_error("expected a file's name");
  o.bench.*kMember = std::string(v);
  return {};
}

constexpr Row kBenchOptions[] = {
    {0, "tiers", "TIER,...", "settings of -O tier to compare (auto,interp,baseline,opt)", add_tiers},
    {0, "vs", "ENGINE,...", "other engines to run the image in: node, bun, wasmtime; missing ones are named",
     add_peers},
    {0, "for", "TIME", "how long each setting runs the image again and again (3s)", set_time},
    {0, "iterations", "N", "runs of each setting, at most (10000)", set_iterations},
    {0, "json", "FILE", "write all times as JSON", set_file<&RunOptions::Bench::json>},
    {0, "svg", "FILE", "write a picture of the runs done against time", set_file<&RunOptions::Bench::svg>},
};

/// Options of run that say what is run, and how; not what is told of it.
constexpr Value kOfRun[] = {"invoke", "dir",      "env", "preload", "argv0", "allow-precompiled",
                            "wasm",   "optimize", "wasi"};

/// A line on a terminal that the next one takes the place of; in a pipe nothing.
void progress(const std::string& text) {
  if (isatty(STDERR_FILENO) == 0) return;
  std::fprintf(stderr, "\r\x1b[K%s", text.c_str());
  std::fflush(stderr);
}

BenchRun bench_tier(const std::string& tier, const Args& all) {
  std::vector<std::string> argv{"/proc/self/exe", "bench"};
  argv.insert(argv.end(), all.begin(), all.end());
  const std::string told = std::to_string(kReportFd) + "," + std::to_string(bench_now()) + "," + tier;
  return parse_report(tier, run_reporting(argv, kWorkerVariable, told, kReportFd));
}

}  // namespace

int64_t bench_now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::span<const Row> bench_rows() {
  static const std::vector<Row> rows = [] {
    std::vector<Row> all(std::begin(kBenchOptions), std::end(kBenchOptions));
    for (const Row& row : run_rows()) {
      if (std::ranges::find(kOfRun, row.name) != std::end(kOfRun)) all.push_back(row);
    }
    return all;
  }();
  return rows;
}

std::string bench_options_help(bool markdown) {
  return markdown ? options_markdown(bench_rows()) : options_help(bench_rows());
}

int bench_command(Args args) {
  RunOptions options;
  auto parsed = parse(bench_rows(), options, args, true);
  if (!parsed) return fail_usage(parsed.error().message, "bench");
  if (parsed->help) return print_help("bench");
  if (!parsed->group_help.empty()) {
    std::fputs(parsed->group_help.c_str(), stdout);
    return kExitOk;
  }
  if (parsed->positional.empty()) return fail_usage("no image given", "bench");
  if (const char* told = std::getenv(kWorkerVariable)) {
    const std::string instructions = told;
    unsetenv(kWorkerVariable);
    return with_guest_stack(options.limits.stack_bytes, options.stack_asked_for,
                            [&] { return bench_worker(options, *parsed, args, instructions.c_str()); });
  }
  if (options.config.tiers != Tiers::Auto)
    return fail_usage("bench compares tiers: --tiers says which, not -O tier", "bench");
  if (options.cache.asked_for) {
    return fail_usage("bench measures from the cold start: no run takes code from a cache, so leave -O cache out",
                      "bench");
  }
  if (options.timeout) return fail_usage("--for says how long bench runs an image, not -W timeout", "bench");
  if (auto fit = check_together(options, parsed->positional[0]); !fit) return fail_usage(fit.error().message, "bench");
  for (const std::string* file : {&options.bench.json, &options.bench.svg}) {
    if (file->empty()) continue;
    if (auto fine = check_writable(*file); !fine) return fail(fine.error());
  }

  const std::string image(parsed->positional[0]);
  std::vector<std::string> tiers = options.bench.tiers;
  if (tiers.empty()) tiers = {"auto", "interp", "baseline", "opt"};
  std::vector<BenchRun> runs;
  const size_t count = tiers.size() + options.bench.peers.size();
  const auto tell = [&](const std::string& name) {
    progress(
        strf("%zu of %zu: %s, %s", runs.size() + 1, count, name.c_str(), duration_text(options.bench.time).c_str()));
  };
  for (const std::string& tier : tiers) {
    tell(tier);
    runs.push_back(bench_tier(tier, args));
  }
  for (const std::string& peer : options.bench.peers) {
    tell(peer);
    runs.push_back(bench_peer(peer, options, image, args.subspan(parsed->rest)));
  }
  progress("");
  std::fputs(bench_text(image, runs).c_str(), stdout);
  int status = kExitOk;
  for (const auto& [file, text] :
       {std::pair(&options.bench.json, &bench_json), std::pair(&options.bench.svg, &bench_svg)}) {
    if (file->empty()) continue;
    if (auto done = write_whole_file(*file, text(image, runs)); !done) status = fail(done.error());
  }
  const bool any = std::ranges::any_of(runs, [](const BenchRun& run) { return run.failure.empty(); });
  return any ? flushed(status) : kExitError;
}

}  // namespace vmrun::tools
