// vmrun run: loads an image, gives it what the command line grants, runs it and turns its end into an exit status.
#include "tools/run.h"

#include <cstdio>

#include "tools/commands.h"
#include "tools/deadline.h"
#include "tools/guest_stack.h"
#include "tools/heap.h"
#include "tools/observer.h"
#include "tools/profiling.h"
#include "tools/program.h"
#include "tools/report.h"

namespace vmrun::tools {
namespace {

using Clock = std::chrono::steady_clock;

/// Bytes of an image whose module takes a millisecond to be freed.
constexpr size_t kLargeModule = 1 << 20;

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

const char* how_it_ended(int status, const Deadline* deadline) {
  if (status == kExitCtrlC) return "interrupt";
  if (deadline && deadline->interrupted()) return "time limit";
  return status == kExitTrap ? "failure" : "end";
}

/// One run in a fresh store. Returns the exit status; a failure has been printed.
int run_once(const Program& program, const WasiConfig& wasi, Deadline* deadline, RunTimes& times) {
  Store store(program.engine, program.options.limits);
  Linker linker(program.engine);
  CtrlC ctrl_c(store);
  if (deadline) deadline->watch(&store);
  const auto start = Clock::now();
  auto ready = start;
  const auto run = [&]() -> Result<void> {
    auto instance = instantiate(program, linker, store, wasi);
    ready = Clock::now();
    if (!instance) return std::move(instance).error();
    auto results = run_entry(program, *instance);
    if (!results) return std::move(results).error();
    std::fputs(results->c_str(), stdout);
    return {};
  };
  const Result<void> done = program.starts_threads ? run_wasi(store, run) : run();
  times = {ready - start, Clock::now() - ready, store.peak_memory_bytes()};
  const int status = report(done, ctrl_c, deadline);
  if (deadline) deadline->watch(nullptr);
  return status;
}

/// All that follows once the command line is understood, in a guest of the calling thread's.
int load_and_run(const RunOptions& options, const Parsed& parsed, Args args, Deadline* deadline) {
  const auto start = Clock::now();
  auto listeners = open_listeners(options);
  if (!listeners) return fail(listeners.error());
  if (auto told = announce(options); !told) return fail(told.error());
  const Engine engine(options.config);
  Profiling profiling(options, parsed.positional[0], args.subspan(parsed.rest));
  Observer observer(options, parsed.positional[0], args.subspan(parsed.rest), profiling);
  if (auto begun = observer.begin(Observer::Listens::WhenSomebodyKnocks); !begun) return fail(begun.error());
  auto preloads = load_preloads(options, engine);
  if (!preloads) return fail(preloads.error());
  prepare_heap(std::string(parsed.positional[0]));
  auto program = load_program(options, engine, parsed.positional[0], *preloads);
  if (!program) return fail(program.error());
  profiling.add(program->image, program->module);
  for (const auto& [name, module] : *preloads) profiling.add(name, module);
  give_arguments(*program, args.subspan(parsed.rest));
  const WasiConfig wasi = make_wasi_config(options, program->argv, *listeners);
  const auto loaded = Clock::now() - start;

  const uint64_t runs = options.repeat.value_or(1);
  for (uint64_t i = 1; i <= runs; ++i) {
    RunTimes times;
    if (deadline && i > 1) deadline->restart();
    const int status = run_once(*program, wasi, deadline, times);
    if (options.repeat) print_times(i, runs, times);
    if (status != kExitOk || i == runs) {
      profiling.finish({how_it_ended(status, deadline), status}, times.peak_memory);
      if (options.stats) print_stats(loaded, times, program->module);
      // What the guest has to say is out before anything is stored, and has no time limit any more.
      std::fflush(stdout);
      if (deadline) deadline->end();
      store_code(*program);
      observer.end();
      // What is still being compiled nobody wants any more, and ending is quicker than giving a large module back.
      if (program->engine.compiling() || program->module.size() >= kLargeModule) leave(status);
      return status;
    }
  }
  return kExitOk;
}

}  // namespace

void give_arguments(Program& program, Args args) {
  program.args = args;
  program.invokes = program.options.invoke.has_value();
  if (program.options.argv0) program.argv[0] = *program.options.argv0;
  program.argv.insert(program.argv.end(), args.begin(), args.end());
}

Result<void> announce(const RunOptions& options) {
  if (options.profile) {
    if (auto told = announce_code(*options.profile); !told) return told;
  }
  if (options.debug_info) return announce_code(CodeTool::GdbLines);
  if (options.gdb) return announce_code(CodeTool::Gdb);
  return {};
}

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
  config.max_threads(options.threads ? options.max_threads.value_or(WasiConfig::kMaxThreads) : 0);
  if (options.random_seed) config.random_seed(*options.random_seed);
}

WasiConfig make_wasi_config(const RunOptions& options, std::vector<std::string> argv,
                            const std::vector<int>& listeners) {
  WasiConfig config;
  grant(config, options, std::move(argv));
  // A program dies by SIGPIPE when the reader of its output is gone; so does the command that runs it.
  config.inherit_stdio().stdio_raises();
  // Each connection of a server takes one.
  if (!listeners.empty() && !options.max_descriptors) config.max_descriptors(descriptors_of_server());
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

  keep_dump_signal(options);
  settle_cache(options);
  std::optional<Deadline> deadline;
  if (options.timeout) deadline.emplace(*options.timeout);
  if (options.many.wanted()) return flushed(run_many(options, *parsed, args, deadline));
  // What is printed to the end is printed within the time limit too.
  return with_guest_stack(options.limits.stack_bytes, options.stack_asked_for, [&] {
    return flushed(load_and_run(options, *parsed, args, deadline ? &*deadline : nullptr));
  });
}

}  // namespace vmrun::tools
