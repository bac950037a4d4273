// What the scheduler's steps cost: yield, spawn and join, steal, park and unpark, sleep; beside threads.
#include <benchmark/benchmark.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "sched/scheduler.h"
#include "sched/sync.h"

using namespace vmrun::sched;

namespace {

void on_task_of(unsigned workers, const std::function<void(Scheduler&)>& body) {
  Scheduler s({.workers = workers});
  s.spawn([&] { body(s); }).join();
}

// Two tasks of one worker that yield to each other: the time of one yield.
void yield_pair(benchmark::State& state) {
  on_task_of(static_cast<unsigned>(state.range(0)), [&](Scheduler& s) {
    std::atomic<bool> stop{false};
    Task other;
    if (state.range(0) == 1) {
      other = s.spawn([&] {
        while (!stop.load(std::memory_order_relaxed)) {
          yield();
        }
      });
    }
    for (auto _ : state) {
      yield();
    }
    stop = true;
    if (other) {
      other.join();
      state.SetItemsProcessed(state.iterations() * 2);
    }
  });
}
BENCHMARK(yield_pair)->Arg(1)->ArgName("workers");

void yield_alone(benchmark::State& state) {
  on_task_of(1, [&](Scheduler&) {
    for (auto _ : state) {
      yield();
    }
  });
}
BENCHMARK(yield_alone);

void spawn_join(benchmark::State& state) {
  on_task_of(static_cast<unsigned>(state.range(0)), [&](Scheduler& s) {
    for (auto _ : state) {
      s.spawn([] {}).join();
    }
  });
}
BENCHMARK(spawn_join)->Arg(1)->Arg(2)->ArgName("workers");

void spawn_1000_join_all(benchmark::State& state) {
  on_task_of(static_cast<unsigned>(state.range(0)), [&](Scheduler& s) {
    std::vector<Task> tasks(1000);
    for (auto _ : state) {
      for (Task& t : tasks) {
        t = s.spawn([] {});
      }
      for (Task& t : tasks) {
        t.join();
      }
    }
    state.SetItemsProcessed(state.iterations() * 1000);
  });
}
BENCHMARK(spawn_1000_join_all)->Arg(1)->Arg(2)->ArgName("workers");

// Two tasks that wake each other in turns: the time of one park with its unpark.
void park_unpark(benchmark::State& state) {
  on_task_of(static_cast<unsigned>(state.range(0)), [&](Scheduler& s) {
    Task a = self();
    std::atomic<bool> stop{false};
    Task b = s.spawn([&] {
      for (;;) {
        park();
        if (stop.load(std::memory_order_relaxed)) {
          return;
        }
        a.unpark();
      }
    });
    for (auto _ : state) {
      b.unpark();
      park();
    }
    stop = true;
    b.unpark();
    b.join();
    state.SetItemsProcessed(state.iterations() * 2);
  });
}
BENCHMARK(park_unpark)->Arg(1)->Arg(2)->ArgName("workers");

void mutex_uncontended(benchmark::State& state) {
  on_task_of(1, [&](Scheduler&) {
    Mutex mutex;
    for (auto _ : state) {
      mutex.lock();
      mutex.unlock();
    }
  });
}
BENCHMARK(mutex_uncontended);

// A task wakes an other worker's sleeping thread: from the unpark to the end of the round trip through a second thread.
void wake_from_thread(benchmark::State& state) {
  Scheduler s({.workers = 1});
  std::atomic<int> turn{0};
  std::atomic<bool> stop{false};
  Task task = s.spawn([&] {
    while (!stop) {
      park();
      turn.store(1, std::memory_order_release);
    }
  });
  for (auto _ : state) {
    turn.store(0, std::memory_order_relaxed);
    task.unpark();
    while (turn.load(std::memory_order_acquire) == 0) {
      std::this_thread::yield();
    }
  }
  stop = true;
  task.unpark();
  task.join();
}
BENCHMARK(wake_from_thread)->UseRealTime();

// One worker's queue is emptied by the other, which has nothing of its own: the time a stolen task.
void steal(benchmark::State& state) {
  on_task_of(2, [&](Scheduler& s) {
    constexpr int n = 200;
    for (auto _ : state) {
      std::atomic<int> left{n};
      for (int i = 0; i < n; ++i) {
        s.spawn([&] { left.fetch_sub(1, std::memory_order_release); });
      }
      while (left.load(std::memory_order_acquire) != 0) {
      }
    }
    state.SetItemsProcessed(state.iterations() * n);
    const Counters c = s.counters();
    state.counters["tasks_a_steal"] = static_cast<double>(c.stolen) / static_cast<double>(c.steals);
  });
}
BENCHMARK(steal)->UseRealTime();

// How late a sleeper of 100 µs wakes, in an otherwise idle scheduler.
void sleep_100us(benchmark::State& state) {
  on_task_of(2, [&](Scheduler&) {
    double late = 0;
    for (auto _ : state) {
      const auto until = Clock::now() + std::chrono::microseconds(100);
      sleep_until(until);
      late += std::chrono::duration<double, std::micro>(Clock::now() - until).count();
    }
    state.counters["us_late"] = benchmark::Counter(late, benchmark::Counter::kAvgIterations);
  });
}
BENCHMARK(sleep_100us)->UseRealTime();

void thread_spawn_join(benchmark::State& state) {
  for (auto _ : state) {
    std::thread([] {}).join();
  }
}
BENCHMARK(thread_spawn_join)->UseRealTime();

void thread_ping_pong(benchmark::State& state) {
  std::mutex mutex;
  std::condition_variable changed;
  int turn = 0;
  std::thread other([&] {
    std::unique_lock lock(mutex);
    while (turn != 2) {
      changed.wait(lock, [&] { return turn != 0; });
      if (turn == 1) {
        turn = 0;
        changed.notify_one();
      }
    }
  });
  for (auto _ : state) {
    std::unique_lock lock(mutex);
    turn = 1;
    changed.notify_one();
    changed.wait(lock, [&] { return turn == 0; });
  }
  {
    std::lock_guard lock(mutex);
    turn = 2;
  }
  changed.notify_one();
  other.join();
  state.SetItemsProcessed(state.iterations() * 2);
}
BENCHMARK(thread_ping_pong)->UseRealTime();

}  // namespace
