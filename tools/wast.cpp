// vmrun wast: runs scripts of the official test suite, compares the failures with a ledger of expected ones, and
// counts.
#include <fnmatch.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>

#include "tools/commands.h"
#include "tools/report.h"
#include "tools/run_options.h"
#include "tools/wast_ledger.h"
#include "tools/wast_runner.h"
#include "tools/wast_script.h"
#include "tools/wast_tiers.h"
#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

namespace fs = std::filesystem;
using Verdict = CommandOutcome::Verdict;

struct WastOptions {
  std::string ledger;
  std::vector<std::string> only, except;
  RunOptions engine;
  bool verbose = false, stored = false;
};

constexpr OptionRow<WastOptions> kWastOptions[] = {
    {0, "ledger", "FILE", "expected failures; one that passes, or one not in it, fails the run",
     [](WastOptions& o, std::string_view v) -> Result<void> { return o.ledger = v, Result<void>(); }},
    {0, "only", "PATTERN", "scripts whose name matches the shell pattern; may be given again",
     [](WastOptions& o, std::string_view v) -> Result<void> { return o.only.emplace_back(v), Result<void>(); }},
    {0, "except", "PATTERN", "leave out scripts whose name matches; may be given again",
     [](WastOptions& o, std::string_view v) -> Result<void> { return o.except.emplace_back(v), Result<void>(); }},
    {0, "dense-memory", nullptr, "memories with explicit bounds checks",
     [](WastOptions& o, std::string_view) -> Result<void> {
       return o.engine.config.dense_memory = true, Result<void>();
     }},
    {0, "effort", "EFFORT", "quick, careful or auto, as -O effort of run",
     [](WastOptions& o, std::string_view v) { return set_effort(o.engine, v); }},
    {0, "fuel", nullptr, "code that uses up fuel, of which there is plenty",
     [](WastOptions& o, std::string_view) -> Result<void> { return o.engine.config.fuel = true, Result<void>(); }},
    {0, "inline", "CALLS", "on, off or all, as -O inline of run",
     [](WastOptions& o, std::string_view v) { return set_inline(o.engine, v); }},
    {0, "tier", "TIER", "as -O tier of run", [](WastOptions& o, std::string_view v) { return set_tier(o.engine, v); }},
    {0, "count", nullptr, "count where functions ran; one that ran elsewhere than --tier says fails the run",
     [](WastOptions& o, std::string_view) -> Result<void> {
       return o.engine.config.count_runs = true, Result<void>();
     }},
    {0, "stored", nullptr,
     "compile, store and load each module, by engines of their own; with --count, code that was not\n"
     "stored fails the run",
     [](WastOptions& o, std::string_view) -> Result<void> { return o.stored = true, Result<void>(); }},
    {'v', "verbose", nullptr, "a line for each script, with its time",
     [](WastOptions& o, std::string_view) -> Result<void> { return o.verbose = true, Result<void>(); }},
};

/// Counts of assertions; commands that assert nothing count only when they fail.
struct Counts {
  size_t scripts = 0, assertions = 0, passed = 0, expected = 0, skipped = 0, failed = 0;
  void operator+=(const Counts& o) {
    scripts += o.scripts, assertions += o.assertions, passed += o.passed;
    expected += o.expected, skipped += o.skipped, failed += o.failed;
  }
};

struct Source {
  std::string path, name;
};

bool is_assertion(Command::Type type) { return type >= Command::Type::assert_return; }

/// The name of the script at `path` below `root`: without ".json", and NAME/NAME counts once.
std::string script_name(const fs::path& path, const fs::path& root) {
  fs::path name = path.lexically_relative(root).replace_extension();
  if (name.has_parent_path() && name.parent_path().filename() == name.filename()) name = name.parent_path();
  return name.string();
}

/// The root of the suite that the script at `path` belongs to: what lies above its folder "proposals", "legacy" or
/// "custom", else the script's own folder.
fs::path suite_root(const fs::path& path) {
  fs::path folder = path.parent_path();
  // NAME/NAME.json lies in a folder of its own.
  if (folder.filename() == path.stem()) folder = folder.parent_path();
  for (fs::path at = folder; at.has_filename(); at = at.parent_path()) {
    if (at.filename() == "proposals" || at.filename() == "legacy" || at.filename() == "custom") return at.parent_path();
  }
  return folder;
}

Result<std::vector<Source>> find_scripts(std::span<const std::string_view> arguments) {
  std::vector<Source> out;
  for (std::string_view argument : arguments) {
    const fs::path path(argument);
    std::error_code failure;
    if (!fs::is_directory(path, failure)) {
      out.push_back({path.string(), script_name(path, suite_root(path))});
      continue;
    }
    const size_t before = out.size();
    for (fs::recursive_directory_iterator it(path, failure), end; !failure && it != end; it.increment(failure)) {
      if (it->path().extension() == ".json") out.push_back({it->path().string(), script_name(it->path(), path)});
    }
    if (failure) return Error(ErrorKind::Io, "cannot read '" + path.string() + "': " + failure.message());
    if (out.size() == before) {
      return Error(ErrorKind::Io, "'" + path.string() +
                                      "' holds no test scripts (*.json); make them with wast2json or json-from-wast");
    }
  }
  std::sort(out.begin(), out.end(), [](const Source& a, const Source& b) { return a.name < b.name; });
  return out;
}

bool selected(const WastOptions& options, const std::string& name) {
  const auto hit = [&](const std::string& pattern) { return fnmatch(pattern.c_str(), name.c_str(), 0) == 0; };
  return (options.only.empty() || std::any_of(options.only.begin(), options.only.end(), hit)) &&
         std::none_of(options.except.begin(), options.except.end(), hit);
}

/// Runs scripts one after another and keeps the accounts.
class Session {
 public:
  Session(const WastOptions& options, Ledger ledger)
      : options_(options),
        ledger_(std::move(ledger)),
        engine_(options.engine.config),
        tiers_(engine_.config().tiers, options.stored) {}

  Result<void> run(const Source& source) {
    if (options_.verbose) {
      std::printf("%s", printable(source.name).c_str());
      std::fflush(stdout);
    }
    const auto start = std::chrono::steady_clock::now();
    auto script = load_script(source.path);
    if (!script) return script.error();
    Counts counts;
    counts.scripts = 1;
    const Engine engine = engine_for(source.name);
    WastRunner runner(engine, *script, options_.stored);
    std::map<uint32_t, const LedgerEntry*> excused;  // lines that failed as expected, for what depends on them
    for (const Command& command : script->commands) {
      judge(source.name, command, runner.run(command), counts, excused);
    }
    for (const Module& module : runner.modules()) tiers_.add(source.name, module);
    const std::string folder =
        source.name.substr(0, source.name.rfind('/') == std::string::npos ? 0 : source.name.rfind('/'));
    totals_[folder.empty() ? "core" : folder] += counts;
    names_.push_back(source.name);
    if (options_.verbose) {
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
      std::printf(": %zu passed, %zu expected, %zu skipped, %zu failed, %.1f ms\n", counts.passed, counts.expected,
                  counts.skipped, counts.failed, took.count());
    }
    return {};
  }

  /// Prints the accounts; true when all went as the ledger says.
  bool finish() {
    check_unused();
    Counts all;
    std::printf("%-30s %7s %10s %7s %8s %8s %6s\n", "folder", "scripts", "assertions", "passed", "expected", "skipped",
                "failed");
    for (const auto& [folder, counts] : totals_) {
      print(folder.c_str(), counts);
      all += counts;
    }
    if (totals_.size() > 1) print("all", all);
    if (!reasons_.empty()) std::printf("expected failures (the ledger's reasons):\n");
    for (const auto& [reason, count] : reasons_) std::printf("  %6zu  %s\n", count, reason.c_str());
    if (all.skipped)
      std::printf("skipped: %zu assertions on modules in the text format, which vmrun does not read\n", all.skipped);
    if (other_failures_) std::printf("failures that are no assertions: %zu\n", other_failures_);
    const bool in_place = !options_.engine.config.count_runs || tiers_.finish();
    return all.failed == 0 && other_failures_ == 0 && in_place;
  }

 private:
  /// The engine that all scripts share, or one without the proposals that this script does without.
  Engine engine_for(const std::string& name) const {
    const FeatureSet without = ledger_.without(name);
    if (without.empty()) return engine_;
    Config config = options_.engine.config;
    for (unsigned i = 0; i < kFeatureCount; ++i) {
      if (without.has(static_cast<Feature>(i))) config.features.erase(static_cast<Feature>(i));
    }
    return Engine(config);
  }

  static void print(const char* folder, const Counts& c) {
    std::printf("%-30s %7zu %10zu %7zu %8zu %8zu %6zu\n", folder, c.scripts, c.assertions, c.passed, c.expected,
                c.skipped, c.failed);
  }

  void complain(const std::string& script, const Command& command, const std::string& what) {
    std::printf("%s%s:%u: %s: %s\n", options_.verbose ? "\n" : "", printable(script).c_str(), command.line,
                to_string(command.type), printable(what).c_str());
  }

  void judge(const std::string& script, const Command& command, const CommandOutcome& outcome, Counts& counts,
             std::map<uint32_t, const LedgerEntry*>& excused) {
    const bool asserts = is_assertion(command.type);
    counts.assertions += asserts;
    const LedgerEntry* entry = ledger_.find(script, command.line);
    if (entry) seen_.emplace(entry, command.line);
    switch (outcome.verdict) {
      case Verdict::pass:
        if (entry && !entry->lines.empty()) {
          complain(script, command, "unexpected pass: remove it from the ledger (" + entry->reason + ")");
          count_failure(asserts, counts);
        } else {
          counts.passed += asserts;
        }
        return;
      case Verdict::skip: counts.skipped += asserts; return;
      case Verdict::blocked:
        // A failure that follows from another is excused by it, and is not reported twice.
        if (!entry) entry = excused.contains(outcome.cause) ? excused[outcome.cause] : nullptr;
        break;
      case Verdict::fail: break;
    }
    if (entry) {
      excused[command.line] = entry;
      used_.insert(entry);
      counts.expected += asserts;
      reasons_[entry->reason] += asserts;
      return;
    }
    if (outcome.verdict == Verdict::fail || options_.verbose) complain(script, command, outcome.detail);
    count_failure(asserts, counts);
  }

  void count_failure(bool asserts, Counts& counts) { ++(asserts ? counts.failed : other_failures_); }

  /// Ledger entries that name no command, or excused nothing, although their scripts were run.
  void check_unused() {
    for (const LedgerEntry& entry : ledger_.entries()) {
      const bool ran = std::any_of(names_.begin(), names_.end(), [&](const std::string& n) { return entry.covers(n); });
      if (!ran) continue;
      if (entry.lines.empty() && !used_.contains(&entry)) {
        std::printf("ledger line %u expects failures of '%s%s', and there were none\n", entry.ledger_line,
                    entry.script.c_str(), entry.prefix ? "*" : "");
        ++other_failures_;
      }
      for (uint32_t line : entry.lines) {
        if (seen_.contains({&entry, line})) continue;
        std::printf("ledger line %u names line %u of '%s', where there is no command\n", entry.ledger_line, line,
                    entry.script.c_str());
        ++other_failures_;
      }
    }
  }

  const WastOptions& options_;
  Ledger ledger_;
  Engine engine_;
  WastTiers tiers_;
  std::map<std::string, Counts> totals_;
  std::map<std::string, size_t> reasons_;
  std::set<const LedgerEntry*> used_;                       // excused a failure
  std::set<std::pair<const LedgerEntry*, uint32_t>> seen_;  // met the command of that line
  std::vector<std::string> names_;
  size_t other_failures_ = 0;
};

}  // namespace

std::string wast_options_help(bool markdown) {
  return markdown ? options_markdown<WastOptions>(kWastOptions) : options_help<WastOptions>(kWastOptions);
}

int wast_command(Args args) {
  WastOptions options;
  auto parsed = parse<WastOptions>(kWastOptions, options, args, false);
  if (!parsed) return fail_usage(parsed.error().message, "wast");
  if (parsed->help) return print_help("wast");
  if (parsed->positional.empty()) return fail_usage("wast needs scripts (JSON files or directories)", "wast");
  Ledger ledger;
  if (!options.ledger.empty()) {
    auto loaded = Ledger::load(options.ledger);
    if (!loaded) return fail(loaded.error());
    ledger = std::move(*loaded);
  }
  auto sources = find_scripts(parsed->positional);
  if (!sources) return fail(sources.error());
  Session session(options, std::move(ledger));
  for (const Source& source : *sources) {
    if (!selected(options, source.name)) continue;
    if (auto ran = session.run(source); !ran) return fail(ran.error());
  }
  return session.finish() ? kExitOk : kExitError;
}

}  // namespace vmrun::tools
