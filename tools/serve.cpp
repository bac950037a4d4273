// vmrun serve: an image as a server. The main thread waits for signals; everything else happens in tasks.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "tools/commands.h"
#include "tools/image.h"
#include "tools/line_log.h"
#include "tools/observer.h"
#include "tools/profiling.h"
#include "tools/report.h"
#include "tools/run.h"
#include "vmrun/executor.h"
#include "vmrun/server.h"

namespace vmrun::tools {
namespace {

/// A guest's stack, unless -W max-wasm-stack says more; and what the host's functions have beneath it.
constexpr uint64_t kGuestStack = uint64_t{1} << 20, kHostStack = uint64_t{256} << 10;

Result<void> check_serve(RunOptions& options, std::string_view image) {
  const auto& s = options.serve;
  if (s.http && s.tcp) return usage_error("a server speaks either --http or --tcp");
  if (!s.http && !s.tcp)
    return usage_error("what is to be served? --http ADDRESS or --tcp ADDRESS, such as --http :8080");
  if (options.listenfd || !options.tcplisten.empty()) {
    return usage_error(
        "guests that are served get a connection, not a listener: -S tcplisten and listenfd are for run");
  }
  if (!options.wasi) return usage_error("what is served is a WASI program: -S wasi=n is for run");
  if (options.unknown_imports_trap) return usage_error("-W unknown-imports-trap is for run");
  if (options.config.tiers == Tiers::Opt) {
    return usage_error(
        "-O tier=opt compiles in the time of the guest that calls: leave it out, auto optimises beside it");
  }
  if (s.tcp && (s.connections || s.max_body || s.max_response || s.idle)) {
    return usage_error("--connections, --max-body, --max-response and --idle are for --http");
  }
  return check_together(options, image);
}

ServerConfig server_config(const RunOptions& options, std::vector<std::string> argv, LineLog& log) {
  const auto& s = options.serve;
  ServerConfig config;
  config.protocol = s.http ? ServerConfig::Protocol::Http : ServerConfig::Protocol::Tcp;
  config.address = s.http ? *s.http : *s.tcp;
  grant(config.wasi, options, std::move(argv));
  config.wasi.stderr_fd(STDERR_FILENO);
  config.limits = options.limits;
  config.timeout = options.timeout;
  if (s.instances) config.instances = *s.instances;
  if (s.connections) config.connections = *s.connections;
  if (s.max_body) config.max_body_bytes = *s.max_body;
  config.max_bodies_bytes = std::max(config.max_bodies_bytes, config.max_body_bytes);
  if (s.max_response) config.max_response_bytes = *s.max_response;
  if (s.idle) config.idle_timeout = *s.idle;
  if (s.grace) config.grace = *s.grace;
  if (!s.quiet) {
    config.log = [&log](std::string_view line) { log.add(line); };
  }
  return config;
}

int serve(const RunOptions& options, const std::string& image, Args args) {
  keep_dump_signal(options);
  // Before there is a second thread: all of them block what this one waits for.
  sigset_t ends;
  sigemptyset(&ends);
  for (int signal : {SIGINT, SIGTERM}) sigaddset(&ends, signal);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  signal(SIGPIPE, SIG_IGN);

  if (auto told = announce(options); !told) return fail(told.error());
  Engine engine(options.config);
  Profiling profiling(options, image, args);
  auto module = load_image_beside(engine, image, options);
  if (!module) return fail(module.error());
  profiling.add(image, *module);
  Observer observer(options, image, args, profiling);
  if (auto begun = observer.begin(Observer::Listens::FromTheStart); !begun) return fail(begun.error());
  std::vector<std::string> argv{options.argv0.value_or(image_name(image))};
  argv.insert(argv.end(), args.begin(), args.end());

  ExecutorConfig tasks;
  tasks.workers = options.serve.workers;
  tasks.pin = options.serve.pin;
  tasks.io = options.serve.io;
  tasks.stack_bytes = (options.stack_asked_for ? options.limits.stack_bytes : kGuestStack) + kHostStack;
  LineLog log;  // outlives the tasks that write to it
  auto executor = Executor::create(tasks);
  if (!executor) return fail(executor.error());
  profiling.watch(*executor);
  auto server = Server::listen(*executor, engine, *module, server_config(options, std::move(argv), log));
  if (!server) {
    profiling.finish({"failure", kExitError});
    return fail(server.error());
  }
  const Observer::Watch watch(observer, *executor, &*server);
  const unsigned workers = executor->stats().workers;
  log.add(strf("serving %s on %s with %u worker%s, %s; Ctrl-C ends it", options.serve.http ? "http" : "tcp",
               server->address().c_str(), workers, workers == 1 ? "" : "s", executor->io()));
  if (options.metrics && !options.metrics->ends_with(":0")) log.add("metrics at " + observer.metrics_place());

  int signal = 0;
  sigwait(&ends, &signal);
  struct sigaction at_once = {};
  at_once.sa_handler = [](int number) { _exit(128 + number); };
  for (int number : {SIGINT, SIGTERM}) sigaction(number, &at_once, nullptr);
  pthread_sigmask(SIG_UNBLOCK, &ends, nullptr);
  server->stop();
  const auto grace = options.serve.grace.value_or(ServerConfig().grace);
  const std::string guests = grace.count() == 0
                                 ? "guests end now"
                                 : "guests may go on for " + duration_text(grace) + "; again ends them at once";
  log.add(strf("%s: no further %s; %s", signal == SIGINT ? "interrupted" : "terminated",
               options.serve.http ? "requests" : "connections", guests.c_str()));
  server->wait();
  profiling.finish({"end", kExitOk});
  module->store();
  const ServerStats stats = server->stats();
  log.add(strf("served %llu connections, %llu guests, %llu of which failed",
               static_cast<unsigned long long>(stats.connections), static_cast<unsigned long long>(stats.requests),
               static_cast<unsigned long long>(stats.failures)));
  return kExitOk;
}

}  // namespace

std::string serve_options_help(bool markdown) {
  return markdown ? options_markdown(serve_rows()) : options_help(serve_rows());
}

int serve_command(Args args) {
  RunOptions options;
  options.config.eager_baseline = true;  // guests are to start at once
  auto parsed = parse(serve_rows(), options, args, true);
  if (options.config.tiers == Tiers::Interp) options.config.eager_baseline = false;
  if (!parsed) return fail_usage(parsed.error().message, "serve");
  if (parsed->help) return print_help("serve");
  if (!parsed->group_help.empty()) {
    std::fputs(parsed->group_help.c_str(), stdout);
    return kExitOk;
  }
  if (parsed->positional.empty()) return fail_usage("no image given", "serve");
  if (auto fit = check_serve(options, parsed->positional[0]); !fit) return fail_usage(fit.error().message, "serve");
  settle_cache(options);
  return serve(options, std::string(parsed->positional[0]), args.subspan(parsed->rest));
}

}  // namespace vmrun::tools
