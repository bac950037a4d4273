// Tasks: spawning, joining, yielding, stealing, many of them, the end of a scheduler; under 1, 2 and 8 workers.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "sched/run_queue.h"
#include "sched/scheduler.h"
#include "tests/unit/sched/fixture.h"

using namespace vmrun::sched;
using namespace vmrun::test;

namespace {

#if defined(__has_feature) && __has_feature(thread_sanitizer)
constexpr bool under_tsan = true;  // keeps 8,128 stacks at most, and takes its time
#else
constexpr bool under_tsan = false;
#endif

uint64_t fib(Scheduler& s, unsigned n) {
  if (n < 2) {
    return n;
  }
  uint64_t left = 0;
  Task task = s.spawn([&] { left = fib(s, n - 1); });
  const uint64_t right = fib(s, n - 2);
  task.join();
  return left + right;
}

}  // namespace

TEST_CASE("tasks run and are joined, from threads and from tasks") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    Scheduler s({.workers = workers});
    uint64_t result = 0;
    Task root = s.spawn([&] { result = fib(s, under_tsan ? 9 : 16); });
    CHECK(root.join() == Wake::Unparked);
    CHECK(root.done());
    CHECK(result == (under_tsan ? 34 : 987));
    CHECK(!on_task());
    CHECK(!self());
    s.wait_idle();
    const Counters c = s.counters();
    CHECK(c.spawns == c.finished);
    CHECK(s.live() == 0);
  }
}

TEST_CASE("a task may be larger than its cell, and is destroyed when it has run") {
  Scheduler s({.workers = 2});
  auto token = std::make_shared<int>(7);
  std::array<uint64_t, 40> large{};
  large[39] = 5;
  std::atomic<uint64_t> sum{0};
  s.spawn([token, large, &sum] { sum += large[39] + static_cast<uint64_t>(*token); }).join();
  s.spawn([token, &sum] { sum += static_cast<uint64_t>(*token); }).join();
  CHECK(sum == 19);
  CHECK(token.use_count() == 1);
}

TEST_CASE("a deadline that never comes is none") {
  Scheduler s({.workers = 1});
  for (int i = 0; i < 100; ++i) {  // in cells that have been used
    const Task task = s.spawn([] { yield(); }, {.deadline = Clock::time_point::max()});
    CHECK(task.join() == Wake::Unparked);
  }
}

TEST_CASE("yielding tasks of one worker take turns") {
  Scheduler s({.workers = 1});
  std::vector<int> order;
  s.spawn([&] {
     std::vector<Task> tasks;
     for (int id = 0; id < 3; ++id) {
       tasks.push_back(s.spawn([&order, id] {
         for (int i = 0; i < 50; ++i) {
           order.push_back(id);
           yield();
         }
       }));
     }
     for (Task& t : tasks) {
       t.join();
     }
   }).join();
  REQUIRE(order.size() == 150);
  // Each third holds all three, whatever came first.
  for (size_t i = 3; i + 3 <= 147; i += 3) {
    CHECK(std::set<int>(order.begin() + static_cast<long>(i), order.begin() + static_cast<long>(i) + 3).size() == 3);
  }
}

TEST_CASE("100,000 tasks at once, each suspended halfway") {
  const size_t n = under_tsan ? 2'000 : 100'000;
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    Scheduler s({.workers = workers, .stack_size = 64 * 1024, .idle_fibers = 256});
    std::atomic<size_t> waiting{0};
    std::atomic<size_t> ended{0};
    std::vector<Task> tasks;
    tasks.reserve(n);
    for (size_t i = 0; i < n; ++i) {
      tasks.push_back(s.spawn([&] {
        waiting.fetch_add(1);
        park();
        ended.fetch_add(1);
      }));
    }
    while (waiting.load() != n) {
      std::this_thread::yield();
    }
    CHECK(s.live() == n);
    for (Task& t : tasks) {
      t.unpark();
    }
    s.wait_idle();
    CHECK(ended == n);
    CHECK(s.counters().finished == n);
    tasks.clear();
    s.join();
    CHECK(s.fibers() == 0);
  }
}

TEST_CASE("a million short tasks in few fibers") {
  const size_t n = under_tsan ? 20'000 : 1'000'000;
  Scheduler s({.workers = 2});
  std::atomic<size_t> ended{0};
  s.spawn([&] {
     for (size_t i = 0; i < n; ++i) {
       s.spawn([&] { ended.fetch_add(1, std::memory_order_relaxed); });
       if (i % 64 == 0) {
         yield();
       }
     }
   }).join();
  s.wait_idle();
  CHECK(ended == n);
  CHECK(s.counters().fibers < 3000);
}

TEST_CASE("workers steal, and a task that runs long is no obstacle for those it has woken") {
  Scheduler s({.workers = 2});
  std::atomic<bool> stop{false};
  std::atomic<int> ran{0};
  s.spawn([&] {
    for (int i = 0; i < 100; ++i) {
      s.spawn([&] {
        if (ran.fetch_add(1) + 1 == 100) {
          stop = true;
        }
      });
    }
    while (!stop) {  // never yields: only another worker can run them
    }
  });
  s.wait_idle();
  CHECK(ran == 100);
  CHECK(s.counters().steals > 0);
  CHECK(s.counters().stolen >= 100);
}

TEST_CASE("small queues overflow into the global one, nothing is lost") {
  for (unsigned workers : worker_counts) {
    Scheduler s({.workers = workers, .local_queue = 4});
    std::atomic<int> ran{0};
    s.spawn([&] {
      for (int i = 0; i < 5'000; ++i) {
        s.spawn(
            [&] {
              yield();
              ran.fetch_add(1);
            },
            {.priority = static_cast<Priority>(i % 3)});
      }
    });
    s.wait_idle();
    CHECK(ran == 5'000);
    CHECK(s.counters().global_picks > 0);
  }
}

TEST_CASE("priorities: high before normal before low, and low is not starved") {
  std::vector<int> order;
  std::atomic<bool> low_ran{false};
  Scheduler s({.workers = 1});
  s.spawn([&] {
     std::vector<Task> tasks;
     for (int p : {2, 1, 0, 2, 1, 0}) {
       tasks.push_back(s.spawn([&order, p] { order.push_back(p); }, {.priority = static_cast<Priority>(p)}));
     }
     s.spawn([] {});  // into run_next, so that the others are all in the queues
     for (Task& t : tasks) {
       t.join();
     }
     CHECK(order == std::vector<int>{0, 0, 1, 1, 2, 2});
     Task low = s.spawn([&] { low_ran = true; }, {.priority = Priority::Low});
     Task busy = s.spawn([&] {
       while (!low_ran) {
         yield();
       }
     });
     while (!low_ran) {
       yield();
     }
   }).join();
  CHECK(low_ran);
}

TEST_CASE("many threads spawn into one scheduler") {
  Scheduler s({.workers = 2});
  std::atomic<int> ran{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2'000; ++i) {
        Task task = s.spawn([&] { ran.fetch_add(1); });
        if (i % 16 == 0) {
          CHECK(task.join() == Wake::Unparked);
        }
      }
    });
  }
  for (auto& t : threads) {
    t.join();
  }
  s.join();
  CHECK(ran == 8'000);
  CHECK(s.fibers() == 0);
}

TEST_CASE("schedulers come and go, also two at a time and unused ones") {
  for (int i = 0; i < 50; ++i) {
    Scheduler a({.workers = 2});
    Scheduler b({.workers = 1});
    std::atomic<int> ran{0};
    Task in_b;
    a.spawn([&] {
       in_b = b.spawn([&] { ran.fetch_add(1); });
       while (!in_b.done()) {
         yield();
       }
       ran.fetch_add(1);
     }).join();
    CHECK(ran == 2);
    in_b = {};
  }
  Scheduler unused;
}

TEST_CASE("the stack's bounds hold the running frame, its size is what was asked, and it is used again") {
  Scheduler s({.workers = 1, .stack_size = 512 * 1024});
  auto look = [] {
    int here = 0;
    const StackBounds b = stack_bounds();
    CHECK(reinterpret_cast<std::byte*>(&here) > b.low);
    CHECK(reinterpret_cast<std::byte*>(&here) < b.high);
    CHECK(b.size() > 510 * 1024);
    return b.low;
  };
  std::byte* first = nullptr;
  std::byte* second = nullptr;
  s.spawn([&] { first = look(); }).join();
  s.spawn([&] { second = look(); }).join();
  CHECK(first == second);
}

TEST_CASE("stacks: one mapping a slab where guards are light") {
  StackPool pool(64 * 1024, 16, 4);
  std::vector<StackBounds> stacks;
  for (int i = 0; i < 100; ++i) {
    stacks.push_back(pool.take());
    stacks.back().low[0] = std::byte{1};
    stacks.back().high[-1] = std::byte{1};
  }
  CHECK(pool.mappings() <= 7 + 2 * 4);
  if (pool.light_guards()) {
    CHECK(pool.mappings() == 7);
  }
  for (StackBounds s : stacks) {
    pool.give(s);
  }
  const StackBounds again = pool.take();
  CHECK(again.low[0] == std::byte{0});  // given back to the system meanwhile
  pool.give(again);
}

TEST_CASE("scattered tasks go on on another thread than before") {
  for (unsigned workers : {2u, 8u}) {
    CAPTURE(workers);
    Scheduler s({.workers = workers, .scatter = true});
    constexpr int n = 4, rounds = 50;
    std::atomic<int> waits{0};
    for (int i = 0; i < n; ++i) {
      s.spawn([&] {
        for (int k = 0; k < rounds; ++k) {
          sleep_for(std::chrono::microseconds(100));
          yield();
          waits.fetch_add(1);
        }
      });
    }
    s.wait_idle();
    CHECK(waits == n * rounds);
    // Of 400 waits most have moved, also where the machine is busy.
    CHECK(s.counters().migrations > n * rounds / 2);
  }
}

TEST_CASE("run queue: owner and thieves see each element once") {
  for (uint32_t capacity : {2u, 8u, 256u}) {
    RunQueue queue(capacity);
    constexpr uintptr_t n = 40'000;
    std::vector<std::atomic<uint8_t>> seen(n + 1);
    std::atomic<bool> done{false};
    auto mark = [&](TaskCell* t) { seen[reinterpret_cast<uintptr_t>(t)].fetch_add(1); };
    std::vector<std::thread> thieves;
    for (int i = 0; i < 2; ++i) {
      thieves.emplace_back([&] {
        RunQueue own(capacity);
        while (!done || !queue.empty()) {
          uint32_t taken = 0;
          if (TaskCell* first = own.steal_from(queue, taken)) {
            mark(first);
            while (TaskCell* t = own.pop()) {
              mark(t);
            }
          } else {
            std::this_thread::yield();
          }
        }
      });
    }
    for (uintptr_t i = 1; i <= n;) {
      if (queue.push(reinterpret_cast<TaskCell*>(i))) {
        ++i;
      } else if (TaskCell* t = queue.pop()) {
        mark(t);
      }
    }
    done = true;
    for (auto& t : thieves) {
      t.join();
    }
    size_t wrong = 0;
    for (uintptr_t i = 1; i <= n; ++i) {
      wrong += seen[i] != 1;
    }
    CHECK(wrong == 0);
  }
}
