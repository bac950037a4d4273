// Tasks that wait inside catch blocks and while they unwind: what they caught and throw is theirs on whatever thread.
#include "sched/in_flight.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <vector>

#include "sched/scheduler.h"
#include "tests/unit/sched/fixture.h"

using namespace vmrun::sched;
using namespace vmrun::test;

namespace {

/// Counts objects, so that one that is freed too early or never shows.
struct Thrown {
  explicit Thrown(int which) : number(which) { ++live; }
  Thrown(const Thrown& other) : number(other.number) { ++live; }
  ~Thrown() {
    number = -1;
    --live;
  }
  int number;
  static inline std::atomic<int> live{0};
};

/// What the handler around the call has caught, or -1.
int caught_number() {
  if (std::current_exception() == nullptr) return -1;
  try {
    throw;
  } catch (const Thrown& again) {
    return again.number;
  }
}

struct YieldsAtEnd {
  int times;
  ~YieldsAtEnd() {
    for (int i = 0; i < times; ++i) yield();
  }
};

}  // namespace

TEST_CASE("a task that waits inside a catch block keeps what it has caught, and leaves nothing to others") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    std::atomic<int> wrong{0};
    {
      Scheduler s({.workers = workers});
      std::vector<Task> tasks;
      tasks.reserve(32);
      for (int t = 0; t < 24; ++t) {
        tasks.push_back(s.spawn([&wrong, t] {
          for (int round = 0; round < 20 / scale + 1; ++round) {
            wrong += std::current_exception() != nullptr || std::uncaught_exceptions() != 0;
            const int number = t * 1000 + round;
            try {
              throw Thrown(number);
            } catch (const Thrown& outer) {
              for (int i = 0; i <= t % 3; ++i) yield();
              wrong += outer.number != number || caught_number() != number;
              try {
                throw Thrown(-number - 2);
              } catch (const Thrown& inner) {
                sleep_for(std::chrono::microseconds(t));
                wrong += inner.number != -number - 2 || caught_number() != -number - 2;
              }
              wrong += outer.number != number || caught_number() != number;
            }
            yield();
          }
        }));
      }
      // These catch nothing, and run between the others.
      for (int t = 0; t < 8; ++t) {
        tasks.push_back(s.spawn([&wrong] {
          for (int i = 0; i < 200 / scale; ++i) {
            wrong += std::current_exception() != nullptr || std::uncaught_exceptions() != 0;
            yield();
          }
        }));
      }
      for (Task& task : tasks) task.join();
    }
    CHECK(wrong.load() == 0);
    CHECK(Thrown::live.load() == 0);
  }
}

TEST_CASE("a task may wait while it unwinds") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    std::atomic<int> wrong{0};
    {
      Scheduler s({.workers = workers});
      std::vector<Task> tasks;
      tasks.reserve(16);
      for (int t = 0; t < 16; ++t) {
        tasks.push_back(s.spawn([&wrong, t] {
          for (int round = 0; round < 20 / scale + 1; ++round) {
            wrong += std::uncaught_exceptions() != 0;
            try {
              const YieldsAtEnd yields{t % 4};
              throw Thrown(t);
            } catch (const Thrown& thrown) {
              wrong += thrown.number != t || std::uncaught_exceptions() != 0;
            }
            wrong += std::uncaught_exceptions() != 0;
          }
        }));
      }
      for (Task& task : tasks) task.join();
    }
    CHECK(wrong.load() == 0);
    CHECK(Thrown::live.load() == 0);
  }
}

TEST_CASE("what is in flight is what the C++ runtime says") {
  CHECK(!take_in_flight(in_flight_here()).any());
  try {
    throw Thrown(5);
  } catch (const Thrown&) {
    const InFlight mine = take_in_flight(in_flight_here());
    CHECK(mine.caught != nullptr);
    CHECK(mine.thrown == 0);
    CHECK(std::current_exception() == nullptr);
    put_in_flight(mine);
    CHECK(caught_number() == 5);
  }
  CHECK(Thrown::live.load() == 0);
}
