// Everything at once: guests on fibers that are stopped all the time and cancelled at random, while their functions and
// loops are promoted, their code is dropped and reclaimed under them, and whole modules come and go. Each result must
// be the right one; at the end nothing may be left.
//
//   spine_stress [--seconds=30] [--vcpus=8] [--workers=2] [--compile-threads=1] [--seed=N]
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine_impl.h"
#include "engine/guest_task.h"
#include "jit/code/code.h"
#include "jit/code/reclaim.h"
#include "jit/stop/preempt.h"
#include "tiering/manager.h"
#include "vm/runtime/vcpus.h"
#include "vm/wasm/loops.h"
#include "vmrun/vmrun.h"

namespace vmrun::stress {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

struct Settings {
  unsigned seconds = 30, vcpus = 8, workers = 2, compile_threads = 1;
  uint64_t seed = std::random_device{}();
};

constexpr const char* kImage = VMRUN_FIXTURES "/spine_stress.wasm";
struct Workload {
  const char* name;
  int32_t rounds;    // a few milliseconds of the interpreter's time
  int64_t expected;  // by another engine
};
constexpr Workload kWorkloads[] = {
    {"loops", 3000, 14850000},    {"calls", 60000, -1568856845006736458}, {"tails", 200000, 3967255081603730881},
    {"throws", 20000, 200000000}, {"vectors", 200000, -200001},           {"trees", 6000, 24750},
    {"results", 60000, -90000},   {"hosts", 30000, -6117212683059141004},
};
constexpr size_t kWorkloadCount = std::size(kWorkloads);
constexpr size_t kForever = kWorkloadCount;

template <class T>
T must(Result<T> result, const char* what) {
  if (!result) {
    std::fprintf(stderr, "%s: %s\n", what, result.error().to_string().c_str());
    std::abort();
  }
  return std::move(*result);
}

Linker make_linker(const Engine& engine) {
  Linker linker(engine);
  auto defined = linker.func_wrap("env", "host", [](Caller& caller, int64_t x) -> Result<int64_t> {
    if ((x & 15) != 0) return x + 1;
    Result<Func> inner = caller.instance().func("inner");
    if (!inner) return inner.error();
    return inner->typed<int64_t(int64_t)>()->call(x);
  });
  if (!defined) std::abort();
  return linker;
}

TypedFunc<int64_t(int32_t)> function(Instance instance, const char* name) {
  return must(must(instance.func(name), name).typed<int64_t(int32_t)>(), name);
}

std::atomic<uint64_t> runs{0}, wrong{0}, interrupted{0}, unexplained{0}, promoted{0}, refused{0}, dropped{0},
    reclaimed{0}, cancels{0}, generations{0}, doomed{0};

/// The module that guests are to use now.
class Current {
 public:
  explicit Current(Module module) : module_(std::move(module)) {}
  Module get() {
    std::lock_guard lock(mutex_);
    return module_;
  }
  void set(Module module) {
    std::lock_guard lock(mutex_);
    module_ = std::move(module);
  }

 private:
  std::mutex mutex_;
  Module module_;
};

struct Run {
  const Settings& settings;
  Engine engine;
  Current current;
  std::atomic<bool> over{false};
  std::atomic<unsigned> drivers{0};  // that have not ended

  /// A guest after the other, each in a store of its own.
  void drive(uint64_t seed) {
    std::mt19937_64 random(seed);
    const Linker linker = make_linker(engine);
    while (!over.load(std::memory_order_relaxed)) {
      sched::take_cancel();
      Store store(engine);
      const Module module = current.get();
      GuestTask here(store);
      Result<Instance> instance = linker.instantiate(store, module);
      if (!instance) {
        unexplained += sched::take_cancel() == sched::CancelReason::None;
        continue;
      }
      for (unsigned calls = 0; calls < 20 && !over.load(std::memory_order_relaxed); ++calls) {
        const size_t which = random() % 16 == 0 ? kForever : random() % kWorkloadCount;
        const char* name = which == kForever ? "forever" : kWorkloads[which].name;
        Result<int64_t> result = function(*instance, name).call(which == kForever ? 0 : kWorkloads[which].rounds);
        ++runs;
        if (result) {
          wrong += which == kForever || *result != kWorkloads[which].expected;
          continue;
        }
        ++interrupted;
        const bool cancelled = sched::take_cancel() != sched::CancelReason::None;
        if (!cancelled || result.error().trap != TrapCode::Interrupted || result.error().backtrace.empty()) {
          ++unexplained;
          std::fprintf(stderr, "%s: %s\n", name, result.error().to_string().c_str());
        }
      }
    }
    --drivers;
  }

  void promote_something(std::mt19937_64& random) {
    const Module module = current.get();
    const vm::Module& m = *module.impl();
    const auto own = static_cast<uint32_t>(m.funcs.size()) - m.imported_funcs;
    const uint32_t index = m.imported_funcs + static_cast<uint32_t>(random() % own);
    uint32_t unit = jit::kWholeFunction;
    vm::LoopTable* loops = vm::loops_of(m.code(index));
    // The compilers differ in what they make of a loop: only the optimising one has units of a loop alone.
    vm::Tier tier = random() % 4 == 0 ? vm::Tier::opt : vm::Tier::baseline;
    if (loops != nullptr && loops->count != 0 && random() % 2 == 0) {
      unit = loops->loops[random() % loops->count].offset;
      tier = vm::Tier::opt;
    }
    const std::string why = tiering::Manager::promote(m, index, tier, unit);
    ++(why.empty() ? promoted : refused);
  }

  void drop_something(std::mt19937_64& random) {
    const Module module = current.get();
    if (module.impl()->tiers == nullptr) return;
    auto& tiers = *static_cast<tiering::ModuleTiers*>(module.impl()->tiers);
    for (uint64_t n = 1 + random() % 4; n != 0; --n) dropped += tiers.drop_oldest() != 0;
  }

  /// A module dies whose functions wait for their compiles or are being compiled.
  void doom_something(std::mt19937_64& random) {
    const Module module = must(Module::compile_file(engine, kImage), kImage);
    const vm::Module& m = *module.impl();
    const auto own = static_cast<uint32_t>(m.funcs.size()) - m.imported_funcs;
    for (uint32_t i = 0; i < own; ++i) {
      vm::FuncCode& code = m.code(m.imported_funcs + i);
      for (int heats = 0; heats < 200; ++heats) m.tiers->hot_function(m.tiers, code);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    ++doomed;
  }

  /// What happens to guests until time is over.
  void disturb(std::vector<sched::Task>& tasks) {
    std::mt19937_64 random(settings.seed);
    const auto end = Clock::now() + std::chrono::seconds(settings.seconds);
    auto next_generation = Clock::now() + 300ms;
    // For longer where so little time comes to us that nothing happened yet.
    while (Clock::now() < end || runs == 0 || promoted == 0) {
      switch (random() % 8) {
        case 0:
        case 1:
        case 2: promote_something(random); break;
        case 3: drop_something(random); break;
        case 4:
        case 5: reclaimed += jit::reclaim_code(); break;
        default: tasks[random() % tasks.size()].cancel(); ++cancels;
      }
      if (Clock::now() > next_generation) {
        next_generation += 300ms;
        current.set(must(Module::compile_file(engine, kImage), kImage));
        ++generations;
        doom_something(random);
      }
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
    }
    over = true;
    // Some run for ever.
    while (drivers.load() != 0) {
      for (sched::Task& task : tasks) task.cancel();
      std::this_thread::sleep_for(1ms);
    }
  }
};

Config engine_config(const Settings& settings) {
  Config config;
  config.compile_threads = settings.compile_threads;
  return config;
}

int stress(const Settings& settings) {
  std::printf("seed %llu\n", static_cast<unsigned long long>(settings.seed));
  sched::Counters counters;
  {
    Engine engine(engine_config(settings));
    Run run{settings, engine, Current(must(Module::compile_file(engine, kImage), kImage))};
    sched::Config config;
    config.workers = settings.workers;
    config.slice = 200us;
    config.preempt_alone = true;
    sched::Scheduler scheduler(guest_scheduler_config(config));
    let_scheduler_stop_guests(scheduler);
    run.drivers = settings.vcpus;
    {
      std::vector<sched::Task> tasks;
      for (unsigned i = 0; i < settings.vcpus; ++i) {
        tasks.push_back(scheduler.spawn([&run, i] { run.drive(run.settings.seed + i + 1); }));
      }
      run.disturb(tasks);
    }
    scheduler.wait_idle();
    counters = scheduler.counters();
  }
  while (jit::CodeSpace::get().retired_objects() != 0) {
    const size_t freed = jit::reclaim_code();
    reclaimed += freed;
    if (freed == 0) break;
  }
  const jit::CodeSpace& space = jit::CodeSpace::get();
  const jit::PreemptCounts stops = jit::preempt_counts();
  auto line = [](const char* what, uint64_t n) {
    std::printf("%-34s %llu\n", what, static_cast<unsigned long long>(n));
  };
  line("calls", runs);
  line("interrupted", interrupted);
  line("cancellations", cancels);
  line("preemptions", counters.preemptions);
  line("of machine code, by signal", stops.stops);
  line("moves to another thread", counters.migrations);
  line("promotions", promoted);
  line("promotions refused", refused);
  line("code objects dropped", dropped);
  line("code objects reclaimed here", reclaimed);
  line("modules", generations);
  line("modules dead in mid-compile", doomed);
  line("WRONG RESULTS", wrong);
  line("UNEXPLAINED FAILURES", unexplained);
  line("LIVE FUNCTIONS", space.live_functions());
  line("RETIRED OBJECTS", space.retired_objects());
  uint64_t vcpus = 0;
  vm::for_each_vcpu([](void* count, vm::VcpuEntry&) { ++*static_cast<uint64_t*>(count); }, &vcpus);
  line("LIVE VCPUS", vcpus);
  const bool left = space.live_functions() != 0 || space.retired_objects() != 0 || vcpus != 0;
  const bool bad = wrong != 0 || unexplained != 0 || left;
  const bool idle = runs == 0 || counters.preemptions == 0 || promoted == 0;
  std::printf("%s\n", bad ? "FAILED" : idle ? "nothing happened" : "ok");
  return bad || idle ? 1 : 0;
}

std::optional<uint64_t> value_of(const std::string& argument, const std::string& name) {
  const std::string prefix = "--" + name + "=";
  if (!argument.starts_with(prefix)) return std::nullopt;
  return std::strtoull(argument.c_str() + prefix.size(), nullptr, 0);
}

}  // namespace
}  // namespace vmrun::stress

int main(int argc, char** argv) {
  vmrun::stress::Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    using vmrun::stress::value_of;
    if (auto v = value_of(argument, "seconds")) {
      settings.seconds = static_cast<unsigned>(*v);
    } else if (auto n = value_of(argument, "vcpus")) {
      settings.vcpus = static_cast<unsigned>(*n);
    } else if (auto w = value_of(argument, "workers")) {
      settings.workers = static_cast<unsigned>(*w);
    } else if (auto t = value_of(argument, "compile-threads")) {
      settings.compile_threads = static_cast<unsigned>(*t);
    } else if (auto s = value_of(argument, "seed")) {
      settings.seed = *s;
    } else {
      std::fprintf(stderr, "spine_stress: unknown option %s\n", argv[i]);
      return 2;
    }
  }
  return vmrun::stress::stress(settings);
}
