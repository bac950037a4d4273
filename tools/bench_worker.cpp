// The process of vmrun bench that runs an image under one setting, and what the parent reads of it.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>

#include "tools/bench.h"
#include "tools/report.h"
#include "tools/run.h"
#include "vmrun/profile.h"

namespace vmrun::tools {
namespace {

int64_t clock_time(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

struct Instructions {
  int fd = -1;
  int64_t start = 0;
  std::string tier;
};

std::optional<Instructions> read_instructions(std::string_view text) {
  const size_t first = text.find(','), second = text.find(',', first + 1);
  if (first == text.npos || second == text.npos) return std::nullopt;
  const auto fd = parse_count(text.substr(0, first)), start = parse_count(text.substr(first + 1, second - first - 1));
  if (!fd || !start) return std::nullopt;
  return Instructions{static_cast<int>(*fd), static_cast<int64_t>(*start), std::string(text.substr(second + 1))};
}

/// Reads from two pipes until both are closed, and keeps the beginning of either.
void read_both(int a, std::string& from_a, int b, std::string& from_b) {
  constexpr size_t kMost = size_t{64} << 20;
  pollfd fds[] = {{a, POLLIN, 0}, {b, POLLIN, 0}};
  std::string* texts[] = {&from_a, &from_b};
  char buffer[1 << 14];
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return;
    for (int i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      const ssize_t n = read(fds[i].fd, buffer, sizeof buffer);
      if (n > 0 && texts[i]->size() < kMost) texts[i]->append(buffer, static_cast<size_t>(n));
      if (n == 0 || (n < 0 && errno != EINTR)) fds[i].fd = -1;
    }
  }
}

/// Runs the image until the time is over. What is wrong of it, or nothing.
std::optional<Error> iterate(const Program& program, const WasiConfig& wasi, const RunOptions::Bench& limits,
                             int64_t start, int64_t& first, nlohmann::json& iterations) {
  const int64_t end = clock_time(CLOCK_MONOTONIC) + limits.time.count();
  while (iterations.size() < limits.iterations) {
    Store store(program.engine, program.options.limits);
    Linker linker(program.engine);
    const int64_t begin = clock_time(CLOCK_MONOTONIC);
    const auto run = [&]() -> Result<void> {
      auto instance = instantiate(program, linker, store, wasi);
      if (!instance) return std::move(instance).error();
      if (iterations.empty()) first = clock_time(CLOCK_MONOTONIC) - start;
      auto results = run_entry(program, *instance);
      if (!results) return std::move(results).error();
      return {};
    };
    const Result<void> done = program.starts_threads ? run_wasi(store, run) : run();
    if (!done && !(done.error().kind == ErrorKind::Exit && done.error().exit_status == 0)) return done.error();
    const int64_t now = clock_time(CLOCK_MONOTONIC);
    iterations.push_back({begin - start, now - start});
    if (now >= end) break;
  }
  return std::nullopt;
}

}  // namespace

int bench_worker(RunOptions& options, const Parsed& parsed, Args args, const char* text) {
  const auto instructions = read_instructions(text);
  if (!instructions) return fail_usage(std::string(kWorkerVariable) + " is set, which only vmrun bench does");
  if (auto set = set_tier(options, instructions->tier); !set) return fail(set.error());
  record_compiles();
  const Engine engine(options.config);
  auto preloads = load_preloads(options, engine);
  if (!preloads) return fail(preloads.error());
  auto program = load_program(options, engine, parsed.positional[0], *preloads);
  if (!program) return fail(program.error());
  give_arguments(*program, args.subspan(parsed.rest));
  WasiConfig wasi;
  grant(wasi, options, program->argv);
  wasi.inherit_stdio().stdin_fd(WasiConfig::kNull);

  int64_t first = 0;
  nlohmann::json iterations = nlohmann::json::array();
  if (auto wrong = iterate(*program, wasi, options.bench, instructions->start, first, iterations)) {
    if (wrong->kind == ErrorKind::Exit) {
      return fail("the guest ended with status " + std::to_string(wrong->exit_status));
    }
    return fail(*wrong);
  }
  nlohmann::json report = {
      {"first", first}, {"iterations", std::move(iterations)}, {"pauses", nlohmann::json::array()}};
  int64_t compile = 0;
  for (const CompileRecord& record : compile_records().all) {
    const int64_t length = (record.compiling + record.installing + record.publishing).count();
    compile += length;
    if (!record.background && length >= kPause) report["pauses"].push_back(length);
    if (!record.failure.empty()) continue;
    const int64_t begin = record.begin.time_since_epoch().count();
    const char* tier = record.tier == Tier::Opt ? "opt" : "baseline";
    const int64_t there = begin + length - instructions->start;
    if (!report.contains(tier) || report[tier] > there) report[tier] = there;
  }
  report["compile"] = compile;
  report["processor"] = clock_time(CLOCK_PROCESS_CPUTIME_ID);
  const std::string bytes = report.dump();
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t n = write(instructions->fd, bytes.data() + at, bytes.size() - at);
    if (n <= 0) return fail("cannot report");
    at += static_cast<size_t>(n);
  }
  leave(kExitOk);
}

Result<std::string> run_reporting(const std::vector<std::string>& argv, const std::string& variable,
                                  const std::string& value, int fd) {
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0) return Error(ErrorKind::Io, std::string("no pipe: ") + std::strerror(errno));
  if (pipe2(err, O_CLOEXEC) != 0) {
    close(out[0]), close(out[1]);
    return Error(ErrorKind::Io, std::string("no pipe: ") + std::strerror(errno));
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  // A high number: what is put in place first must not be what comes next.
  posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
  const int end = fcntl(out[1], F_DUPFD_CLOEXEC, 64);
  posix_spawn_file_actions_adddup2(&actions, end, fd);
  std::vector<char*> arguments, environment;
  for (const std::string& arg : argv) arguments.push_back(const_cast<char*>(arg.c_str()));
  arguments.push_back(nullptr);
  const std::string setting = variable + "=" + value;
  for (char** one = environ; *one != nullptr; ++one) {
    if (std::strncmp(*one, setting.c_str(), variable.size() + 1) != 0) environment.push_back(*one);
  }
  if (!variable.empty()) environment.push_back(const_cast<char*>(setting.c_str()));
  environment.push_back(nullptr);
  pid_t child = -1;
  const int error = posix_spawnp(&child, argv[0].c_str(), &actions, nullptr, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  for (int one : {out[1], err[1], end}) close(one);
  std::string report, said;
  if (error == 0) read_both(out[0], report, err[0], said);
  close(out[0]), close(err[0]);
  if (error != 0) return Error(ErrorKind::Io, "cannot start '" + argv[0] + "': " + std::strerror(error));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return report;
  while (said.ends_with('\n')) said.pop_back();
  said = said.substr(0, said.find('\n'));
  std::string how = WIFEXITED(status) ? "status " + std::to_string(WEXITSTATUS(status))
                                      : "signal " + std::to_string(WTERMSIG(status));
  return Error(ErrorKind::Io, said.empty() ? how : said);
}

BenchRun parse_report(const std::string& name, const Result<std::string>& report) {
  BenchRun run;
  run.name = name;
  if (!report) {
    run.failure = report.error().message;
    return run;
  }
  try {
    const auto json = nlohmann::json::parse(*report);
    run.first = json.at("first");
    for (const auto& one : json.at("iterations")) run.iterations.push_back({one.at(0), one.at(1)});
    if (json.contains("baseline")) run.baseline = json["baseline"].get<int64_t>();
    if (json.contains("opt")) run.opt = json["opt"].get<int64_t>();
    run.pauses = json.value("pauses", std::vector<int64_t>());
    run.compile = json.value("compile", int64_t{0});
    run.processor = json.value("processor", int64_t{0});
    if (run.iterations.empty()) run.failure = "it reported no iteration";
  } catch (const nlohmann::json::exception&) {
    run.failure = "its report is no JSON";
  }
  return run;
}

}  // namespace vmrun::tools
