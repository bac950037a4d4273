// Pipes: waiting and waking, the end, deadlines, cancellation, closing, inherited streams; tasks and threads.
#include <signal.h>

#include <cstring>
#include <numeric>

#include "tests/unit/io/fixture.h"

using namespace vmrun;
using namespace vmrun::test;
using io::Descriptor;
using io::Until;

TEST_CASE("ping-pong of two tasks") {
  everywhere([](World& w) {
    auto there = w.pipe(), back = w.pipe();
    io::Reactor& r = w.reactor();
    const int rounds = 2'000 / scale;
    auto play = [&](Descriptor& in, Descriptor& out, bool first) {
      int value = 0;
      for (int i = 0; i < rounds; ++i) {
        if (first) REQUIRE(r.write(out, &i, sizeof i) == sizeof i);
        REQUIRE(r.read(in, &value, sizeof value) == sizeof value);
        REQUIRE(value == i);
        if (!first) REQUIRE(r.write(out, &i, sizeof i) == sizeof i);
      }
    };
    auto a = w.spawn([&] { play(back[0], there[1], true); });
    auto b = w.spawn([&] { play(there[0], back[1], false); });
    a.join();
    b.join();
  });
}

TEST_CASE("a write of much waits for its reader, and nothing is lost") {
  everywhere([](World& w) {
    auto [in, out] = w.pipe();
    io::Reactor& r = w.reactor();
    const size_t size = (1 << 20) / scale;
    std::vector<uint8_t> data(size), got;
    std::iota(data.begin(), data.end(), uint8_t{0});
    w.spawn([&, out = std::move(out)] { REQUIRE(r.write(out, data.data(), size) == static_cast<int64_t>(size)); });
    w.spawn([&, in = std::move(in)] {
       std::vector<uint8_t> part(30'000);
       for (int64_t n; (n = r.read(in, part.data(), part.size())) != 0;) {
         REQUIRE(n > 0);
         got.insert(got.end(), part.begin(), part.begin() + n);
       }
     }).join();
    CHECK(got == data);
  });
}

TEST_CASE("a pipe's reader that is gone is an error and no signal, its writer that is gone the end") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    w.spawn([&] {
       auto [in, out] = w.pipe();
       in = {};
       char byte = 1;
       CHECK(r.write(out, &byte, 1) == -EPIPE);
       auto [in2, out2] = w.pipe();
       CHECK(r.write(out2, &byte, 1) == 1);
       out2 = {};
       char buffer[16];
       CHECK(r.read(in2, buffer, sizeof buffer) == 1);
       CHECK(r.read(in2, buffer, sizeof buffer) == 0);
       CHECK(r.read(in2, buffer, sizeof buffer) == 0);
     }).join();
  });
}

TEST_CASE("the end comes to a reader that has just read everything") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    auto [in, out] = w.pipe();
    std::atomic<int> read{0};
    auto reader = w.spawn([&] {
      char buffer[16];
      for (int64_t n; (n = r.read(in, buffer, sizeof buffer)) > 0;) read += static_cast<int>(n);
    });
    char bytes[3] = {};
    for (int i = 1; i <= 50; ++i) {
      CHECK(r.write(out, bytes, 3) == 3);
      while (read != 3 * i) std::this_thread::yield();
    }
    out = {};
    CHECK(reader.join() == sched::Wake::Unparked);
  });
}

TEST_CASE("deadlines, calls that do not wait, cancellation, a Stop") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    auto [in, out] = w.pipe();
    char byte;
    w.spawn([&] {
       const auto begin = sched::Clock::now();
       CHECK(r.read(in, &byte, 1, Until::after(3ms)) == -ETIMEDOUT);
       CHECK(sched::Clock::now() - begin >= 3ms);
       CHECK(r.read(in, &byte, 1, Until::now()) == -EAGAIN);
       CHECK(r.wait(in, io::Direction::Read, Until::now()) == -EAGAIN);
       CHECK(r.wait(out, io::Direction::Write, Until::now()) == 0);
       CHECK(r.sleep(Until::after(1ms)) == 0);
     }).join();

    auto reader = w.spawn([&] {
      CHECK(r.read(in, &byte, 1) == -ECANCELED);
      CHECK(r.read(in, &byte, 1) == -ECANCELED);
      sched::take_cancel();
      CHECK(r.read(in, &byte, 1, Until::after(1ms)) == -ETIMEDOUT);
    });
    w.await_waiters(1);
    reader.cancel();
    reader.join();

    io::Stop stop;
    std::vector<sched::Task> readers;
    for (int i = 0; i < 20; ++i) {
      readers.push_back(w.spawn([&] { CHECK(r.read(in, &byte, 1, {.stop = &stop}) == -ECANCELED); }));
    }
    w.await_waiters(20);
    stop.stop();
    for (auto& t : readers) t.join();
    w.spawn([&] { CHECK(r.sleep({.stop = &stop}) == -ECANCELED); }).join();
  });
}

TEST_CASE("cancellation does not end what must not be cancelled") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    auto [in, out] = w.pipe();
    char byte = 0;
    auto reader = w.spawn([&] { CHECK(r.read(in, &byte, 1, {.cancellable = sched::Cancellable::No}) == 1); });
    w.await_waiters(1);
    reader.cancel();
    std::this_thread::sleep_for(1ms);
    CHECK_FALSE(reader.done());
    CHECK(r.write(out, "x", 1) == 1);
    reader.join();
    CHECK(byte == 'x');
  });
}

TEST_CASE("closing ends every wait, and the number is free only then") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    auto [in, out] = w.pipe();
    const int number = in.fd();
    std::vector<sched::Task> tasks;
    char bytes[10];
    for (int i = 0; i < 10; ++i) {
      tasks.push_back(w.spawn([&, i] { CHECK(r.read(in, &bytes[i], 1) == -EBADF); }));
      tasks.push_back(w.spawn([&] {
        io::Interest one{&in};
        CHECK(r.wait_any({&one, 1}) == 1);
        CHECK(one.happened == POLLNVAL);
      }));
    }
    std::thread thread([&] {
      char byte;
      CHECK(r.read(in, &byte, 1) == -EBADF);
    });
    w.await_waiters(21);
    CHECK(r.close(in) == 0);
    CHECK(r.close(in) == -EBADF);
    for (auto& t : tasks) t.join();
    thread.join();
    CHECK(::fcntl(number, F_GETFD) == -1);
    CHECK(r.read(in, bytes, 1) == -EBADF);
    CHECK(r.write(in, bytes, 1) == -EBADF);
  });
}

TEST_CASE("readers of one pipe are served in their order") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    auto [in, out] = w.pipe();
    std::vector<char> got(5);
    std::vector<sched::Task> tasks;
    for (size_t i = 0; i < 5; ++i) {
      tasks.push_back(w.spawn([&, i] { CHECK(r.read(in, &got[i], 1) == 1); }));
      w.await_waiters(i + 1);
    }
    for (char c = 'a'; c <= 'e'; ++c) {
      CHECK(r.write(out, &c, 1) == 1);
      tasks[static_cast<size_t>(c - 'a')].join();
    }
    CHECK(std::string(got.begin(), got.end()) == "abcde");
  });
}

TEST_CASE("one event for many readers: each passes it on, also those that are cancelled just then") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    for (int round = 0; round < 20 / scale; ++round) {
      auto [in, out] = w.pipe();
      constexpr int n = 24;
      std::atomic<int> read{0}, cancelled{0};
      std::vector<sched::Task> tasks;
      for (int i = 0; i < n; ++i) {
        tasks.push_back(w.spawn([&, i] {
          char byte;
          const int64_t got = r.read(in, &byte, 1);
          (got == 1 ? read : cancelled) += 1;
          CHECK((got == 1 || (i % 3 == 0 && got == -ECANCELED)));
        }));
      }
      w.await_waiters(n);
      char bytes[n] = {};
      std::thread canceller([&] {
        for (int i = 0; i < n; i += 3) tasks[static_cast<size_t>(i)].cancel();
      });
      CHECK(r.write(out, bytes, n) == n);
      canceller.join();
      for (auto& t : tasks) t.join();
      CHECK(read + cancelled == n);
      char rest[n];
      CHECK(r.read(in, rest, n, Until::now()) == (cancelled == 0 ? -EAGAIN : cancelled.load()));
    }
  });
}

TEST_CASE("an inherited pipe keeps its flags and is waited for all the same") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    {
      // Two guests have the same stream.
      Descriptor in = w.borrow(ends[0]), same = w.borrow(ends[0]), out = w.borrow(ends[1]);
      std::atomic<int> read{0};
      auto take = [&](Descriptor& d) {
        char byte;
        CHECK(r.read(d, &byte, 1) == 1);
        ++read;
      };
      auto a = w.spawn([&] { take(in); }), b = w.spawn([&] { take(same); });
      w.await_waiters(2);
      CHECK(r.write(out, "xy", 2) == 2);
      a.join();
      b.join();
      CHECK(read == 2);
      const std::vector<char> much(200'000);
      auto writer = w.spawn([&] { CHECK(r.write(out, much.data(), much.size()) == 200'000); });
      w.spawn([&] {
         std::vector<char> part(50'000);
         int64_t got = 0;
         while (got < 200'000) got += r.read(in, part.data(), part.size());
         CHECK(got == 200'000);
       }).join();
      writer.join();
      CHECK((::fcntl(ends[0], F_GETFL) & O_NONBLOCK) == 0);
      CHECK((::fcntl(ends[1], F_GETFL) & O_NONBLOCK) == 0);
    }
    CHECK(::close(ends[0]) == 0);
    CHECK(::close(ends[1]) == 0);
  });
}

TEST_CASE("many borrow one pipe and wait in one line, without a descriptor more") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    {
      constexpr int kReaders = 100;
      Descriptor kept = w.borrow(ends[0]);
      const size_t open = open_descriptors();
      std::atomic<int> read{0}, ended{0};
      std::vector<sched::Task> tasks;
      for (int i = 0; i < kReaders; ++i) {
        tasks.push_back(w.spawn([&] {
          const Descriptor mine = w.borrow(ends[0]);
          char byte;
          const int64_t n = r.read(mine, &byte, 1);
          read += n == 1;
          ended += n == 0;
        }));
      }
      w.await_waiters(kReaders);
      CHECK(open_descriptors() == open);
      CHECK(r.counts().descriptors == 1);
      CHECK(::write(ends[1], "0123456789", 10) == 10);
      while (read != 10) std::this_thread::sleep_for(100us);
      CHECK(ended == 0);
      CHECK(::close(ends[1]) == 0);
      for (auto& task : tasks) task.join();
      CHECK(read == 10);
      CHECK(ended == kReaders - 10);
    }
    // Another pipe under the same number.
    const int number = ends[0];
    Descriptor old = w.borrow(number);
    CHECK(::close(number) == 0);
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    if (ends[0] != number) {
      REQUIRE(::dup2(ends[0], number) == number);
      ::close(ends[0]);
    }
    Descriptor fresh = w.borrow(number);
    char byte;
    auto reader = w.spawn([&] { CHECK(r.read(fresh, &byte, 1) == 1); });
    w.await_waiters(1);
    CHECK(::write(ends[1], "x", 1) == 1);
    reader.join();
    // What is closed is not lent again.
    CHECK(r.close(fresh) == 0);
    Descriptor again = w.borrow(number);
    CHECK(::write(ends[1], "y", 1) == 1);
    CHECK(r.read(again, &byte, 1) == 1);
    old = fresh = again = {};
    ::close(number);
    ::close(ends[1]);
  });
}

TEST_CASE("a terminal, which the kernel cannot try without waiting") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    REQUIRE(master >= 0);
    REQUIRE(::grantpt(master) == 0);
    REQUIRE(::unlockpt(master) == 0);
    const int slave = ::open(::ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    REQUIRE(slave >= 0);
    {
      Descriptor terminal = w.borrow(slave);
      auto reader = w.spawn([&] {
        char line[64];
        CHECK(r.read(terminal, line, sizeof line) == 4);
        CHECK(std::memcmp(line, "one\n", 4) == 0);
        CHECK(r.read(terminal, line, sizeof line) == 4);  // there already, though the first read was short
        CHECK(std::memcmp(line, "two\n", 4) == 0);
        CHECK(r.read(terminal, line, sizeof line, Until::after(2ms)) == -ETIMEDOUT);
        CHECK(r.write(terminal, "out", 3) == 3);
      });
      w.await_waiters(1);
      CHECK(::write(master, "one\ntwo\n", 8) == 8);
      reader.join();
      CHECK((::fcntl(slave, F_GETFL) & O_NONBLOCK) == 0);
    }
    ::close(slave);
    ::close(master);
  });
}

TEST_CASE("threads that run no task just wait") {
  for (const io::Options& options : all_backends()) {
    int64_t error = 0;
    auto r = io::Reactor::create(options, error);  // nobody polls it
    REQUIRE(error == 0);
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    Descriptor in = r->adopt(ends[0], error), out = r->adopt(ends[1], error);
    char byte = 0;
    CHECK(r->read(in, &byte, 1, Until::after(2ms)) == -ETIMEDOUT);
    std::thread writer([&] {
      std::this_thread::sleep_for(2ms);
      CHECK(r->write(out, "x", 1) == 1);
    });
    CHECK(r->read(in, &byte, 1) == 1);
    writer.join();
    io::Stop stop;
    std::thread stopper([&] {
      std::this_thread::sleep_for(2ms);
      stop.stop();
    });
    CHECK(r->read(in, &byte, 1, {.stop = &stop}) == -ECANCELED);
    stopper.join();
    CHECK(r->sleep(Until::after(1ms)) == 0);
    CHECK(r->counts().nodes == 0);
  }
}

TEST_CASE("signals and events through descriptors") {
  sigset_t usr1, before;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  REQUIRE(pthread_sigmask(SIG_BLOCK, &usr1, &before) == 0);
  everywhere([&](World& w) {
    io::Reactor& r = w.reactor();
    int64_t error = 0;
    Descriptor signals = r.open_signals(usr1, error);
    REQUIRE(error == 0);
    Descriptor event = r.open_event(error);
    REQUIRE(error == 0);
    auto waiter = w.spawn([&] {
      CHECK(r.take_signal(signals) == SIGUSR1);
      uint64_t times = 0;
      CHECK(r.read(event, &times, sizeof times) == 8);
      CHECK(times == 2);
    });
    w.await_waiters(1);
    CHECK(r.post(event) == 0);
    CHECK(r.post(event) == 0);
    ::kill(::getpid(), SIGUSR1);
    waiter.join();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}
