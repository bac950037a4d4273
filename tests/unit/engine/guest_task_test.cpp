// Guests on fibers: they share threads, are stopped wherever they are, move between threads and are cancelled.
#include "engine/guest_task.h"

#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "tests/unit/engine/fixture.h"

namespace vmrun::test {
namespace {

using namespace std::chrono_literals;

constexpr Tiers kTiers[] = {Tiers::Interp, Tiers::Baseline, Tiers::Opt};

sched::Config two_workers() {
  sched::Config config;
  config.workers = 2;
  config.slice = 200us;
  config.preempt_alone = true;
  return guest_scheduler_config(config);
}

Config engine_config(Tiers tiers) {
  Config config;
  config.tiers = tiers;
  return config;
}

TEST_CASE("guests that are stopped every slice come to the same results, on either thread") {
  for (Tiers tiers : kTiers) {
    CAPTURE(static_cast<int>(tiers));
    Engine engine(engine_config(tiers));
    const Module module = load(engine, "interp_loops");
    Linker linker(engine);
    constexpr int32_t kRounds = 2'000'000;
    double expected = 0;
    {
      Store store(engine);
      expected = ok(ok(ok(ok(linker.instantiate(store, module)).func("mixed")).typed<double(int32_t)>()).call(kRounds));
    }
    sched::Scheduler scheduler(two_workers());
    let_scheduler_stop_guests(scheduler);
    constexpr unsigned kGuests = 6;
    std::atomic<unsigned> wrong{0}, moved{0};  // moved: the call ended on another thread
    // As often as it takes for them to be stopped and to move.
    do {
      for (unsigned i = 0; i < kGuests; ++i) {
        scheduler.spawn([&] {
          Store store(engine);
          GuestTask here(store);
          auto function = ok(ok(ok(linker.instantiate(store, module)).func("mixed")).typed<double(int32_t)>());
          const long before = syscall(SYS_gettid);  // get_id() is taken for a constant of the function
          wrong += ok(function.call(kRounds)) != expected;
          moved += syscall(SYS_gettid) != before;
        });
      }
      scheduler.wait_idle();
    } while (scheduler.counters().preemptions <= kGuests || scheduler.counters().migrations == 0 || moved == 0);
    CHECK(wrong == 0);
  }
}

TEST_CASE(
    "a host function of a guest in a task may run guests of a store of its own, which are stopped and move, too") {
  for (Tiers tiers : kTiers) {
    CAPTURE(static_cast<int>(tiers));
    Engine engine(engine_config(tiers));
    const Module outer = load(engine, "engine_basic"), loops = load(engine, "interp_loops");
    Linker linker(engine);
    ok(linker.func_wrap("env", "add", [](int32_t a, int32_t b) { return a + b; }));
    ok(linker.func_wrap("env", "note", [](int64_t, double) {}));
    ok(linker.func_wrap("env", "again", [](int32_t n) { return n; }));
    constexpr int32_t kRounds = 1'000'000;
    double expected = 0;
    {
      Store store(engine);
      expected = ok(ok(ok(ok(linker.instantiate(store, loops)).func("mixed")).typed<double(int32_t)>()).call(kRounds));
    }
    std::atomic<unsigned> right{0}, deep{0}, again{0};
    Linker nesting(engine);
    ok(nesting.func_wrap("env", "add", [](int32_t a, int32_t b) { return a + b; }));
    ok(nesting.func_wrap("env", "note", [](int64_t, double) {}));
    ok(nesting.func_wrap("env", "again", [&](int32_t n) {
      Store inner(engine);
      auto mixed = ok(ok(ok(linker.instantiate(inner, loops)).func("mixed")).typed<double(int32_t)>());
      right += ok(mixed.call(kRounds)) == expected;
      auto down = ok(ok(ok(linker.instantiate(inner, outer)).func("down")).typed<int32_t(int32_t)>());
      const Result<int32_t> fell = down.call(0);
      deep += !fell && fell.error().trap == TrapCode::StackOverflow;
      auto fresh = ok(ok(ok(linker.instantiate(inner, loops)).func("mixed")).typed<double(int32_t)>());
      again += ok(fresh.call(kRounds)) == expected;
      return n + 1;
    }));
    sched::Scheduler scheduler(two_workers());
    let_scheduler_stop_guests(scheduler);
    unsigned guests = 0;
    std::atomic<unsigned> ended{0};
    do {
      for (unsigned i = 0; i < 4; ++i, ++guests) {
        scheduler.spawn([&] {
          Store store(engine);
          GuestTask here(store);
          auto add = ok(ok(ok(nesting.instantiate(store, outer)).func("nested")).typed<int32_t(int32_t)>());
          ended += ok(add.call(41)) == 42;
        });
      }
      scheduler.wait_idle();
    } while (scheduler.counters().preemptions <= 4 || scheduler.counters().migrations == 0);
    CHECK(ended == guests);
    CHECK(right == guests);
    CHECK(deep == guests);
    CHECK(again == guests);
  }
}

TEST_CASE("cancelling a task ends its guest, wherever that is") {
  for (Tiers tiers : kTiers) {
    CAPTURE(static_cast<int>(tiers));
    Engine engine(engine_config(tiers));
    const Module module = load(engine, "stop_spin");
    Linker linker(engine);
    sched::Scheduler scheduler(two_workers());
    let_scheduler_stop_guests(scheduler);
    const std::vector<const char*> names{"loop",   "nested", "calls",  "tail_calls", "indirect",
                                         "memory", "grow",   "throws", "bulk",       "table"};
    std::atomic<unsigned> interrupted, known, placed;
    // A deadline is later and later while it comes before a guest has begun, as it may on a busy machine.
    auto soon = 50ms;
    do {
      interrupted = known = placed = 0;
      std::vector<sched::Task> tasks;
      for (size_t i = 0; i < names.size(); ++i) {
        sched::SpawnOptions options;
        if (i % 2 != 0) options.deadline = sched::Clock::now() + soon;
        tasks.push_back(scheduler.spawn(
            [&, name = names[i], i] {
              Store store(engine);
              GuestTask here(store);
              Result<Instance> instance = linker.instantiate(store, module);
              if (!instance) return;
              auto result = ok(ok(instance->func(name)).typed<void()>()).call();
              interrupted += !result && result.error().trap == TrapCode::Interrupted;
              placed += !result && !result.error().backtrace.empty();
              known +=
                  sched::take_cancel() == (i % 2 != 0 ? sched::CancelReason::Deadline : sched::CancelReason::Requested);
            },
            options));
      }
      std::this_thread::sleep_for(soon);
      for (size_t i = 0; i < names.size(); i += 2) tasks[i].cancel();
      scheduler.wait_idle();
      soon *= 4;
    } while (placed != names.size() && soon < 20s);
    CHECK(interrupted == names.size());
    CHECK(placed == names.size());
    CHECK(known == names.size());
  }
}

}  // namespace
}  // namespace vmrun::test
