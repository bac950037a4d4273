// What tasks hold processors for, and which tasks a query names.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "sched/scheduler.h"
#include "tests/unit/sched/fixture.h"

using namespace vmrun::sched;
using namespace vmrun::test;
using namespace std::chrono_literals;
using Order = TaskQuery::Order;

namespace {

/// Keeps the processor for so long.
void spin(Clock::duration time) {
  for (const auto end = Clock::now() + time; Clock::now() < end;) {
  }
}

const TaskState* named(const std::vector<TaskState>& tasks, const std::string& name) {
  const auto at = std::ranges::find(tasks, name, &TaskState::name);
  return at != tasks.end() ? &*at : nullptr;
}

double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

TEST_CASE("what tasks hold a processor for is counted while that is asked for, one that never lets go included") {
  Scheduler s({.workers = 2});
  std::atomic<bool> over{false};
  const Task busy = s.spawn(
      [&] {
        while (!over) spin(1ms);
      },
      {.name = "busy"});
  const Task polite = s.spawn(
      [&] {
        while (!over) {
          spin(1ms);
          sleep_for(3ms);
        }
      },
      {.name = "polite"});
  const Task idle = s.spawn(
      [&] {
        while (!over) sleep_for(20ms);
      },
      {.name = "idle"});
  std::this_thread::sleep_for(50ms);
  CHECK(named(s.tasks({.most = 10}), "busy")->used == 0ns);  // nobody asked

  s.account(true);
  const auto before = s.tasks({.most = 10});
  const auto start = Clock::now();
  std::this_thread::sleep_for(200ms);
  Clock::duration all{};
  const auto after = s.tasks({.most = 10, .order = Order::Used, .recent_of_all = &all});
  const double took = seconds(Clock::now() - start);
  REQUIRE(after.size() == 3);
  CHECK(after[0].name == "busy");
  CHECK(after[2].name == "idle");
  const auto used = [&](const char* name) { return seconds(named(after, name)->used - named(before, name)->used); };
  CHECK(used("busy") > 0.9 * took);
  CHECK(used("busy") <= 1.02 * took + 0.01);
  CHECK(used("polite") > 0);
  CHECK(used("polite") < used("busy"));
  CHECK(all == after[0].recent + after[1].recent + after[2].recent);
  for (const TaskState& task : after) {
    CHECK(task.recent == named(after, task.name)->used - named(before, task.name)->used);
    CHECK(task.age >= 200ms);
    CHECK(task.age < 60s);
  }

  s.account(false);
  const auto still = s.tasks({.most = 10});
  std::this_thread::sleep_for(50ms);
  CHECK(named(s.tasks({.most = 10}), "busy")->used == named(still, "busy")->used);

  // Once more: the time in between is not made up for.
  const auto again = Clock::now();
  s.account(true);
  const auto used_now = named(s.tasks({.most = 10}), "busy")->used;
  CHECK(used_now - named(still, "busy")->used <= Clock::now() - again);
  over = true;
  s.join();
}

TEST_CASE("a call that holds the thread without its processor is not counted") {
  Scheduler s({.workers = 1});
  s.account(true);
  std::atomic<bool> done{false};
  const Task task = s.spawn([&] {
    spin(20ms);
    enter_blocking(Blocking::Surely);
    std::this_thread::sleep_for(400ms);
    exit_blocking();
    spin(20ms);
    done = true;
    park();
  });
  while (!done) std::this_thread::sleep_for(1ms);
  const auto tasks = s.tasks({.most = 1});
  REQUIRE(tasks.size() == 1);
  CHECK(tasks[0].used >= 39ms);
  CHECK(tasks[0].used < 400ms);
  task.unpark();
  s.join();
}

TEST_CASE("of many tasks a query names the first in its order") {
  Scheduler s({.workers = 2, .stack_size = 64 * 1024});
  constexpr size_t count = 10'000;
  std::atomic<bool> over{false};
  std::atomic<size_t> waiting{0};
  std::vector<uint64_t> sizes(count);
  for (size_t i = 0; i < count; ++i) sizes[i] = (i * 7919) % count + 1;
  std::vector<Task> all;
  for (size_t i = 0; i < count; ++i) {
    all.push_back(s.spawn([&, i] {
      set_switch_hooks(nullptr, &sizes[i]);
      ++waiting;
      while (!over) park();
      set_switch_hooks(nullptr, nullptr);
    }));
  }
  while (waiting != count) std::this_thread::sleep_for(1ms);
  const auto size_of = [](void* user) { return *static_cast<uint64_t*>(user); };
  const auto largest = s.tasks({.most = 100, .order = Order::Bytes, .bytes = size_of});
  REQUIRE(largest.size() == 100);
  for (size_t i = 0; i < largest.size(); ++i) CHECK(largest[i].bytes == count - i);
  const auto oldest = s.tasks({.most = 100, .order = Order::Id, .bytes = size_of});
  REQUIRE(oldest.size() == 100);
  CHECK(std::ranges::is_sorted(oldest, {}, &TaskState::id));
  CHECK(oldest[0].id == all[0].id());
  CHECK(s.tasks({.most = 0, .order = Order::Used}).empty());
  CHECK(s.tasks({.most = SIZE_MAX, .order = Order::Used}).size() == count);
  over = true;
  for (const Task& task : all) task.unpark();
  s.join();
  CHECK(s.tasks({.most = 5, .order = Order::Used}).empty());
}

TEST_CASE("a name need not outlive its task") {
  Scheduler s({.workers = 2});
  std::atomic<bool> over{false};
  std::thread reader([&] {
    while (!over) {
      for (const TaskState& task : s.tasks({.most = 100}))
        CHECK((task.name.empty() || task.name == std::string(60, 'n')));
      CHECK(s.report().find("freed") == std::string::npos);
    }
  });
  for (int i = 0; i < 2000; ++i) {
    auto name = std::make_unique<std::string>(60, 'n');
    const Task task = s.spawn([] { yield(); }, {.name = name->c_str()});
    task.join();
    std::ranges::fill(*name, 'f');  // and what has the place next may be anything
    name->assign("freed");
  }
  over = true;
  reader.join();
  s.join();
  CHECK(s.tasks({.most = 1}).empty());
}

TEST_CASE("queries while tasks come and go see whole tasks") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    Scheduler s({.workers = workers});
    s.account(true);
    std::atomic<bool> over{false};
    std::thread reader([&] {
      while (!over) {
        for (const TaskState& task : s.tasks({.most = 20, .order = Order::Used})) {
          CHECK(task.id != 0);
          CHECK((task.name == "short" || task.name.empty()));  // empty: it has just ended
          CHECK(task.used >= 0ns);
          CHECK(task.age < 60s);
        }
      }
    });
    for (int i = 0; i < 3000; ++i) {
      const Task task = s.spawn([] { yield(); }, {.name = "short"});
      if (i % 50 == 0) task.join();
    }
    s.wait_idle();
    over = true;
    reader.join();
    s.join();
  }
}
