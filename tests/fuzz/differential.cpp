// Runs random valid modules by every way of executing and compares what is seen: docs/testing.md.
//
//   differential [OPTIONS] MAKER...                 a series; of several makers of modules each has its turn
//   differential [OPTIONS] FILE.wasm...             compares on these files
//   differential [OPTIONS] make MAKER FILE.wasm     writes the first module of a series
//   differential [OPTIONS] coverage                 how often our own modules execute each instruction; exits 1 when
//                                                   they leave one out
//   differential [OPTIONS] aims                     how often aimed modules hold each thing that they aim at, and how
//                                                   their calls end; exits 1 when they leave one out
//
// MAKER is own, identities, edges, pressure, wide, effects, aimed (the five before by turns), or the path of wasm-opt.
//
//   --modules N    so many modules (100)            --seconds N   until that time has passed, instead
//   --seed S       of the series (1)                --first I     its first module (0)
//   --jobs N       processes at a time (1)          --keep DIR    where modules go that show a difference (.)
//   --ways NAMES   comma-separated, or "every"; the first one is what the others are compared with
//   --fuel on|off  engines meter, and what is left is compared too; without it, for a third of the modules
//   --canaries on|off   what lies around guests is watched (on; canaries.h)
//
// Exits 1 at a difference, after saying which module and where.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compare.h"
#include "coverage.h"
#include "generate_aimed.h"
#include "jit/compiler.h"

namespace {

namespace fs = std::filesystem;
using namespace vmrun::test;

/// What to run, by the command line.
struct Settings {
  size_t modules = 100, first = 0, jobs = 1;
  uint64_t seed = 1, seconds = 0;
  bool canaries = true;
  std::optional<bool> fuel;
  fs::path keep = ".";
  std::string ways =
      "quick,quick-each,careful,effort,quick-dense,careful-dense,baseline,baseline-dense,profile,eager,loops,"
      "loops-profile,auto,disturb,threads";
  std::vector<std::string> names;
};

/// Whether optimised code is made, for which modules should be small.
bool optimises(const std::vector<Way>& ways) { return std::ranges::any_of(ways, &Way::opt); }

/// Every `jobs`-th module of the series, from number `first` on.
bool run_series(const Settings& settings, const std::vector<Way>& ways, size_t first) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(settings.seconds);
  const Scratch scratch;
  Oracle oracle(VMRUN_NODE, VMRUN_ORACLE);
  const Comparison comparison{ways, settings.canaries, settings.fuel, &oracle, scratch.path};
  Counts& counts = Counts::shared();
  bool good = true;
  const bool small = optimises(ways);
  const size_t begin = settings.first + first, end = settings.first + settings.modules;
  for (size_t i = begin; settings.seconds != 0 ? std::chrono::steady_clock::now() < until : i < end;
       i += settings.jobs) {
    // The number of the module among its maker's, so that these are consecutive.
    const size_t makers = settings.names.size(), number = i / makers;
    const std::string& maker = settings.names[i % makers];
    const Image image = make_module(maker, settings.seed, number, small, scratch.path);
    if (image.empty()) {
      ++counts.tried, ++counts.refused;
      continue;
    }
    const std::string name = fs::path(maker).filename().string() + "-" + std::to_string(settings.seed) + "-" +
                             std::to_string(number) + ".wasm";
    const fs::path kept = settings.keep / name;
    if (agree(comparison, kept, image, number, ends_soon(maker))) continue;
    good = false;
    fs::create_directories(settings.keep);
    write_image(kept, image);
    std::printf("again: differential --seed %zu --ways %s %s\n", number, settings.ways.c_str(), kept.c_str());
  }
  return good;
}

/// The same in as many processes as there are jobs.
bool run_jobs(const Settings& settings, const std::vector<Way>& ways) {
  Counts& counts = Counts::shared();
  bool good = true;
  std::vector<pid_t> jobs;
  for (size_t job = 0; job < settings.jobs; ++job) {
    const pid_t pid = fork();
    if (pid == 0) {
      const bool fine = run_series(settings, ways, job);
      std::fflush(stdout);
      _exit(fine ? 0 : 1);
    }
    jobs.push_back(pid);
  }
  for (const pid_t pid : jobs) {
    int status = 0;
    good &= pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
  }
  counts.print(ways);
  if (counts.refused * 2 > counts.tried) {
    std::printf("%zu of %zu modules could not be made\n", static_cast<size_t>(counts.refused),
                static_cast<size_t>(counts.tried));
    return false;
  }
  return good;
}

/// What a line of a trace says of how a call ended.
std::string how_it_ended(const std::string& line) {
  for (const char* kind : {": trap: ", ": exception"}) {
    const size_t at = line.find(kind);
    if (at == std::string::npos) continue;
    const size_t end = line.find_first_of("0123456789@", at + 1);
    return line.substr(at + 2, end - at - 2);
  }
  return line.starts_with("f") ? "results" : line.substr(0, line.find(' '));
}

/// Runs a module in the quick interpreter; says so when it is not valid.
bool trace_of(const Image& image, size_t seed, bool counting, std::map<std::string, size_t>& ends, Trace& trace) {
  const Way way = make_ways("quick").front();
  vmrun::Result<vmrun::Module> module = load(way, image, seed);
  if (module && counting) module = load(way, count_instructions(*module->impl()), seed);
  if (!module) {
    std::printf("module %zu: %s\n", seed, module.error().to_string().c_str());
    return false;
  }
  ExerciseOptions options;
  options.seed = seed;
  options.time = std::chrono::seconds(20);
  trace = exercise(*module, options);
  for (const std::string& line : trace.lines) ++ends[how_it_ended(line)];
  return true;
}

void print_ends(const std::map<std::string, size_t>& ends) {
  std::printf("calls ended so often with\n");
  for (const auto& [what, count] : ends) std::printf("%12zu %s\n", count, what.c_str());
}

/// How often the interpreter executes each instruction in the series of our own modules.
bool show_coverage(const Settings& settings) {
  Coverage coverage;
  std::map<std::string, size_t> ends;
  for (size_t i = 0; i < settings.modules; ++i) {
    Trace trace;
    if (!trace_of(make_module("own", settings.seed, i, false, {}), i, true, ends, trace)) return false;
    add_coverage(trace, coverage);
  }
  print_ends(ends);
  return print_coverage(coverage);
}

/// How often aimed modules hold what they aim at.
bool show_aims(const Settings& settings) {
  bool good = true;
  for (const generate::Kind& kind : aimed_kinds()) {
    generate::Tally tally;
    kind.expect(tally);
    std::map<std::string, size_t> ends;
    for (size_t i = 0; i < settings.modules; ++i) {
      Trace trace;
      if (!trace_of(kind.make(settings.seed * 1'000'003 + i, tally), i, false, ends, trace)) return false;
    }
    std::printf("%s: ", std::string(kind.name).c_str());
    print_ends(ends);
    for (const auto& [what, count] : tally.counts()) {
      std::printf("%12zu %s\n", count, what.c_str());
      good &= count != 0;
    }
  }
  std::printf(good ? "nothing is left out\n" : "what has no count is left out\n");
  return good;
}

int usage() {
  std::fprintf(
      stderr,
      "usage: differential [--modules N] [--seconds N] [--seed S] [--first I] [--jobs N] [--keep DIR]\n"
      "                    [--ways NAMES|every] [--fuel on|off] [--canaries on|off] MAKER... | FILE.wasm... |\n"
      "                    make MAKER FILE.wasm | coverage | aims\n"
      "MAKER: own, identities, edges, pressure, wide, effects, aimed, or the path of wasm-opt\n"
      "NAMES: %s\n",
      way_names().c_str());
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (!arg.starts_with("--")) {
      settings.names.push_back(arg);
      continue;
    }
    if (i + 1 == argc) return usage();
    const std::string value = argv[++i];
    const uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
    if (arg == "--modules") {
      settings.modules = number;
    } else if (arg == "--seed") {
      settings.seed = number;
    } else if (arg == "--first") {
      settings.first = number;
    } else if (arg == "--seconds") {
      settings.seconds = number;
    } else if (arg == "--jobs") {
      settings.jobs = std::max<size_t>(1, number);
    } else if (arg == "--keep") {
      settings.keep = value;
    } else if (arg == "--ways") {
      settings.ways = value == "every" ? way_names() : value;
    } else if (arg == "--fuel" && (value == "on" || value == "off")) {
      settings.fuel = value == "on";
    } else if (arg == "--canaries" && (value == "on" || value == "off")) {
      settings.canaries = value == "on";
    } else {
      return usage();
    }
  }
  if (settings.names.empty()) return usage();
  const std::vector<Way> ways = make_ways(settings.ways);
  if (settings.names.front() == "make") {
    if (settings.names.size() != 3) return usage();
    const Scratch scratch;
    const Image image = make_module(settings.names[1], settings.seed, settings.first, optimises(ways), scratch.path);
    return !image.empty() && write_image(settings.names[2], image) ? 0 : 1;
  }
  if (settings.names.front() == "coverage") return show_coverage(settings) ? 0 : 1;
  if (settings.names.front() == "aims") return show_aims(settings) ? 0 : 1;
  // Once, and not in each module's process.
  std::string why;
  if (optimises(ways) && vmrun::jit::load_opt_compiler(&why) == nullptr) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return 1;
  }
  settings.names = expand_makers(settings.names);
  if (!settings.names.front().ends_with(".wasm")) return run_jobs(settings, ways) ? 0 : 1;
  const Scratch scratch;
  Oracle oracle(VMRUN_NODE, VMRUN_ORACLE);
  const Comparison comparison{ways, settings.canaries, settings.fuel, &oracle, scratch.path};
  bool good = true;
  for (const std::string& name : settings.names) {
    good &= agree(comparison, name, read_image(name), settings.seed, ends_soon(name));
  }
  Counts::shared().print(ways);
  return good ? 0 : 1;
}
