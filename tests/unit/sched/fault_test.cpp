// What goes wrong and what is in short supply: no memory for stacks, no threads, busy processors, deadlocks; and that
// everything shrinks again.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "sched/cpus.h"
#include "sched/scheduler.h"
#include "sched/sync.h"
#include "tests/unit/sched/fixture.h"

using namespace vmrun::sched;
using namespace vmrun::test;
using namespace std::chrono_literals;

#if defined(__has_feature) && (__has_feature(thread_sanitizer) || __has_feature(address_sanitizer))
#define INJECT 0  // the sanitizers have their own mmap and pthread_create
#else
#define INJECT 1
#endif

namespace {

/// Waits, for a long time on a busy machine, until `condition` holds.
template <class Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 50'000 && !condition(); ++i) {
    std::this_thread::sleep_for(2ms);
  }
  return condition();
}

}  // namespace

#if INJECT

namespace {
std::atomic<bool> no_mappings{false};
std::atomic<int> threads_left{-1};  // how many may still be made; -1: any number
}  // namespace

// The program's own come before the C library's.
extern "C" void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  if (no_mappings.load()) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return reinterpret_cast<void*>(::syscall(SYS_mmap, at, size, protection, flags, fd, offset));
}

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*),
                              void* argument) noexcept {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = reinterpret_cast<Create>(::dlsym(RTLD_NEXT, "pthread_create"));
  if (threads_left.load() == 0) {
    return EAGAIN;
  }
  if (threads_left.load() > 0) {
    threads_left.fetch_sub(1);
  }
  return real(thread, attributes, run, argument);
}

TEST_CASE("without memory for a stack the spawn fails, and nothing else") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    Scheduler s({.workers = workers, .stack_size = 64 * 1024});
    no_mappings = true;
    auto token = std::make_shared<int>(1);
    CHECK_THROWS_AS(s.spawn([token] {}), std::bad_alloc);
    CHECK(token.use_count() == 1);
    no_mappings = false;
    CHECK(s.live() == 0);
    std::atomic<bool> stop{false};
    Task task = s.spawn([&] {
      while (!stop) {
        yield();
      }
    });
    s.spawn([] {}).join();
    stop = true;
    task.join();
    s.join();
    CHECK(s.fibers() == 0);
  }
}

TEST_CASE("a task whose stack is missing when its turn comes ends without having run; the others run") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    Scheduler s({.workers = workers, .stack_size = 64 * 1024});
    constexpr size_t n = 200;  // more than one slab has
    std::vector<std::atomic<bool>> begun(n);
    std::atomic<int> ran{0};
    auto token = std::make_shared<int>(1);
    std::vector<Task> tasks;
    tasks.reserve(n);
    s.spawn([&] {
       no_mappings = true;
       try {
         for (size_t i = 0; i < n; ++i) {
           tasks.push_back(s.spawn([&, token, i] {
             begun[i] = true;
             ran.fetch_add(1);
             park();
           }));
         }
       } catch (const std::bad_alloc&) {  // others have begun meanwhile
       }
     }).join();
    // All have had their turn before the first one ends, whose stack another could use.
    for (size_t i = 0; i < tasks.size(); ++i) {
      REQUIRE(eventually([&] { return begun[i] || tasks[i].done(); }));
    }
    int failed = 0;
    for (Task& t : tasks) {
      t.unpark();
      CHECK(t.join() == Wake::Unparked);
      failed += t.failed() ? 1 : 0;
    }
    no_mappings = false;
    CHECK(failed + ran == static_cast<int>(tasks.size()));
    CHECK((workers != 1 || failed > 0));
    CHECK(s.counters().fiber_failures == static_cast<uint64_t>(failed));
    s.spawn([&] { ran = -1; }).join();
    CHECK(ran == -1);
    s.wait_idle();
    CHECK(token.use_count() == 1);
  }
}

TEST_CASE("a task that is to have its stack at once has it, or the spawn fails") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    Scheduler s({.workers = workers, .stack_size = 64 * 1024});
    constexpr size_t n = 200;  // more than one slab has
    std::atomic<int> ran{0};
    auto token = std::make_shared<int>(1);
    int spawned = 0, refused = 0;
    s.spawn([&] {
       no_mappings = true;
       std::vector<Task> tasks;
       for (size_t i = 0; i < n; ++i) {
         try {
           tasks.push_back(spawn_beside(
               [&, token] {
                 park();
                 ran.fetch_add(1);
               },
               {.with_stack = true}));
           ++spawned;
         } catch (const std::bad_alloc&) {
           ++refused;
         }
       }
       for (Task& t : tasks) {
         t.unpark();
         CHECK(t.join() == Wake::Unparked);
         CHECK(!t.failed());
       }
       no_mappings = false;
       // Nothing starts where its callable cannot be made; the stack is kept.
       struct Thrower {
         Thrower() = default;
         Thrower(const Thrower&) { throw 1; }
         void operator()() const {}
       };
       const Thrower thrower;
       CHECK_THROWS_AS(spawn_beside(thrower, {.with_stack = true}), int);
     }).join();
    CHECK(refused > 0);
    CHECK(spawned + refused == n);
    CHECK(ran == spawned);
    CHECK(s.counters().fiber_failures == 0);
    s.wait_idle();
    CHECK(token.use_count() == 1);
    s.join();
    CHECK(s.fibers() == 0);
  }
}

TEST_CASE("without threads the spawn fails; with one of several, the work is done") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    Scheduler s({.workers = workers});
    threads_left = 0;
    CHECK_THROWS_AS(s.spawn([] {}), std::system_error);
    CHECK(s.live() == 0);
    threads_left = 1;
    std::atomic<int> ran{0};
    for (int i = 0; i < 100; ++i) {
      s.spawn([&] {
        yield();
        enter_blocking(Blocking::Surely);  // for which there is no other thread
        exit_blocking();
        ran.fetch_add(1);
      });
    }
    s.wait_idle();
    CHECK(ran == 100);
    CHECK(s.threads() == 1);
    CHECK(s.counters().thread_failures > 0);
    threads_left = -1;
    // More are made when there are some to be had.
    std::atomic<int> blocked{0};
    for (int i = 0; i < 3; ++i) {
      s.spawn([&] {
        enter_blocking(Blocking::Surely);
        blocked.fetch_add(1);
        while (blocked != 3) {
          std::this_thread::yield();
        }
        exit_blocking();
      });
    }
    s.wait_idle();
    CHECK(s.counters().threads >= 3);
  }
}

#endif

TEST_CASE("threads and stacks shrink after blocked tasks have ended, and come again") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    Scheduler s({.workers = workers, .stack_size = 64 * 1024, .idle_keep = 20ms});
    for (int round = 0; round < 3; ++round) {
      constexpr int n = 60;
      std::atomic<int> blocked{0};
      std::atomic<bool> go{false};
      for (int i = 0; i < n; ++i) {
        s.spawn([&] {
          enter_blocking(Blocking::Surely);
          blocked.fetch_add(1);
          while (!go) {
            ::usleep(1000);
          }
          exit_blocking();
        });
      }
      std::atomic<int> parked{0};
      std::vector<Task> many;
      for (int i = 0; i < 300; ++i) {
        many.push_back(s.spawn([&] {
          parked.fetch_add(1);
          park();
        }));
      }
      CHECK(eventually([&] { return blocked == n && parked == 300; }));
      CHECK(s.threads() >= n);
      CHECK(s.statistics().blocked_threads == n);
      go = true;
      for (Task& t : many) {
        t.unpark();
      }
      s.wait_idle();
      CHECK(eventually([&] { return s.threads() <= workers && s.fibers() == 0; }));
      CHECK(s.statistics().stack_mappings <= (has_light_guards() ? 2 : 2 + 2 * 64));
    }
    CHECK(s.counters().threads_ended > 0);
  }
}

TEST_CASE("a due sleeper goes before the tasks that wait for a slice") {
  // Eight tasks that compute share one worker. Slices that begin between the time a sleeper is due and its turn.
  Scheduler s({.workers = 1, .slice = 2ms});
  std::atomic<bool> stop{false};
  std::atomic<Nanos> due{never};
  std::atomic<int> begun{0};
  for (int i = 0; i < 8; ++i) {
    s.spawn([&] {
      while (!stop) {
        if (preempt_requested()) {
          preempted();
          begun += now() > due ? 1 : 0;
        }
      }
    });
  }
  constexpr int rounds = 30;
  s.spawn([&] {
     for (int i = 0; i < rounds; ++i) {
       due = now() + 3'000'000;
       CHECK(sleep_until(Clock::time_point(std::chrono::nanoseconds(due.load()))) == Wake::TimedOut);
       due = never;
     }
   }).join();
  stop = true;
  s.wait_idle();
  MESSAGE(begun << " slices of others in " << rounds << " sleeps");
  CHECK(begun < 3 * rounds);
}

TEST_CASE("a task of high priority goes before two that wake each other") {
  Scheduler s({.workers = 1});
  std::atomic<bool> ran{false};
  int between = -1;
  s.spawn([&] {
     Task a = self();
     std::atomic<bool> stop{false};
     Task b = s.spawn([&] {
       while (!stop) {
         park();
         a.unpark();
       }
     });
     Task high = s.spawn([&] { ran = true; }, {.priority = Priority::High});
     while (!ran) {
       ++between;
       b.unpark();
       park();
     }
     stop = true;
     b.unpark();
     b.join();
   }).join();
  CHECK(between <= 1);
}

TEST_CASE("two tasks that wake each other wake no idle worker for it") {
  Scheduler s({.workers = 2});
  constexpr int rounds = 20'000;
  auto play = [&] {
    s.spawn([&] {
       Task a = self();
       Task b = s.spawn([&] {
         for (int i = 0; i < rounds; ++i) {
           park();
           a.unpark();
         }
       });
       for (int i = 0; i < rounds; ++i) {
         b.unpark();
         park();
       }
       b.join();
     }).join();
  };
  // Until the other worker falls asleep, which on a busy machine it may not do, there is none to be woken. And the tasks
  // wake loudly where the machine keeps them from suspending soon.
  uint64_t games = 0;
  do {
    play();
    ++games;
  } while (s.counters().quiet_wakes < rounds && games < 200);
  const Counters c = s.counters();
  CHECK(c.quiet_wakes >= rounds);
  const uint64_t loud = c.unparks - c.quiet_wakes;
  CHECK(c.idles < loud + games * rounds / 10);
}

TEST_CASE("work that nobody was woken for is found: a task that wakes another and then computes") {
  Scheduler s({.workers = 2});
  std::atomic<int> answers{0};
  std::atomic<bool> stop{false};
  Task other = s.spawn([&] {
    while (!stop) {
      park();
      answers.fetch_add(1);
    }
  });
  s.spawn([&] {
     Task me = self();
     Task partner = s.spawn([&] {
       for (int i = 0; i < 2'000; ++i) {
         park();
         me.unpark();
       }
     });
     for (int i = 0; i < 2'000; ++i) {  // it learns to wake quietly
       partner.unpark();
       park();
     }
     for (int i = 0; i < 5; ++i) {
       const int before = answers;
       other.unpark();
       while (answers == before) {  // gives way to nobody
       }
     }
     partner.join();
   }).join();
  stop = true;
  other.unpark();
  s.wait_idle();
}

TEST_CASE("a report names who waits for what; a deadlock is told once") {
  struct Told {
    std::atomic<int> times{0};
    std::string text;
  } told;
  Config config{.workers = 2};
  config.on_deadlock = [](void* context, const char* report) noexcept {
    auto& t = *static_cast<Told*>(context);
    t.text = report;
    t.times.fetch_add(1);
  };
  config.deadlock_context = &told;
  Scheduler s(config);
  Mutex first, second;
  std::atomic<int> holding{0};
  auto take = [&](Mutex& a, Mutex& b) {
    a.lock();
    ++holding;
    while (holding != 2) {
      yield();
    }
    if (b.lock_until(never) == Wake::Unparked) {
      b.unlock();
    }
    a.unlock();
  };
  CHECK(!s.stuck());
  Task one = s.spawn([&] { take(first, second); }, {.name = "one"});
  Task two = s.spawn([&] { take(second, first); }, {.name = "two"});
  Task three = s.spawn([&] { one.join(); }, {.name = "three"});
  CHECK(eventually([&] { return told.times == 1; }));
  CHECK(s.stuck());
  const auto line = [](uint64_t id, const char* name, const char* what, uint64_t which, bool hex) {
    char text[100];
    std::snprintf(text, sizeof text, hex ? "task %lu %s waits for %s %#lx\n" : "task %lu %s waits for %s %lu\n", id,
                  name, what, which);
    return std::string(text);
  };
  const auto has = [&](const std::string& text, const std::string& part) { return text.find(part) != text.npos; };
  CHECK(has(told.text, line(one.id(), "one", "mutex", reinterpret_cast<uintptr_t>(&second), true)));
  CHECK(has(told.text, line(two.id(), "two", "mutex", reinterpret_cast<uintptr_t>(&first), true)));
  CHECK(has(told.text, line(three.id(), "three", "task", one.id(), false)));
  CHECK(s.report() == told.text);
  const Statistics statistics = s.statistics();
  CHECK(statistics.live == 3);
  CHECK(statistics.ready == 0);
  CHECK(statistics.idle_processors == 2);
  one.cancel();
  s.wait_idle();
  CHECK(told.times == 1);
  CHECK(s.report().empty());
  // Sleepers and blocked threads are no deadlock.
  Task sleeper = s.spawn([] { sleep_for(1h); });
  CHECK(eventually([&] { return has(s.report(), "waits for its deadline"); }));
  CHECK(sleeper.state() == "waits for its deadline");
  CHECK(one.state() == "has ended");
  CHECK(!s.stuck());
  sleeper.cancel();
  s.spawn([&] {
     enter_blocking(Blocking::Surely);
     ::usleep(20'000);
     CHECK(!s.stuck());
     CHECK(self().state() == "is in a call of the system");
     exit_blocking();
   }).join();
}

TEST_CASE("the scheduler ends by itself with its last task, if asked to") {
  for (unsigned workers : worker_counts) {
    for (int round = 0; round < 20; ++round) {
      Scheduler s({.workers = workers, .auto_shutdown = true});
      std::atomic<int> ran{0};
      s.spawn([&] {
        for (int i = 0; i < 10; ++i) {
          s.spawn([&] {
            yield();
            ran.fetch_add(1);
          });
        }
      });
      s.wait_idle();
      CHECK(ran == 10);
      CHECK_THROWS_AS(s.spawn([] {}), std::system_error);
      CHECK(s.live() == 0);
    }
  }
}

TEST_CASE("pinned workers keep to one core each") {
  const std::vector<int> cpus = allowed_cpus();
  REQUIRE(!cpus.empty());
  Scheduler s({.workers = 2, .pin = true});
  std::atomic<int> wrong{0};
  for (int i = 0; i < 50; ++i) {
    s.spawn([&] {
      for (int k = 0; k < 20; ++k) {
        cpu_set_t set;
        CPU_ZERO(&set);
        ::sched_getaffinity(0, sizeof set, &set);
        wrong += CPU_COUNT(&set) != 1 ? 1 : 0;
        k % 5 == 0 ? static_cast<void>(sleep_for(100us)) : static_cast<void>(yield());
      }
    });
  }
  s.wait_idle();
  CHECK(wrong == 0);
  CHECK(s.counters().pin_failures == 0);
  CHECK(allowed_cpus() == cpus);  // this thread's are as before
}

TEST_CASE("the lateness of timers is counted") {
  Scheduler s({.workers = 1});
  s.spawn([] {
     for (int i = 0; i < 20; ++i) {
       sleep_for(100us);
     }
   }).join();
  CHECK(s.counters().timer_lateness.total() == 20);
  CHECK(s.counters().timer_lateness.percentile(0.5) > 0);
}
