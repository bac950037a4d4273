// vmrun run: loads an image, gives it what the command line grants, runs it and turns its end into an exit status.
#include "tools/run.h"

#include <cstdio>

#include "tools/commands.h"
#include "tools/deadline.h"
#include "tools/guest_stack.h"
#include "tools/image.h"
#include "tools/imports.h"
#include "tools/report.h"
#include "tools/values.h"

namespace vmrun::tools {
namespace {

using Clock = std::chrono::steady_clock;

/// An image with what stays the same however often it is run.
struct Program {
  const RunOptions& options;
  std::string image;  // as on the command line
  Engine engine;
  Module module;
  std::vector<std::pair<std::string, Module>> preloads;
  std::vector<std::string> argv;
  Args args;
  std::vector<int> listeners;
  bool needs_wasi = false;
  /// It runs in a task: it starts threads, which are tasks.
  bool needs_executor = false;
};

bool imports_wasi(const Module& module) {
  for (const ImportType& import : module.imports()) {
    if (import.module.starts_with("wasi_")) return true;
  }
  return starts_threads(module);
}

/// A failure to instantiate `module` in the user's terms: what can be done about it.
Error explain(Error error, const Program& program, const Module& module, const Linker& linker) {
  if (error.kind == ErrorKind::Limit) error.message += "; -W help lists the limits";
  if (error.kind == ErrorKind::Unsupported && error.offset) {
    error.message += strf(" at offset 0x%llx", static_cast<unsigned long long>(*error.offset));
  }
  if (error.kind == ErrorKind::Link) error.message += missing_imports_hint(module, linker, program.options);
  return error;
}

/// What to do when the guest is given more descriptors than it may have open.
Error explain_context(Error error, const RunOptions& options) {
  if (error.kind == ErrorKind::Limit) {
    error.message += options.max_descriptors ? "; -S max-descriptors=N allows more"
                                             : "; -S max-descriptors=N or 'ulimit -n' allows more";
  }
  return error;
}

/// "; it exports a, b, ..." with the functions; "" when there are none.
std::string exported_functions(const Module& module) {
  std::string list;
  size_t listed = 0;
  constexpr size_t kMostListed = 20;
  for (const ExportType& item : module.exports()) {
    if (item.type.kind() != ExternKind::Func) continue;
    if (listed == kMostListed) return list + ", ...";
    list += (listed++ == 0 ? "; it exports " : ", ") + printable_name(item.name);
  }
  return list;
}

/// The image has nothing that runs by itself: how to call one of its functions, after what the arguments say was meant.
Error nothing_to_run(const Program& program) {
  const std::string list = exported_functions(program.module);
  std::string message = program.module.has_start() ? "only the start function was run: " : "nothing was run: ";
  message += program.image + " has no _start";
  if (list.empty()) return usage_error(message + " and exports no function");
  const Misplaced meant = sort_arguments(program.args);
  message += "; call an export: vmrun" + std::string(meant.invokes ? "" : " --invoke NAME") + meant.options + " " +
             program.image + (meant.invokes || !meant.others.empty() ? meant.others : " ARGS...");
  return usage_error(message + list);
}

/// The function that --invoke names, or the program's entry. Nothing when the image has no entry (a library).
Result<std::optional<Func>> find_entry(const Program& program, const Instance& instance) {
  if (!program.options.invoke) {
    for (const char* name : {"_start", ""}) {
      if (auto item = instance.get(name); item && item->func()) return std::optional(*item->func());
    }
    // An image that does nothing, or whose start function is all it does, has been run.
    const bool done = program.module.has_start() || exported_functions(program.module).empty();
    if (done && program.args.empty()) return std::optional<Func>();
    return nothing_to_run(program);
  }
  if (auto item = instance.get(*program.options.invoke); item && item->func()) return std::optional(*item->func());
  return usage_error("the image exports no function '" + *program.options.invoke + "'" +
                     exported_functions(program.module));
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
    if (!context) return explain_context(std::move(context).error(), program.options);
    if (auto added = add_wasi(linker, *context); !added) return added.error();
  }
  for (const auto& [name, module] : program.preloads) {
    auto instance = linker.instantiate(store, module);
    if (!instance) return explain(std::move(instance).error(), program, module, linker);
    if (auto done = initialize(*instance); !done) return done.error();
    if (auto defined = linker.define_instance(name, *instance, store); !defined) return defined.error();
  }
  if (program.needs_executor) {
    auto added = linker.add_shared_memories(store, program.module);
    if (!added) return explain(std::move(added).error(), program, program.module, linker);
  }
  auto instance = linker.instantiate(store, program.module);
  if (!instance) return explain(std::move(instance).error(), program, program.module, linker);
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
  if (!values) {
    Error error = std::move(values).error();
    if (!sort_arguments(program.args).options.empty()) error.message += "; options stand before the image";
    return error;
  }
  auto results = (*entry)->call(*values);
  if (!results) return results.error();
  for (const Val& value : *results) std::printf("%s\n", format_value(value).c_str());
  return {};
}

/// Tells how a run ended. Returns the exit status.
int report(const Result<void>& done, const CtrlC& ctrl_c, const Deadline* deadline) {
  const bool stopped = !done && done.error().trap == TrapCode::Interrupted;
  if (ctrl_c.pressed()) {
    // A host call that was cut short may have made the guest end in its own way.
    if (stopped) {
      fail(done.error());
    } else {
      fail("interrupted");
    }
    return kExitCtrlC;
  }
  if (done) return kExitOk;
  if (stopped && deadline && deadline->interrupted()) return fail_trap(deadline->message(), done.error().backtrace);
  return fail(done.error());
}

/// One run in a fresh store. Returns the exit status; a failure has been printed.
int run_once(const Program& program, Deadline* deadline, RunTimes& times) {
  Store store(program.engine, program.options.limits);
  Linker linker(program.engine);
  CtrlC ctrl_c(store);
  if (deadline) deadline->watch(&store);
  const auto start = Clock::now();
  auto ready = start;
  const auto run = [&]() -> Result<void> {
    auto instance = instantiate(program, linker, store);
    ready = Clock::now();
    if (!instance) return std::move(instance).error();
    return run_entry(program, *instance);
  };
  const Result<void> done = program.needs_executor ? run_wasi(store, run) : run();
  times = {ready - start, Clock::now() - ready, store.peak_memory_bytes()};
  const int status = report(done, ctrl_c, deadline);
  if (deadline) deadline->watch(nullptr);
  return status;
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
  Program program{
      options, path, engine, *module, {}, {}, args, *listeners, imports_wasi(*module), starts_threads(*module)};
  for (const auto& [name, file] : options.preloads) {
    auto preload = load_image(engine, file);
    if (!preload) return preload.error();
    program.needs_wasi |= imports_wasi(*preload);
    program.needs_executor |= starts_threads(*preload);
    program.preloads.emplace_back(name, *preload);
  }
  program.needs_wasi &= options.wasi;
  program.needs_executor &= program.needs_wasi && options.threads;
  program.argv.push_back(options.argv0.value_or(image_name(path)));
  program.argv.insert(program.argv.end(), args.begin(), args.end());
  return program;
}

/// All that follows once the command line is understood.
int load_and_run(const RunOptions& options, const Parsed& parsed, Args args, Deadline* deadline) {
  const auto start = Clock::now();
  auto program = load(options, parsed.positional[0], args.subspan(parsed.rest));
  if (!program) return fail(program.error());
  const auto loaded = Clock::now() - start;

  const uint64_t runs = options.repeat.value_or(1);
  for (uint64_t i = 1; i <= runs; ++i) {
    RunTimes times;
    if (deadline && i > 1) deadline->restart();
    const int status = run_once(*program, deadline, times);
    if (options.repeat) print_times(i, runs, times);
    if (status != kExitOk || i == runs) {
      if (options.stats) print_stats(loaded, times, program->module);
      // What is still being compiled nobody wants any more.
      if (program->engine.compiling()) leave(status);
      return status;
    }
  }
  return kExitOk;
}

}  // namespace

void grant(WasiConfig& config, const RunOptions& options, std::vector<std::string> argv) {
  config.args(std::move(argv));
  if (options.inherit_env) config.inherit_env();
  for (const auto& variable : options.env) {
    if (variable.value) {
      config.env(variable.name, *variable.value);
    } else {
      config.inherit_env(variable.name);
    }
  }
  for (const RunOptions::Dir& dir : options.dirs) {
    if (dir.absolute) config.preopen_dir(dir.host, *dir.absolute, dir.read_only);
    config.preopen_dir(dir.host, dir.guest, dir.read_only);
  }
  if (options.max_descriptors) config.max_descriptors(*options.max_descriptors);
  if (options.random_seed) config.random_seed(*options.random_seed);
  config.max_threads(options.threads ? options.max_threads.value_or(WasiConfig::kMaxThreads) : 0);
}

WasiConfig make_wasi_config(const RunOptions& options, std::vector<std::string> argv,
                            const std::vector<int>& listeners) {
  WasiConfig config;
  grant(config, options, std::move(argv));
  // A program dies by SIGPIPE when the reader of its output is gone; so does the command that runs it.
  config.inherit_stdio().stdio_raises();
  for (int fd : listeners) config.preopen_socket(fd);
  return config;
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
  if (auto fit = check_together(options, parsed->positional[0]); !fit) return fail_usage(fit.error().message, "run");

  std::optional<Deadline> deadline;
  if (options.timeout) deadline.emplace(*options.timeout);
  // What is printed to the end is printed within the time limit too.
  return with_guest_stack(options.limits.stack_bytes, options.stack_asked_for, [&] {
    return flushed(load_and_run(options, *parsed, args, deadline ? &*deadline : nullptr));
  });
}

}  // namespace vmrun::tools
