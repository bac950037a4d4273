// vmrun run: loads an image, gives it what the command line grants, runs it and turns its end into an exit status.
#include "tools/run.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>

#include "tools/commands.h"
#include "tools/image.h"
#include "tools/report.h"
#include "tools/values.h"

namespace vmrun::tools {
namespace {

using Clock = std::chrono::steady_clock;

/// An image with what stays the same however often it is run.
struct Program {
  const RunOptions& options;
  Engine engine;
  Module module;
  std::vector<std::pair<std::string, Module>> preloads;
  std::vector<std::string> argv;
  Args args;
  std::vector<int> listeners;
  bool needs_wasi = false;
};

bool imports_wasi(const Module& module) {
  for (const ImportType& import : module.imports()) {
    if (import.module.starts_with("wasi_")) return true;
  }
  return false;
}

/// A failure to instantiate in the user's terms: what can be done about it.
Error explain(Error error, const Program& program) {
  if (error.kind == ErrorKind::Limit) error.message += "; -W help lists the limits";
  if (error.kind == ErrorKind::Link && error.message.find("unknown import") != error.message.npos) {
    const bool wasi = error.message.find("wasi_") != error.message.npos;
    error.message += wasi && !program.options.wasi ? "; WASI is off (-S wasi=n)"
                                                   : "; provide it with --preload NAME=IMAGE, or let it trap when it "
                                                     "is called: -W unknown-imports-trap";
  }
  return error;
}

/// The function that --invoke names, or the program's entry. Nothing when the image has no entry (a library).
Result<std::optional<Func>> find_entry(const Program& program, const Instance& instance) {
  if (!program.options.invoke) {
    for (const char* name : {"_start", ""}) {
      if (auto item = instance.get(name); item && item->func()) return std::optional(*item->func());
    }
    return std::optional<Func>();
  }
  if (auto item = instance.get(*program.options.invoke); item && item->func()) return std::optional(*item->func());
  std::string message = "the image exports no function '" + *program.options.invoke + "'";
  size_t listed = 0;
  constexpr size_t kMostListed = 20;
  for (const ExportType& item : program.module.exports()) {
    if (item.type.kind() != ExternKind::Func) continue;
    if (listed == kMostListed) message += ", ...";
    if (listed++ >= kMostListed) break;
    message += (listed == 1 ? "; it exports " : ", ") + item.name;
  }
  return usage_error(message);
}

/// Calls the initialiser of a library, if it has one.
Result<void> initialize(const Instance& instance) {
  auto item = instance.get("_initialize");
  if (!item || !item->func()) return {};
  auto done = item->func()->call();
  if (!done) return done.error();
  return {};
}

/// Links and instantiates everything; the instance is the program's.
Result<Instance> instantiate(const Program& program, Linker& linker, Store& store) {
  linker.unknown_imports_trap(program.options.unknown_imports_trap);
  if (program.needs_wasi) {
    auto context = WasiContext::create(make_wasi_config(program.options, program.argv, program.listeners));
    if (!context) return context.error();
    if (auto added = add_wasi(linker, *context); !added) return added.error();
  }
  for (const auto& [name, module] : program.preloads) {
    auto instance = linker.instantiate(store, module);
    if (!instance) return explain(std::move(instance).error(), program);
    if (auto done = initialize(*instance); !done) return done.error();
    if (auto defined = linker.define_instance(name, *instance, store); !defined) return defined.error();
  }
  auto instance = linker.instantiate(store, program.module);
  if (!instance) return explain(std::move(instance).error(), program);
  return instance;
}

Result<void> run_entry(const Program& program, const Instance& instance) {
  auto entry = find_entry(program, instance);
  if (!entry) return entry.error();
  if (!*entry || program.options.invoke) {
    if (auto done = initialize(instance); !done) return done;
  }
  if (!*entry) return {};
  if (!program.options.invoke) {
    auto done = (*entry)->call();
    if (!done) return done.error();
    return {};
  }
  auto values = parse_arguments(*program.options.invoke, (*entry)->type(), program.args);
  if (!values) return values.error();
  auto results = (*entry)->call(*values);
  if (!results) return results.error();
  for (const Val& value : *results) std::printf("%s\n", format_value(value).c_str());
  return {};
}

/// One run in a fresh store. Returns the exit status; a failure has been printed.
int run_once(const Program& program, RunTimes& times) {
  Store store(program.engine, program.options.limits);
  Linker linker(program.engine);
  CtrlC ctrl_c(store);
  std::optional<Deadline> deadline;
  if (program.options.timeout) deadline.emplace(store, *program.options.timeout);
  const auto start = Clock::now();
  auto instance = instantiate(program, linker, store);
  const auto ready = Clock::now();
  Result<void> done;
  if (!instance) {
    done = std::move(instance).error();
  } else {
    done = run_entry(program, *instance);
  }
  times = {ready - start, Clock::now() - ready, store.peak_memory_bytes()};
  deadline.reset();
  if (!ctrl_c.pressed()) return done ? kExitOk : fail(done.error());
  // A host call that was cut short may have made the guest end in its own way.
  if (done || done.error().trap != TrapCode::Interrupted) {
    fail("interrupted");
  } else {
    fail(done.error());
  }
  return kExitCtrlC;
}

Result<Program> load(const RunOptions& options, std::string_view image, Args args) {
  auto listeners = open_listeners(options);  // first: what was passed has the numbers behind the standard streams
  if (!listeners) return listeners.error();
  if (options.profile) {
    if (auto told = announce_code(*options.profile); !told) return told.error();
  }
  if (options.gdb) {
    if (auto told = announce_code(CodeTool::Gdb); !told) return told.error();
  }
  Engine engine(options.config);
  const std::string path(image);
  auto module = load_image(engine, path);
  if (!module) return module.error();
  Program program{options, engine, *module, {}, {}, args, *listeners, imports_wasi(*module)};
  for (const auto& [name, file] : options.preloads) {
    auto preload = load_image(engine, file);
    if (!preload) return preload.error();
    program.needs_wasi |= imports_wasi(*preload);
    program.preloads.emplace_back(name, *preload);
  }
  program.needs_wasi &= options.wasi;
  const size_t slash = path.rfind('/');
  program.argv.push_back(options.argv0.value_or(path.substr(slash == path.npos ? 0 : slash + 1)));
  program.argv.insert(program.argv.end(), args.begin(), args.end());
  return program;
}

double milliseconds(std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

}  // namespace

WasiConfig make_wasi_config(const RunOptions& options, std::vector<std::string> argv,
                            const std::vector<int>& listeners) {
  WasiConfig config;
  // A program dies by SIGPIPE when the reader of its output is gone; so does the command that runs it.
  config.args(std::move(argv)).inherit_stdio().stdio_raises();
  if (options.inherit_env) config.inherit_env();
  for (const auto& variable : options.env) {
    if (variable.value) {
      config.env(variable.name, *variable.value);
    } else {
      config.inherit_env(variable.name);
    }
  }
  for (const RunOptions::Dir& dir : options.dirs) {
    for (const std::string& guest : dir.guests) config.preopen_dir(dir.host, guest, dir.read_only);
  }
  for (int fd : listeners) config.preopen_socket(fd);
  if (options.max_descriptors) config.max_descriptors(*options.max_descriptors);
  if (options.random_seed) config.random_seed(*options.random_seed);
  return config;
}

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

void print_stats(std::chrono::nanoseconds load, const RunTimes& times, const Module& module) {
  std::fflush(stdout);
  const TranslationStats translated = module.translation_stats();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto line = [](const char* what, const std::string& value) {
    std::fprintf(stderr, "%-28s %s\n", what, value.c_str());
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
    constexpr size_t kShown = 5;
    for (size_t i = 0; i < std::min(kShown, stats.reasons.size()); ++i) {
      line("", strf("%6llu  %s", number(stats.reasons[i].second), stats.reasons[i].first.c_str()));
    }
  }
  if (const std::string profile = profile_summary(module); !profile.empty()) line("profile", profile);
  line("peak linear memory", strf("%.1f MiB", static_cast<double>(times.peak_memory) / (1 << 20)));
  line("peak resident memory", strf("%.1f MiB", static_cast<double>(usage.ru_maxrss) / 1024));
}

std::string run_options_help(bool markdown) {
  return markdown ? options_markdown(run_rows()) : options_help(run_rows());
}

int run_command(Args args) {
  RunOptions options;
  auto parsed = parse(run_rows(), options, args, true);
  if (!parsed) return fail_usage(parsed.error().message, "run");
  if (parsed->help) return print_help("run");
  if (!parsed->group_help.empty()) {
    std::fputs(parsed->group_help.c_str(), stdout);
    return kExitOk;
  }
  if (parsed->positional.empty()) return fail_usage("no image given", "run");

  const auto start = Clock::now();
  auto program = load(options, parsed->positional[0], args.subspan(parsed->rest));
  if (!program) return fail(program.error());
  const auto loaded = Clock::now() - start;

  const uint64_t runs = options.repeat.value_or(1);
  for (uint64_t i = 1; i <= runs; ++i) {
    RunTimes times;
    const int status = run_once(*program, times);
    if (options.repeat) {
      std::fflush(stdout);
      std::fprintf(stderr, "run %llu of %llu: instantiate %.3f ms, run %.3f ms\n", static_cast<unsigned long long>(i),
                   static_cast<unsigned long long>(runs), milliseconds(times.instantiate), milliseconds(times.run));
    }
    if (status != kExitOk || i == runs) {
      if (options.stats) print_stats(loaded, times, program->module);
      // What is still being compiled nobody wants any more.
      if (program->engine.compiling()) leave(status);
      return status;
    }
  }
  return kExitOk;
}

}  // namespace vmrun::tools
