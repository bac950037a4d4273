// Processor time by store: who is charged, who is ended by it, and what does not count.
#include <atomic>
#include <chrono>
#include <ctime>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "tests/unit/engine/fixture.h"
#include "vmrun/executor.h"

namespace vmrun::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

nanoseconds thread_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}
void work_for(nanoseconds time) {
  for (const auto end = thread_time() + time; thread_time() < end;) {
  }
}

constexpr Tiers kTiers[] = {Tiers::Interp, Tiers::Baseline, Tiers::Opt, Tiers::Auto};

TEST_CASE("a store that has used up its processor time traps until it has more, and no other does") {
  for (const Tiers tiers : kTiers) {
    Config config;
    config.tiers = tiers;
    StoreLimits limits;
    limits.cpu_time = 30ms;
    Basic b(config, limits), other(config);
    const auto before = thread_time();
    const Error error = b.func<void()>("spin").call().error();
    const auto taken = thread_time() - before;
    CHECK(error.trap == TrapCode::Interrupted);
    CHECK(error.message == "the processor time of the store is used up");
    CHECK(b.store.cpu_time() >= 30ms);
    CHECK(b.store.cpu_time() <= taken + 1ms);
    CHECK(taken < 5s);
    const auto add = b.func<int32_t(int32_t, int32_t)>("add");
    CHECK(add.call(2, 3).error().trap == TrapCode::Interrupted);
    b.store.clear_interrupt();  // takes nothing of it back
    CHECK(add.call(2, 3).error().trap == TrapCode::Interrupted);
    CHECK(ok(other.func<int32_t(int32_t, int32_t)>("add").call(2, 3)) == 5);
    CHECK(other.store.cpu_time() == 0ns);
    b.store.set_cpu_time_limit(b.store.cpu_time() + 30ms);
    CHECK(ok(add.call(2, 3)) == 5);
    CHECK(b.func<void()>("spin").call().error().trap == TrapCode::Interrupted);
    CHECK(b.store.cpu_time() >= 60ms);
  }
}

TEST_CASE("host functions count, waits do not") {
  Basic b;
  Linker linker(b.engine);
  linker.unknown_imports_trap(true);
  std::function<void()> in_host;
  ok(linker.func_wrap("env", "add", [&](int32_t x, int32_t y) {
    in_host();
    return x + y;
  }));
  ok(linker.func_wrap("env", "note", [](int64_t, double) {}));
  const Instance instance = ok(linker.instantiate(b.store, load(b.engine, "engine_basic")));
  const auto via_host = ok(ok(instance.func("via_host")).typed<int32_t(int32_t, int32_t)>());
  b.store.set_cpu_time_limit(nanoseconds::max());
  in_host = [] { std::this_thread::sleep_for(60ms); };
  CHECK(ok(via_host.call(2, 3)) == 5);
  CHECK(b.store.cpu_time() < 50ms);
  in_host = [] { work_for(20ms); };
  CHECK(ok(via_host.call(2, 3)) == 5);
  CHECK(b.store.cpu_time() >= 20ms);
  // A call that is nested in another counts once.
  const auto so_far = b.store.cpu_time();
  bool inner = false;
  in_host = [&] {
    if (std::exchange(inner, true)) return work_for(20ms);
    CHECK(ok(via_host.call(1, 1)) == 2);
  };
  const auto before = thread_time();
  CHECK(ok(via_host.call(2, 3)) == 5);
  CHECK(b.store.cpu_time() - so_far <= thread_time() - before);
  // The limit is reached in a host function: the guest ends when it goes on.
  b.store.set_cpu_time_limit(b.store.cpu_time() + 10ms);
  in_host = [] { work_for(40ms); };
  CHECK(via_host.call(2, 3).error().trap == TrapCode::Interrupted);
}

TEST_CASE("tasks take turns, and each is charged for its own") {
  Engine engine;
  const Module module = load(engine, "engine_basic");
  Executor executor = ok(Executor::create({.workers = 1, .slice = 1ms}));
  constexpr int kGuests = 4;
  StoreLimits limits;
  limits.cpu_time = 40ms;
  std::vector<std::unique_ptr<Store>> stores;
  std::atomic<int> ended{0}, rested{0};
  for (int i = 0; i < kGuests; ++i) {
    Store& store = *stores.emplace_back(std::make_unique<Store>(engine, limits));
    ok(executor.spawn(store, [&, i] {
      Linker linker(engine);
      linker.unknown_imports_trap(true);
      // Two of them wait in a host function, far longer than their limit of time, and use next to nothing.
      ok(linker.func_wrap("env", "again", [&](int32_t) {
        this_task::sleep_for(120ms);
        return 7;
      }));
      const Instance instance = ok(linker.instantiate(store, module));
      if (i % 2 == 0) {
        if (ok(ok(instance.func("spin")).typed<void()>()).call().error().trap == TrapCode::Interrupted) ++ended;
      } else {
        if (ok(ok(ok(instance.func("nested")).typed<int32_t(int32_t)>()).call(1)) == 7) ++rested;
      }
    }));
  }
  executor.wait_idle();
  CHECK(ended == kGuests / 2);
  CHECK(rested == kGuests / 2);
  for (int i = 0; i < kGuests; ++i) {
    if (i % 2 == 0) {
      CHECK(stores[i]->cpu_time() >= 40ms);
    } else {
      CHECK(stores[i]->cpu_time() < 40ms);
    }
  }
}

TEST_CASE("stores that are threads of one program use up one limit, and limits may come and go") {
  StoreLimits limits;
  limits.cpu_time = 40ms;
  Basic b({}, limits);
  const std::unique_ptr<Store> beside = Store::beside(b.store);
  CHECK(b.func<void()>("spin").call().error().trap == TrapCode::Interrupted);
  CHECK(beside->cpu_time() == b.store.cpu_time());
  Linker linker(b.engine);
  linker.unknown_imports_trap(true);
  const Instance twin = ok(linker.instantiate(*beside, load(b.engine, "engine_basic")));
  const auto add = ok(ok(twin.func("add")).typed<int32_t(int32_t, int32_t)>());
  CHECK(add.call(2, 3).error().trap == TrapCode::Interrupted);
  beside->set_cpu_time_limit(nanoseconds::max());
  CHECK(ok(add.call(2, 3)) == 5);
  CHECK(ok(b.func<int32_t(int32_t, int32_t)>("add").call(2, 3)) == 5);
  b.store.set_cpu_time_limit(-5ns);  // as 0
  CHECK(b.func<int32_t(int32_t, int32_t)>("add").call(2, 3).error().trap == TrapCode::Interrupted);
}

}  // namespace
}  // namespace vmrun::test
