// Events from outside, by a poller of the tests' own: tasks are woken while all is idle, while all is busy and across
// the end; none is lost; under 1, 2 and 8 workers.
#include "sched/poller.h"

#include <doctest/doctest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "sched/scheduler.h"
#include "tests/unit/sched/fixture.h"

using namespace vmrun::sched;
using namespace vmrun::test;
using namespace std::chrono_literals;

namespace {

/// Tasks wait for event counters by epoll.
class EventPoller final : public Poller {
 public:
  EventPoller() {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    REQUIRE(::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) == 0);
  }
  ~EventPoller() {
    CHECK(!inside_.load());
    ::close(wake_);
    ::close(epoll_);
  }

  int poll(int64_t deadline) noexcept override {
    overlaps += inside_.exchange(true) ? 1 : 0;
    (deadline == 0 ? looks : waits).fetch_add(1);
    timespec left{0, 0};
    if (deadline != 0 && deadline != never) {
      const Nanos ns = std::max<Nanos>(deadline - now(), 0);
      left = {ns / 1'000'000'000, ns % 1'000'000'000};
    }
    std::array<epoll_event, 16> events;
    const int n = ::epoll_pwait2(epoll_, events.data(), events.size(), deadline == never ? nullptr : &left, nullptr);
    int woken = 0;
    for (int i = 0; i < n; ++i) {
      if (events[i].data.ptr == nullptr) {
        uint64_t value = 0;
        CHECK(::read(wake_, &value, sizeof value) == sizeof value);
        continue;
      }
      auto* waiter = static_cast<Waiter*>(events[i].data.ptr);
      const Task task = waiter->task;  // from the store on, the waiter may be gone
      waiter->woken.store(true, std::memory_order_release);
      task.unpark();
      ++woken;
    }
    inside_.store(false);
    return woken;
  }
  void interrupt() noexcept override {
    const uint64_t one = 1;
    CHECK(::write(wake_, &one, sizeof one) == sizeof one);
  }
  bool waited_for() const noexcept override { return waiting_.load() != 0; }

  /// Suspends the running task until `event` counts, and takes what it has counted.
  uint64_t wait(int event) {
    uint64_t value = 0;
    while (::read(event, &value, sizeof value) != sizeof value) {
      Waiter waiter{self()};
      waiting_.fetch_add(1);
      epoll_event entry{.events = EPOLLIN | EPOLLONESHOT, .data = {.ptr = &waiter}};
      CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, event, &entry) == 0);
      while (!waiter.woken.load(std::memory_order_acquire)) {
        park(Cancellable::No);
      }
      CHECK(::epoll_ctl(epoll_, EPOLL_CTL_DEL, event, nullptr) == 0);
      waiting_.fetch_sub(1);
    }
    return value;
  }

  std::atomic<int> overlaps{0}, looks{0}, waits{0};
  int waiting() const { return waiting_.load(); }

 private:
  struct Waiter {
    Task task;
    std::atomic<bool> woken{false};
  };
  const int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  const int wake_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  std::atomic<int> waiting_{0};
  std::atomic<bool> inside_{false};
};

struct EventCounter {
  const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  ~EventCounter() { ::close(fd); }
  void add(uint64_t n = 1) const { CHECK(::write(fd, &n, sizeof n) == sizeof n); }
};

/// Computes until told to end, and gives way when asked to.
void compute(const std::atomic<bool>& stop) {
  while (!stop.load(std::memory_order_relaxed)) {
    if (preempt_requested()) {
      preempted();
    }
  }
}

}  // namespace

TEST_CASE("an event wakes its task while all workers are idle") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    EventPoller poller;
    Scheduler s({.workers = workers});
    s.set_poller(&poller);
    EventCounter event;
    std::atomic<int> got{0};
    Task task = s.spawn([&] {
      for (int i = 0; i < 5; ++i) {
        CHECK(poller.wait(event.fd) == 1);
        got.fetch_add(1);
      }
    });
    for (int i = 0; i < 5; ++i) {
      while (poller.waiting() == 0 || got != i) {
        std::this_thread::yield();
      }
      std::this_thread::sleep_for(2ms);
      event.add();
    }
    task.join();
    CHECK(poller.waits > 0);
    CHECK(poller.overlaps == 0);
  }
}

TEST_CASE("a worker that waits for events wakes for tasks and for timers, also earlier ones") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    EventPoller poller;
    Scheduler s({.workers = workers});
    s.set_poller(&poller);
    EventCounter event;
    Task waiting = s.spawn([&] { poller.wait(event.fd); });
    Task sleeping = s.spawn([&] { CHECK(sleep_for(1h) == Wake::Cancelled); });
    for (int i = 0; i < 20; ++i) {
      std::this_thread::sleep_for(i % 2 * 1ms);
      s.spawn([] { CHECK(sleep_for(500us) == Wake::TimedOut); }).join();
    }
    sleeping.cancel();
    sleeping.join();
    event.add();
    waiting.join();
    CHECK(poller.overlaps == 0);
  }
}

TEST_CASE("an event wakes its task while every worker yields") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    EventPoller poller;
    Scheduler s({.workers = workers});
    s.set_poller(&poller);
    EventCounter event;
    std::atomic<bool> stop{false};
    for (unsigned i = 0; i < 2 * workers; ++i) {
      s.spawn([&] {
        while (!stop) {
          yield();
        }
      });
    }
    std::atomic<int> got{0};
    Task task = s.spawn([&] {
      for (; got != 20; ++got) {
        poller.wait(event.fd);
      }
    });
    for (int i = 0; i < 20; ++i) {
      while (got != i) {
        std::this_thread::yield();
      }
      event.add();
    }
    task.join();
    stop = true;
    s.wait_idle();
    CHECK((workers != 1 || poller.looks > 0));  // of several, one may be idle and wait
    CHECK(poller.overlaps == 0);
  }
}

TEST_CASE("an event wakes its task while every worker computes, before the tasks that wait for a slice") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    EventPoller poller;
    Scheduler s({.workers = workers, .slice = 2ms});
    s.set_poller(&poller);
    EventCounter event;
    std::atomic<bool> stop{false};
    for (unsigned i = 0; i < 4 * workers; ++i) {
      s.spawn([&] { compute(stop); });
    }
    for (int i = 0; i < 10; ++i) {
      Task task = s.spawn([&] { poller.wait(event.fd); });
      while (poller.waiting() == 0) {
        std::this_thread::yield();
      }
      event.add();
      task.join();
    }
    stop = true;
    s.wait_idle();
    CHECK(poller.overlaps == 0);
  }
}

TEST_CASE("a task that computes alone does not keep events from an idle worker") {
  EventPoller poller;
  Scheduler s({.workers = 2});
  s.set_poller(&poller);
  EventCounter event;
  std::atomic<bool> stop{false};
  s.spawn([&] {
    while (!stop) {  // gives way to nobody
    }
  });
  for (int i = 0; i < 50; ++i) {
    Task task = s.spawn([&] { poller.wait(event.fd); });
    event.add();
    task.join();
  }
  stop = true;
  s.wait_idle();
}

TEST_CASE("the end comes while tasks wait for events; nobody is in the poller afterwards") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    for (int round = 0; round < 20 / scale; ++round) {
      EventPoller poller;
      std::vector<EventCounter> events(6);
      std::atomic<int> got{0};
      std::thread writer;
      {
        Scheduler s({.workers = workers});
        s.set_poller(&poller);
        for (EventCounter& event : events) {
          s.spawn([&] { got += static_cast<int>(poller.wait(event.fd)); });
        }
        writer = std::thread([&] {
          for (EventCounter& event : events) {
            event.add();
            std::this_thread::sleep_for(100us);
          }
        });
        s.join();
      }
      writer.join();
      CHECK(got == 6);
      CHECK(poller.waiting() == 0);
      CHECK(poller.overlaps == 0);
    }
  }
}

TEST_CASE("a poller is taken away and another put in its place, while workers are idle or busy") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    Scheduler s({.workers = workers});
    std::atomic<bool> stop{false};
    s.spawn([&] {
      while (!stop) {
        sleep_for(50us);
      }
    });
    for (int i = 0; i < 50 / scale; ++i) {
      EventPoller poller;
      s.set_poller(&poller);
      EventCounter event;
      Task task = s.spawn([&] { poller.wait(event.fd); });
      if (i % 2 == 0) {
        std::this_thread::sleep_for(200us);
      }
      event.add();
      task.join();
      s.set_poller(nullptr);
      CHECK(poller.overlaps == 0);
    }
    stop = true;
    s.wait_idle();
  }
}

TEST_CASE("no wake-up is lost: events, timers, tasks and threads wake each other") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    EventPoller poller;
    Scheduler s({.workers = workers});
    s.set_poller(&poller);
    constexpr int pairs = 8;
    const int rounds = 2'000 / scale;
    std::array<EventCounter, pairs> ping;
    std::array<EventCounter, pairs> pong;
    std::vector<std::thread> threads;
    std::atomic<int> done{0};
    for (int i = 0; i < pairs; ++i) {
      s.spawn([&, i] {
        for (int k = 0; k < rounds; ++k) {
          CHECK(poller.wait(ping[i].fd) == 1);
          pong[i].add();
        }
        done.fetch_add(1);
      });
      if (i % 4 == 3) {
        threads.emplace_back([&, i] {  // a thread on the other side
          for (int k = 0; k < rounds; ++k) {
            ping[i].add();
            uint64_t value = 0;
            while (::read(pong[i].fd, &value, sizeof value) != sizeof value) {
              std::this_thread::yield();
            }
          }
        });
        continue;
      }
      s.spawn([&, i] {
        for (int k = 0; k < rounds; ++k) {
          ping[i].add();
          CHECK(poller.wait(pong[i].fd) == 1);
          if (i % 4 == 1 && k % 16 == 0) {
            sleep_for(20us);
          } else if (i % 4 == 2) {
            yield();
          }
        }
        done.fetch_add(1);
      });
    }
    for (std::thread& t : threads) {
      t.join();
    }
    s.wait_idle();
    CHECK(done == 14);
    CHECK(poller.overlaps == 0);
    CHECK(poller.waiting() == 0);
  }
}
