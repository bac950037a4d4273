// What the scheduler's steps cost: yield, spawn and join, steal, park and unpark, mutex, condition, channel, sleep; beside
// threads. bench/go/sched has the same rows in Go; bench/sched prints both side by side.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "sched/channel.h"
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

// The same while what tasks use is counted.
void yield_pair_counted(benchmark::State& state) {
  on_task_of(1, [&](Scheduler& s) {
    s.account(true);
    std::atomic<bool> stop{false};
    const Task other = s.spawn([&] {
      while (!stop.load(std::memory_order_relaxed)) yield();
    });
    for (auto _ : state) yield();
    stop = true;
    other.join();
    s.account(false);
    state.SetItemsProcessed(state.iterations() * 2);
  });
}
BENCHMARK(yield_pair_counted);

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
BENCHMARK(spawn_join)->Arg(1)->Arg(2)->ArgName("workers")->MeasureProcessCPUTime()->UseRealTime();

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
BENCHMARK(spawn_1000_join_all)->Arg(1)->Arg(2)->ArgName("workers")->MeasureProcessCPUTime()->UseRealTime();

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
// The processor time is the whole process's: an idle second worker is to add nothing.
BENCHMARK(park_unpark)->Arg(1)->Arg(2)->ArgName("workers")->MeasureProcessCPUTime();

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

// Four tasks that add to one number.
void mutex_contended(benchmark::State& state) {
  on_task_of(static_cast<unsigned>(state.range(0)), [&](Scheduler& s) {
    for (auto _ : state) {
      Mutex mutex;
      long shared = 0;
      std::vector<Task> tasks;
      for (int t = 0; t < 4; ++t) {
        tasks.push_back(s.spawn([&] {
          for (int i = 0; i < 10'000; ++i) {
            mutex.lock();
            benchmark::DoNotOptimize(++shared);
            mutex.unlock();
          }
        }));
      }
      for (Task& t : tasks) {
        t.join();
      }
    }
    state.SetItemsProcessed(state.iterations() * 40'000);
  });
}
BENCHMARK(mutex_contended)->Arg(1)->Arg(2)->ArgName("workers")->UseRealTime()->MeasureProcessCPUTime();

// Two tasks pass a turn to and fro: the time of one hand-over.
void condition_hand_over(benchmark::State& state) {
  on_task_of(static_cast<unsigned>(state.range(0)), [&](Scheduler& s) {
    Mutex mutex;
    Condition changed;
    int turn = 0;
    Task other = s.spawn([&] {
      mutex.lock();
      while (turn != 2) {
        while (turn == 0) {
          changed.wait(mutex);
        }
        if (turn == 1) {
          turn = 0;
          changed.notify_one();
        }
      }
      mutex.unlock();
    });
    mutex.lock();
    for (auto _ : state) {
      turn = 1;
      changed.notify_one();
      while (turn != 0) {
        changed.wait(mutex);
      }
    }
    turn = 2;
    mutex.unlock();
    changed.notify_one();
    other.join();
    state.SetItemsProcessed(state.iterations() * 2);
  });
}
BENCHMARK(condition_hand_over)->Arg(1)->Arg(2)->ArgName("workers")->UseRealTime()->MeasureProcessCPUTime();

// One task sends, another receives: the time a value.
void channel_of(benchmark::State& state, size_t capacity) {
  on_task_of(static_cast<unsigned>(state.range(0)), [&](Scheduler& s) {
    Channel<int> channel(capacity);
    Task sender = s.spawn([&] {
      for (int i = 0; channel.send(int{i}) == Transfer::Done; ++i) {
      }
    });
    int value = 0;
    for (auto _ : state) {
      channel.receive(value);
    }
    channel.close();
    sender.join();
    state.SetItemsProcessed(state.iterations());
  });
}
void channel_unbuffered(benchmark::State& state) { channel_of(state, 0); }
void channel_buffered(benchmark::State& state) { channel_of(state, 64); }
BENCHMARK(channel_unbuffered)->Arg(1)->Arg(2)->ArgName("workers")->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(channel_buffered)->Arg(1)->Arg(2)->ArgName("workers")->UseRealTime()->MeasureProcessCPUTime();

void wait_group_of_10(benchmark::State& state) {
  on_task_of(static_cast<unsigned>(state.range(0)), [&](Scheduler& s) {
    for (auto _ : state) {
      WaitGroup group;
      group.add(10);
      for (int i = 0; i < 10; ++i) {
        s.spawn([&] { group.done(); });
      }
      group.wait();
    }
    state.SetItemsProcessed(state.iterations() * 10);
  });
}
BENCHMARK(wait_group_of_10)->Arg(1)->Arg(2)->ArgName("workers")->UseRealTime()->MeasureProcessCPUTime();

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

// How late sleepers of 1 ms wake, alone and beside tasks that compute and give way when asked to.
void sleep_1ms(benchmark::State& state, int busy) {
  on_task_of(static_cast<unsigned>(state.range(0)), [&](Scheduler& s) {
    std::atomic<bool> stop{false};
    std::vector<Task> tasks;
    for (int i = 0; i < busy; ++i) {
      tasks.push_back(s.spawn([&] {
        while (!stop.load(std::memory_order_relaxed)) {
          if (preempt_requested()) {
            preempted();
          }
        }
      }));
    }
    std::vector<double> late;
    for (auto _ : state) {
      const auto until = Clock::now() + std::chrono::milliseconds(1);
      sleep_until(until);
      late.push_back(std::chrono::duration<double, std::micro>(Clock::now() - until).count());
    }
    stop = true;
    for (Task& t : tasks) {
      t.join();
    }
    std::sort(late.begin(), late.end());
    state.counters["p50_us_late"] = late[late.size() / 2];
    state.counters["p99_us_late"] = late[late.size() * 99 / 100];
  });
}
void sleep_1ms_idle(benchmark::State& state) { sleep_1ms(state, 0); }
void sleep_1ms_busy(benchmark::State& state) { sleep_1ms(state, 8); }
BENCHMARK(sleep_1ms_idle)->Arg(2)->ArgName("workers")->UseRealTime()->Iterations(200);
BENCHMARK(sleep_1ms_busy)->Arg(2)->ArgName("workers")->UseRealTime()->Iterations(200);

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
