// What the preempt hook is told of a task, and for how long it holds; and unparking from signal handlers.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/time.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

#include "sched/scheduler.h"
#include "tests/unit/sched/fixture.h"

using namespace vmrun::sched;
using namespace vmrun::test;
using namespace std::chrono_literals;

namespace {

/// What a task has as its user while `alive`, and is cancelled until `taken`.
struct Owner {
  std::atomic<bool> alive{false}, taken{false}, told{false};
};

struct Seen {
  std::atomic<int> dead{0}, late{0}, cancelled{0};
};

}  // namespace

TEST_CASE("the preempt hook has the task's user and its reason to end, and neither once the task has taken them back") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    Scheduler s({.workers = workers, .slice = 50us, .preempt_alone = true});
    Seen seen;
    s.set_preempt(
        [](void* context, const Preemption& what) noexcept {
          auto& seen = *static_cast<Seen*>(context);
          if (what.user == nullptr) return;
          auto& owner = *static_cast<Owner*>(what.user);
          const bool cancelled = what.reason != CancelReason::None;
          seen.cancelled += cancelled;
          if (cancelled) owner.told = true;  // and so the task goes on while this looks
          for (int look = 0; look < 500; ++look) {
            seen.dead += !owner.alive;
            if (cancelled) seen.late += owner.taken;
          }
        },
        &seen);
    constexpr int rounds = 200;
    std::vector<Owner> owners(2 * rounds);
    std::atomic<int> round{-1};
    const Task task = s.spawn([&] {
      for (int i = 0; i < rounds; ++i) {
        Owner& owner = owners[i];
        owner.alive = true;
        set_switch_hooks(nullptr, &owner);
        enter_blocking();
        round = i;
        while (!owner.told) {
        }
        exit_blocking();
        while (cancel_reason() == CancelReason::None) yield();
        CHECK(take_cancel() == CancelReason::Requested);
        owner.taken = true;
        set_switch_hooks(nullptr, nullptr);
        owner.alive = false;
      }
    });
    for (int i = 0; i < rounds; ++i) {
      while (round != i) std::this_thread::yield();
      task.cancel();
    }
    task.join();
    CHECK(seen.cancelled >= rounds);
    // A user that was given at the spawn is the hook's until the task has ended.
    for (int i = rounds; i < 2 * rounds; ++i) {
      Owner& owner = owners[i];
      owner.alive = true;
      const Task other = s.spawn(
          [&] {
            while (!owner.told) {
            }
          },
          {.user = &owner});
      other.cancel();
      other.join();
      owner.alive = false;
    }
    CHECK(seen.dead == 0);
    CHECK(seen.late == 0);
  }
}

TEST_CASE("unparking soon: what is parked wakes, also where every thread sleeps, and no permit is lost") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    Scheduler s({.workers = workers});
    constexpr int rounds = 2'000;
    std::atomic<int> posted{0}, taken{0};
    const Task reader = s.spawn([&] {
      while (taken < rounds) {
        while (posted == taken) park();
        taken = posted.load();
      }
    });
    for (int i = 1; i <= rounds; ++i) {
      if (i % 100 == 0) {
        while (taken != posted) std::this_thread::yield();
        if (i % 500 == 0) std::this_thread::sleep_for(60ms);  // the monitor sleeps for good then
      }
      posted = i;
      reader.unpark_soon();
    }
    CHECK(reader.join_until(Clock::now() + 60s) == Wake::Unparked);
    // Of a task that has ended: nothing, and its cell is free for others.
    for (int i = 0; i < 1'000; ++i) {
      const Task brief = s.spawn([] {});
      brief.unpark_soon();
      brief.unpark_soon();
    }
  }
}

namespace {

std::atomic<const Task*> of_handler{nullptr};
std::atomic<unsigned> posts{0};

void post(int) {
  const int saved_errno = errno;
  posts.fetch_add(1);
  if (const Task* task = of_handler.load()) task->unpark_soon();
  errno = saved_errno;
}

}  // namespace

TEST_CASE("a signal handler unparks, on any thread and whatever that does") {
  struct sigaction action = {}, before = {};
  action.sa_handler = post;
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  REQUIRE(sigaction(SIGALRM, &action, &before) == 0);
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    Scheduler s({.workers = workers});
    std::atomic<bool> end{false};
    unsigned woken = 0;
    const Task reader = s.spawn([&] {
      for (unsigned seen = posts; woken < 300; ++woken) {
        while (posts == seen) park();
        seen = posts;
      }
      end = true;
    });
    of_handler = &reader;
    // Others keep the workers inside the scheduler meanwhile.
    for (int i = 0; i < 4; ++i) {
      s.spawn([&] {
        while (!end) {
          s.spawn([] { sleep_for(1us); }).join();
          yield();
        }
      });
    }
    // A signal of the process comes to the scheduler's threads, since this one blocks it.
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm, nullptr);
    const itimerval often{{0, 200}, {0, 200}}, never{};
    REQUIRE(setitimer(ITIMER_REAL, &often, nullptr) == 0);
    CHECK(reader.join_until(Clock::now() + 60s) == Wake::Unparked);
    REQUIRE(setitimer(ITIMER_REAL, &never, nullptr) == 0);
    // One that is on its way.
    std::this_thread::sleep_for(2ms);
    of_handler = nullptr;
    pthread_sigmask(SIG_UNBLOCK, &alarm, nullptr);
    s.wait_idle();
    CHECK(woken == 300);
  }
  sigaction(SIGALRM, &before, nullptr);
}
