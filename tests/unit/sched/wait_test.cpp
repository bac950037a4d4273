// Waiting: parks and permits, timers, cancellation in each state, deadlines, mutex, condition, event, blocking regions;
// under 1, 2 and 8 workers.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

#include "sched/scheduler.h"
#include "sched/sync.h"
#include "tests/unit/sched/fixture.h"

using namespace vmrun::sched;
using namespace vmrun::test;
using namespace std::chrono_literals;

namespace {}  // namespace

TEST_CASE("an unpark before the park is not lost, two count once") {
  for (unsigned workers : worker_counts) {
    Scheduler s({.workers = workers});
    s.spawn([] {
       self().unpark();
       self().unpark();
       CHECK(park() == Wake::Unparked);
       CHECK(park_until(Clock::now() + 2ms) == Wake::TimedOut);
     }).join();
  }
}

TEST_CASE("parking races: every message arrives, between tasks and from threads") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    Scheduler s({.workers = workers});
    constexpr int pairs = 8;
    const int rounds = 5'000 / scale;
    std::array<std::atomic<int>, pairs> box{};
    std::array<int, pairs> got{};
    std::vector<Task> readers;
    for (int i = 0; i < pairs; ++i) {
      readers.push_back(s.spawn([&, i] {
        for (int expected = 1; expected <= rounds; ++expected) {
          while (box[i].load(std::memory_order_relaxed) < expected) {
            park();
          }
          ++got[i];
        }
      }));
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < pairs; ++i) {
      auto write = [&, i] {
        for (int k = 0; k < rounds; ++k) {
          box[i].fetch_add(1, std::memory_order_relaxed);
          readers[i].unpark();
        }
      };
      if (i % 2 == 0) {
        s.spawn([write] { write(); });
      } else if (i < 4) {
        threads.emplace_back(write);
      } else {
        s.spawn([write] {
          yield();
          write();
        });
      }
    }
    for (Task& t : readers) {
      CHECK(t.join() == Wake::Unparked);
    }
    for (auto& t : threads) {
      t.join();
    }
    s.wait_idle();  // the writers' last calls may still use the handles
    for (int n : got) {
      CHECK(n == rounds);
    }
  }
}

TEST_CASE("sleepers wake in order, and never early") {
  for (unsigned workers : {1u, 2u}) {
    CAPTURE(workers);
    Scheduler s({.workers = workers});
    s.spawn([&] {
       for (int i = 0; i < 101; ++i) {
         const auto until = Clock::now() + 300us;
         CHECK(sleep_until(until) == Wake::TimedOut);
         CHECK(Clock::now() >= until);
       }
     }).join();

    // On a busy machine some may begin to sleep when others should be awake, or be held up having woken: then they are
    // given more time.
    const std::vector<int> in_order{0, 1, 2, 3, 4};
    std::vector<int> order;
    for (auto apart = 20ms; order != in_order && apart < 10s; apart *= 3) {
      order.clear();
      Mutex mutex;
      std::vector<Task> tasks;
      for (int i : {3, 1, 4, 2, 0}) {
        tasks.push_back(s.spawn([&, i] {
          sleep_for(i * apart);
          mutex.lock();
          order.push_back(i);
          mutex.unlock();
        }));
      }
      for (Task& t : tasks) {
        t.join();
      }
    }
    CHECK(order == in_order);
  }
}

TEST_CASE("a sleeper wakes while other tasks keep the only worker busy") {
  std::atomic<bool> slept{false};
  Scheduler s({.workers = 1, .slice = 2ms});
  s.spawn([&] {
    while (!slept) {
      yield();
    }
  });
  s.spawn([&] {
     for (int i = 0; i < 21; ++i) {
       CHECK(sleep_for(1ms) == Wake::TimedOut);
     }
     slept = true;
   }).join();
  s.wait_idle();
}

TEST_CASE("10,000 sleepers") {
  for (unsigned workers : worker_counts) {
    Scheduler s({.workers = workers, .stack_size = 64 * 1024});
    const int n = 10'000 / (scale * scale);
    std::atomic<int> woken{0};
    for (int i = 0; i < n; ++i) {
      s.spawn([&, i] {
        CHECK(sleep_for(std::chrono::microseconds(1'000 + i * 7 % 20'000)) == Wake::TimedOut);
        woken.fetch_add(1);
      });
    }
    s.wait_idle();
    CHECK(woken == n);
    CHECK(s.counters().timers_fired > 0);
  }
}

TEST_CASE("cancellation reaches a task in each state") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    Scheduler s({.workers = workers});
    Event never_set;
    Mutex mutex;
    Condition condition;
    std::atomic<int> started{0};
    std::vector<Task> tasks;
    auto add = [&](auto body) {
      tasks.push_back(s.spawn([&started, body] {
        started.fetch_add(1);
        body();
        CHECK(cancel_reason() == CancelReason::Requested);
      }));
    };
    Task endless = s.spawn([] { park(); });
    add([] { CHECK(park() == Wake::Cancelled); });
    add([] { CHECK(sleep_for(1h) == Wake::Cancelled); });
    add([] { CHECK(park_until(Clock::now() + 1h) == Wake::Cancelled); });
    add([&] { CHECK(never_set.wait() == Wake::Cancelled); });
    add([&] { CHECK(endless.join() == Wake::Cancelled); });
    add([&] {
      mutex.lock();
      CHECK(condition.wait(mutex) == Wake::Cancelled);
      mutex.unlock();
    });
    add([] {
      while (yield() == CancelReason::None) {
      }
    });
    while (started != 7) {
      std::this_thread::yield();
    }
    for (Task& t : tasks) {
      t.cancel();
    }
    for (Task& t : tasks) {
      CHECK(t.join() == Wake::Unparked);
    }
    // Before its first run; and after its end, which does nothing.
    Task early = s.spawn([] { CHECK(park() == Wake::Cancelled); });
    early.cancel();
    early.join();
    early.cancel();
    // A wait that is not cancellable goes on, and a cancellation taken is over.
    std::atomic<int> phase{0};
    Task cleaning = s.spawn([&] {
      phase = 1;
      CHECK(park() == Wake::Cancelled);
      CHECK(take_cancel() == CancelReason::Requested);
      CHECK(sleep_for(1ms) == Wake::TimedOut);
    });
    while (phase != 1) {
      std::this_thread::yield();
    }
    cleaning.cancel();
    cleaning.join();
    endless.unpark();
    s.wait_idle();
    CHECK(s.counters().cancels == 9);
  }
}

TEST_CASE("a token cancels all its tasks, those spawned later too; a deadline cancels one") {
  Scheduler s({.workers = 2});
  CancelToken token = CancelToken::create();
  std::atomic<int> cancelled{0};
  for (int i = 0; i < 50; ++i) {
    s.spawn([&] { cancelled += sleep_for(1h) == Wake::Cancelled ? 1 : 0; }, {.token = token});
  }
  s.spawn([] {}, {.token = token}).join();  // has left the token when it is pulled
  CHECK(!token.cancelled());
  token.cancel();
  CHECK(token.cancelled());
  s.spawn([&] { cancelled += park() == Wake::Cancelled ? 1 : 0; }, {.token = token}).join();
  s.wait_idle();
  CHECK(cancelled == 51);

  const auto start = Clock::now();
  s.spawn(
       [&] {
         CHECK(park() == Wake::Cancelled);
         CHECK(cancel_reason() == CancelReason::Deadline);
       },
       {.deadline = start + 5ms})
      .join();
  CHECK(Clock::now() - start >= 5ms);
  s.spawn([] {}, {.deadline = Clock::now() + 1h}).join();  // its timer goes with it
}

TEST_CASE("joins with a deadline, from tasks and threads") {
  Scheduler s({.workers = 2});
  std::atomic<bool> go{false};
  Task slow = s.spawn([&] {
    while (!go) {
      sleep_for(1ms);
    }
  });
  CHECK(slow.join_until(Clock::now() + 2ms) == Wake::TimedOut);
  s.spawn([&] { CHECK(slow.join_until(Clock::now() + 2ms) == Wake::TimedOut); }).join();
  go = true;
  s.spawn([&] { CHECK(slow.join_until(Clock::now() + 1h) == Wake::Unparked); }).join();
  CHECK(slow.join() == Wake::Unparked);
}

TEST_CASE("a waiter of one kind hands on what was meant for another") {
  Scheduler s({.workers = 1});
  Mutex mutex;
  s.spawn([&] {
     mutex.lock();
     std::atomic<int> phase{0};
     Task waiter = s.spawn([&] {
       phase = 1;
       mutex.lock();
       mutex.unlock();
       CHECK(park() == Wake::Unparked);  // the unpark that came during lock()
       phase = 2;
     });
     while (phase != 1) {
       yield();
     }
     yield();
     waiter.unpark();
     yield();
     mutex.unlock();
     waiter.join();
     CHECK(phase == 2);
   }).join();
}

TEST_CASE("mutex and condition: tasks and threads share a bounded buffer") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    Scheduler s({.workers = workers});
    Mutex mutex;
    Condition not_full, not_empty;
    std::vector<int> buffer;
    const int n = 4'000 / scale;
    long sum = 0;
    int taken = 0;
    auto produce = [&] {
      for (int i = 1; i <= n; ++i) {
        mutex.lock();
        while (buffer.size() == 4) {
          not_full.wait(mutex);
        }
        buffer.push_back(i);
        mutex.unlock();
        not_empty.notify_one();
      }
    };
    auto consume = [&] {
      mutex.lock();
      for (;;) {
        while (buffer.empty() && taken < 3 * n) {
          not_empty.wait(mutex);
        }
        if (taken == 3 * n) {
          break;
        }
        sum += buffer.back();
        ++taken;
        buffer.pop_back();
        mutex.unlock();
        not_full.notify_one();
        mutex.lock();
      }
      mutex.unlock();
      not_empty.notify_all();
    };
    std::vector<Task> tasks;
    for (int i = 0; i < 3; ++i) {
      tasks.push_back(s.spawn(consume));
    }
    tasks.push_back(s.spawn(produce));
    tasks.push_back(s.spawn(produce));
    std::thread thread(produce);
    thread.join();
    for (Task& t : tasks) {
      t.join();
    }
    CHECK(taken == 3 * n);
    CHECK(sum == 3L * n * (n + 1) / 2);
  }
}

TEST_CASE("an event wakes all waiters, then lets through") {
  Scheduler s({.workers = 2});
  Event event;
  std::atomic<int> through{0};
  for (int i = 0; i < 20; ++i) {
    s.spawn([&] {
      CHECK(event.wait() == Wake::Unparked);
      through.fetch_add(1);
    });
  }
  s.spawn([&] { CHECK(event.wait(Cancellable::Yes, nanos(Clock::now() + 2ms)) == Wake::TimedOut); }).join();
  event.set();
  CHECK(event.wait() == Wake::Unparked);
  s.wait_idle();
  CHECK(through == 20);
}

TEST_CASE("a worker stuck in a blocking call loses its processor") {
  for (Blocking how : {Blocking::Maybe, Blocking::Surely}) {
    Scheduler s({.workers = 1});
    std::array<int, 2> pipe{};
    REQUIRE(::pipe(pipe.data()) == 0);
    Task reader = s.spawn([&] {
      char byte = 0;
      enter_blocking(how);
      const long n = ::read(pipe[0], &byte, 1);
      exit_blocking();
      CHECK(n == 1);
      CHECK(byte == 'x');
    });
    // With one processor, the writer runs only if the reader's was taken away.
    s.spawn([&] {
       yield();
       CHECK(::write(pipe[1], "x", 1) == 1);
     }).join();
    reader.join();
    s.wait_idle();
    CHECK(s.counters().handoffs >= 1);
    ::close(pipe[0]);
    ::close(pipe[1]);
  }
}

TEST_CASE("many blocking calls beside many tasks: threads grow, processors do not") {
  Scheduler s({.workers = 2, .idle_keep = 1h});  // none ends, so that all that were made are counted
  std::atomic<int> ended{0};
  for (int i = 0; i < 40; ++i) {
    s.spawn([&, i] {
      for (int k = 0; k < 10; ++k) {
        enter_blocking(i % 2 == 0 ? Blocking::Maybe : Blocking::Surely);
        ::usleep(100);
        exit_blocking();
        yield();
      }
      ended.fetch_add(1);
    });
  }
  s.wait_idle();
  CHECK(ended == 40);
  CHECK(s.counters().blocking_calls == 400);
  CHECK(s.counters().threads <= 44);
}

TEST_CASE("hooks: a thread-local follows its task from thread to thread") {
  static thread_local int current = 0;
  struct Mark {
    int id;
  };
  static const SwitchHooks hooks{.resume = [](void* user) noexcept { current = static_cast<Mark*>(user)->id; },
                                 .suspend =
                                     [](void* user) noexcept {
                                       if (current == static_cast<Mark*>(user)->id) {
                                         current = -1;
                                       }
                                     }};
  struct Look {
    // Not inlined: the address is taken anew each time.
    __attribute__((noinline)) static int now() {
      asm volatile("");
      return current;
    }
  };
  Scheduler s({.workers = 2});
  std::vector<Mark> marks;
  for (int i = 0; i < 20; ++i) {
    marks.push_back({i + 1});
  }
  std::atomic<int> wrong{0};
  for (Mark& mark : marks) {
    s.spawn(
        [&] {
          CHECK(switch_user() == &mark);
          for (int k = 0; k < 1'000 / scale; ++k) {
            wrong += Look::now() != mark.id ? 1 : 0;
            k % 50 == 0 ? static_cast<void>(sleep_for(20us)) : static_cast<void>(yield());
          }
          wrong += Look::now() != mark.id ? 1 : 0;
        },
        {.hooks = &hooks, .user = &mark});
  }
  s.wait_idle();
  CHECK(wrong == 0);
}

TEST_CASE("run-queue latency is sampled") {
  Scheduler s({.workers = 1});
  s.spawn([&] {
     Task other = s.spawn([] {
       for (int i = 0; i < 1'000; ++i) {
         yield();
       }
     });
     for (int i = 0; i < 1'000; ++i) {
       yield();
     }
     other.join();
   }).join();
  s.wait_idle();
  const Histogram latency = s.counters().queue_latency;
  CHECK(latency.total() >= 1'900 / 64);
  CHECK(latency.percentile(0.5) > 0);
  CHECK(latency.percentile(0.5) <= latency.percentile(1));
  CHECK(s.counters().yields == 2'000);
}
