#include "compare.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <random>
#include <thread>

namespace vmrun::test {
namespace {

using Clock = std::chrono::steady_clock;

/// How a module is run, the same in every way.
ExerciseOptions make_options(uint64_t seed, bool canaries, std::optional<bool> fuel) {
  ExerciseOptions options;
  options.seed = seed;
  options.canaries = canaries;
  // Often enough, for some modules, that functions turn hot in mid-run.
  options.rounds = seed % 4 == 0 ? 400 : 3;
  options.time = std::chrono::seconds(20);
  std::mt19937_64 random(seed);
  options.instances = random() % 3 == 0 ? 2 : 1;
  options.one_store = random() % 2 == 0;
  options.lively = random() % 2 == 0;
  const bool metered = random() % 3 == 0;
  const bool scarce = random() % 2 == 0;
  using Fuel = ExerciseOptions::Fuel;
  if (fuel.value_or(metered)) options.fuel = scarce ? Fuel::scarce : Fuel::plenty;
  return options;
}

/// The traces of all threads of a way.
std::vector<Trace> run(const Way& way, const Module& module, ExerciseOptions options, uint64_t seed) {
  std::vector<Trace> traces(way.threads);
  std::vector<std::jthread> others;
  for (unsigned i = 1; i < way.threads; ++i) {
    others.emplace_back([&, options, i]() mutable {
      options.meanwhile = disturbance(way, module, seed + i);
      traces[i] = exercise(module, options);
    });
  }
  options.meanwhile = disturbance(way, module, seed);
  traces[0] = exercise(module, options);
  others.clear();
  return traces;
}

class Comparer {
 public:
  Comparer(const Comparison& comparison, const std::string& name, const Image& image, uint64_t seed, bool soon)
      : c_(comparison), name_(name), image_(image), seed_(seed), soon_(soon) {}

  bool all() {
    for (size_t i = 0; i < c_.ways.size(); ++i) {
      const auto begin = Clock::now();
      const bool good = c_.ways[i].node ? in_node_too(i) : one(i);
      const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
      Counts::shared().way(i).microseconds += static_cast<uint64_t>(took);
      if (!good) return false;
    }
    return true;
  }

 private:
  bool one(size_t index) {
    Way way = c_.ways[index];
    const ExerciseOptions options = make_options(seed_, c_.canaries, c_.fuel);
    way.config.fuel = options.fuel != ExerciseOptions::Fuel::none;
    // Who runs out does so in front of a segment, which depends on what the segments are.
    way.each &= options.fuel == ExerciseOptions::Fuel::plenty;
    Result<Module> module = load(way, image_, seed_);
    if (!module) return different(module.error().to_string());
    const std::vector<Trace> traces = run(way, *module, options, seed_);
    if (index == 0) first_ = traces[0];
    Counts::Way& counts = Counts::shared().way(index);
    for (const Trace& trace : traces) {
      if (!trace.escaped.empty()) return different(way.name + " has changed " + trace.escaped);
      if (soon_ && trace.interrupted) return different(way.name + " does not end");
      const std::string where = difference(first_, trace);
      if (!where.empty()) return different(c_.ways.front().name + " and " + way.name + " differ at " + where);
      counts.lines += trace.lines.size();
    }
    ++counts.modules;
    counts.cut += traces[0].cut;
    Counts::shared().guarded += traces[0].guarded;
    Counts::shared().alone += traces[0].alone;
    return true;
  }

  /// Node does less: its run is compared with one of the first way that does no more.
  bool in_node_too(size_t index) {
    if (c_.oracle == nullptr || !c_.oracle->works()) return true;
    Result<Module> module = load(c_.ways.front(), image_, seed_);
    if (!module) return different(module.error().to_string());
    ExerciseOptions options;
    options.seed = seed_;
    options.plain = true;
    options.time = std::chrono::seconds(20);
    const Trace ours = in_node(exercise(*module, options));
    Trace theirs;
    std::string why;
    if (!c_.oracle->run(image_, ours.calls, c_.scratch, theirs, why)) {
      Counts::shared().skipped(why);
      return true;
    }
    const std::string where = difference(ours, theirs);
    if (!where.empty()) return different(c_.ways.front().name + " and node differ at " + where);
    Counts::Way& counts = Counts::shared().way(index);
    ++counts.modules;
    counts.lines += theirs.lines.size();
    counts.cut += theirs.cut;
    return true;
  }

  bool different(const std::string& what) {
    std::printf("%s: %s\n", name_.c_str(), what.c_str());
    return false;
  }

  const Comparison& c_;
  const std::string& name_;
  const Image& image_;
  const uint64_t seed_;
  const bool soon_;
  Trace first_;
};

}  // namespace

bool agree(const Comparison& comparison, const std::string& name, const Image& image, uint64_t seed, bool soon) {
  std::fflush(stdout);
  ++Counts::shared().tried;
  const pid_t pid = fork();
  if (pid == 0) {
    // Whatever hangs is killed: by its processor time, because the machine may be busy with something else, and late
    // otherwise.
    const rlimit limit{300, 300};
    setrlimit(RLIMIT_CPU, &limit);
    alarm(3600);
    const bool good = Comparer(comparison, name, image, seed, soon).all();
    std::fflush(stdout);
    _exit(good ? 0 : 1);
  }
  int status = 0;
  const bool good = pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
  if (WIFSIGNALED(status)) std::printf("%s: killed by signal %d\n", name.c_str(), WTERMSIG(status));
  if (WIFEXITED(status) && WEXITSTATUS(status) > 1)
    std::printf("%s: ends with %d\n", name.c_str(), WEXITSTATUS(status));
  if (!good) ++Counts::shared().different;
  return good;
}

}  // namespace vmrun::test
