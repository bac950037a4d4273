// Mutexes under contention, channels and wait groups: values and order, deadlines, cancellation, tasks and threads
// mixed; under 1, 2 and 8 workers.
#include "sched/sync.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "sched/channel.h"
#include "sched/scheduler.h"
#include "tests/unit/sched/fixture.h"

using namespace vmrun::sched;
using namespace vmrun::test;
using namespace std::chrono_literals;

namespace {

Nanos in(Clock::duration time) { return nanos(Clock::now() + time); }

}  // namespace

TEST_CASE("a mutex excludes, whoever waits for it: tasks, threads, with deadlines and cancelled") {
  for (unsigned workers : worker_counts) {
    CAPTURE(workers);
    Scheduler s({.workers = workers});
    Mutex mutex;
    long counter = 0;  // guarded
    std::atomic<long> expected{0};
    std::atomic<bool> inside{false};
    std::atomic<int> overlaps{0};
    auto section = [&](int k) {
      overlaps += inside.exchange(true) ? 1 : 0;
      ++counter;
      if (k % 64 == 0 && on_task()) {
        yield();  // others have to wait in line
      }
      inside = false;
      mutex.unlock();
      expected.fetch_add(1);
    };
    const int rounds = 2'000 / scale;
    std::vector<Task> tasks;
    for (int i = 0; i < 8; ++i) {
      tasks.push_back(s.spawn([&, i] {
        for (int k = 0; k < rounds; ++k) {
          if (i % 4 == 1) {
            if (mutex.lock_until(in(20us)) != Wake::Unparked) continue;
          } else if (i % 4 == 2) {
            if (!mutex.try_lock()) {
              yield();
              continue;
            }
          } else {
            mutex.lock();
          }
          section(k);
        }
      }));
    }
    Task cancelled = s.spawn([&] {
      int ended = 0;
      for (int k = 0; k < rounds; ++k) {
        const Wake how = mutex.lock_until(never);
        if (how == Wake::Unparked) {
          section(k);
        } else {
          CHECK(how == Wake::Cancelled);
          take_cancel();
          ++ended;
        }
      }
      MESSAGE(ended << " waits cancelled");
    });
    std::thread canceller([&] {
      while (!cancelled.done()) {
        cancelled.cancel();
        std::this_thread::yield();
      }
    });
    std::thread thread([&] {
      for (int k = 0; k < rounds; ++k) {
        mutex.lock();
        section(1);
      }
    });
    thread.join();
    canceller.join();
    s.wait_idle();
    CHECK(overlaps == 0);
    CHECK(counter == expected);
    CHECK(mutex.try_lock());  // free at the end
    mutex.unlock();
  }
}

TEST_CASE("a freed mutex is not handed over, but nobody starves") {
  // One task takes the mutex again at once, over and over, and never suspends while it is free.
  Scheduler s({.workers = 1});
  Mutex mutex;
  std::atomic<bool> got{false};
  uint64_t again = 0;
  s.spawn([&] {
     mutex.lock();
     Task other = s.spawn([&] {
       mutex.lock();
       got = true;
       mutex.unlock();
     });
     yield();
     mutex.unlock();
     // Not handed over: this task gets it again although the other one waits.
     CHECK(mutex.try_lock());
     CHECK(!got);
     while (!got) {
       yield();  // while it holds it
       mutex.unlock();
       mutex.lock();
       ++again;
     }
     mutex.unlock();
     other.join();
   }).join();
  CHECK(got);
  CHECK(again > 0);
}

TEST_CASE("condition: a waiter may be cancelled or late, and holds the mutex afterwards") {
  Scheduler s({.workers = 2});
  Mutex mutex;
  Condition condition;
  std::atomic<bool> late{false};
  Task task = s.spawn([&] {
    mutex.lock();
    CHECK(condition.wait(mutex, Cancellable::Yes, in(1ms)) == Wake::TimedOut);
    CHECK(!mutex.try_lock());
    late = true;
    CHECK(condition.wait(mutex) == Wake::Cancelled);
    CHECK(!mutex.try_lock());
    mutex.unlock();
  });
  while (!late) {
    std::this_thread::yield();
  }
  task.cancel();
  task.join();
}

TEST_CASE("channels hand over every value once, in order, with and without a buffer") {
  for (unsigned workers : worker_counts) {
    for (size_t capacity : {0, 1, 7}) {
      CAPTURE(workers);
      CAPTURE(capacity);
      Scheduler s({.workers = workers});
      Channel<std::unique_ptr<int>> channel(capacity);
      const int n = 2'000 / scale;
      constexpr int senders = 4;
      std::vector<std::atomic<int>> seen(static_cast<size_t>(senders * n));
      std::atomic<int> disorder{0};
      std::atomic<int> received{0};
      auto send = [&](int from) {
        for (int i = 0; i < n; ++i) {
          CHECK(channel.send(std::make_unique<int>(from * n + i)) == Transfer::Done);
        }
      };
      auto receive = [&] {
        std::array<int, senders> last{-1, -1, -1, -1};
        std::unique_ptr<int> value;
        while (channel.receive(value) == Transfer::Done) {
          seen[static_cast<size_t>(*value)].fetch_add(1);
          received.fetch_add(1);
          int& before = last[static_cast<size_t>(*value / n)];
          disorder += *value <= before ? 1 : 0;
          before = *value;
        }
      };
      WaitGroup sending;
      sending.add(senders);
      for (int i = 0; i < senders - 1; ++i) {
        s.spawn([&, i] {
          send(i);
          sending.done();
        });
      }
      std::thread sender([&] {
        send(senders - 1);
        sending.done();
      });
      for (int i = 0; i < 3; ++i) {
        s.spawn(receive);
      }
      std::thread receiver(receive);
      CHECK(sending.wait() == Wake::Unparked);
      channel.close();
      sender.join();
      receiver.join();
      s.wait_idle();
      CHECK(received == senders * n);
      CHECK(disorder == 0);
      int wrong = 0;
      for (auto& count : seen) {
        wrong += count != 1 ? 1 : 0;
      }
      CHECK(wrong == 0);
      CHECK(channel.size() == 0);
    }
  }
}

TEST_CASE("a send or receive that ends otherwise moves nothing") {
  Scheduler s({.workers = 2});
  Channel<std::unique_ptr<int>> channel(1);
  auto value = std::make_unique<int>(1);
  CHECK(channel.try_receive(value) == Transfer::TimedOut);
  CHECK(*value == 1);
  CHECK(channel.try_send(std::make_unique<int>(2)) == Transfer::Done);
  CHECK(channel.try_send(std::move(value)) == Transfer::TimedOut);
  CHECK(value != nullptr);
  CHECK(channel.send(std::move(value), in(1ms)) == Transfer::TimedOut);
  CHECK(value != nullptr);
  Task sender = s.spawn([&] {
    CHECK(channel.send(std::move(value)) == Transfer::Cancelled);
    CHECK(value != nullptr);
  });
  std::this_thread::sleep_for(2ms);
  sender.cancel();
  sender.join();
  channel.close();
  channel.close();
  CHECK(channel.send(std::move(value)) == Transfer::Closed);
  CHECK(value != nullptr);
  CHECK(channel.receive(value) == Transfer::Done);  // what was in the buffer
  CHECK(*value == 2);
  CHECK(channel.receive(value) == Transfer::Closed);
  CHECK(*value == 2);

  Channel<int> direct;
  int got = 0;
  CHECK(direct.try_send(1) == Transfer::TimedOut);
  CHECK(direct.receive(got, in(1ms)) == Transfer::TimedOut);
  Task receiver = s.spawn([&] { CHECK(direct.receive(got) == Transfer::Closed); });
  Task blocked = s.spawn([&] { CHECK(direct.receive(got) == Transfer::Closed); });
  std::this_thread::sleep_for(2ms);
  direct.close();
  receiver.join();
  blocked.join();
}

TEST_CASE("a wait group ends when all jobs are done, and may then be destroyed at once") {
  for (unsigned workers : worker_counts) {
    Scheduler s({.workers = workers});
    for (int round = 0; round < 200 / scale; ++round) {
      auto group = std::make_unique<WaitGroup>();
      CHECK(group->wait() == Wake::Unparked);
      std::atomic<int> done{0};
      group->add(5);
      CHECK(group->wait(Cancellable::Yes, in(10us)) == Wake::TimedOut);
      for (int i = 0; i < 5; ++i) {
        s.spawn([&done, g = group.get()] {
          done.fetch_add(1);
          g->done();
        });
      }
      if (round % 2 == 0) {
        CHECK(group->wait() == Wake::Unparked);
      } else {
        s.spawn([&] { CHECK(group->wait() == Wake::Unparked); }).join();
      }
      CHECK(done == 5);
      group.reset();
    }
  }
}
