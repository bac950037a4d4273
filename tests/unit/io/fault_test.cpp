// Faults of every system call: one call fails with its error, everything else goes on, and nothing leaks.
#include "tests/unit/io/fixture.h"

using namespace vmrun;
using namespace vmrun::test;
using io::Descriptor;
using io::Until;
using io::sys::Call;

TEST_CASE("a reactor for which no descriptor is left") {
  const size_t before = open_descriptors();
  for (const io::Options& options : all_backends()) {
    for (const Call call : {Call::EpollCreate, Call::EventCreate, Call::TimerCreate, Call::EpollAdd}) {
      for (int skip = 0; skip < (call == Call::EpollAdd ? 2 : 1); ++skip) {
        Faults faults;
        faults.give(call, -EMFILE, 2, skip);
        int64_t error = 0;
        CHECK(io::Reactor::create(options, error) == nullptr);
        CHECK(error == -EMFILE);
      }
    }
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("a descriptor that cannot be adopted is closed, and the reason said") {
  World w(1);
  int64_t error = 0;
  CHECK_FALSE(w.reactor().adopt(-1, error));
  CHECK(error == -EBADF);
  for (const Call call : {Call::Describe, Call::SetNonblocking}) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    Faults faults;
    faults.give(call, -EIO);
    CHECK_FALSE(w.reactor().adopt(ends[0], error));
    CHECK(error == -EIO);
    ::close(ends[1]);
  }
  Faults faults;
  faults.give(Call::EventCreate, -EMFILE).give(Call::SignalCreate, -EMFILE);
  CHECK_FALSE(w.reactor().open_event(error));
  CHECK(error == -EMFILE);
  sigset_t none;
  sigemptyset(&none);
  CHECK_FALSE(w.reactor().open_signals(none, error));
  CHECK(error == -EMFILE);
}

TEST_CASE("a wait that epoll does not take fails alone") {
  World w(2);
  io::Reactor& r = w.reactor();
  auto [in, out] = w.pipe();
  auto [in2, out2] = w.pipe();
  char byte;
  auto other = w.spawn([&, in2 = in2] { CHECK(r.read(in2, &byte, 1) == 1); });
  w.await_waiters(1);
  {
    Faults faults;
    faults.give(Call::EpollAdd, -ENOSPC, 2);
    w.spawn([&, in = in] {
       char c;
       CHECK(r.read(in, &c, 1) == -ENOSPC);
       CHECK(r.wait(in, io::Direction::Read) == -ENOSPC);
       CHECK(r.read(in, &c, 1, Until::after(1ms)) == -ETIMEDOUT);  // now it does
     }).join();
  }
  CHECK(r.write(out2, "x", 1) == 1);
  other.join();
}

TEST_CASE("a second watch of one number needs a descriptor more") {
  World w(2);
  io::Reactor& r = w.reactor();
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  {
    int64_t error = 0;
    Descriptor a = w.borrow(ends[0]),
               b = r.borrow(ends[0], error, {.raises = true});  // which is another one: it raises signals
    REQUIRE(error == 0);
    char byte;
    auto first = w.spawn([&] { CHECK(r.read(a, &byte, 1) == 1); });
    w.await_waiters(1);
    Faults faults;
    faults.give(Call::Duplicate, -EMFILE);
    w.spawn([&] {
       char c;
       CHECK(r.read(b, &c, 1) == -EMFILE);
     }).join();
    CHECK(::write(ends[1], "x", 1) == 1);
    first.join();
  }
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("EINTR and EAGAIN of every transfer are borne") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    auto pipe = w.pipe();
    auto sockets = w.socket_pair();
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    {
      Descriptor in = w.borrow(ends[0]), out = w.borrow(ends[1]);
      Faults faults;
      for (const Call call :
           {Call::Read, Call::Write, Call::ReadNow, Call::WriteNow, Call::Receive, Call::Send, Call::Poll}) {
        faults.give(call, -EINTR, 3);
      }
      faults.give(Call::EpollWait, -EINTR, 5);
      auto pass = [&](Descriptor& from, Descriptor& to) {
        for (int i = 0; i < 5; ++i) {
          char byte = 0;
          auto reader = w.spawn([&] { CHECK(r.read(from, &byte, 1) == 1); });
          auto writer = w.spawn([&] { CHECK(r.write(to, "x", 1) == 1); });
          reader.join();
          writer.join();
          CHECK(byte == 'x');
        }
      };
      pass(pipe[0], pipe[1]);
      pass(sockets[0], sockets[1]);
      pass(in, out);
      CHECK(Faults::left(Call::Read) == 0);
      CHECK(Faults::left(Call::Receive) == 0);
      CHECK(Faults::left(Call::ReadNow) == 0);
      // A reader that is told to wait although something is there: the first watch says so.
      for (const Call call : {Call::Read, Call::Receive, Call::ReadNow}) faults.give(call, -EAGAIN, 1);
      auto fresh = w.pipe();
      pass(fresh[0], fresh[1]);
    }
    ::close(ends[0]);
    ::close(ends[1]);
  });
}

TEST_CASE("short transfers of sockets are made whole") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    auto [a, b] = w.socket_pair();
    Faults faults;
    faults.shorten(Call::Send, 3, 20).shorten(Call::Receive, 2, 20);
    std::string text(500, 'x'), got;
    auto writer = w.spawn([&, a = std::move(a)] { CHECK(r.write(a, text.data(), text.size()) == 500); });
    w.spawn([&, b = std::move(b)] {
       char part[100];
       for (int64_t n; (n = r.read(b, part, sizeof part)) > 0;) got.append(part, static_cast<size_t>(n));
     }).join();
    writer.join();
    CHECK(got == text);
  });
}

TEST_CASE("errors of a connection reach the one who uses it") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    auto [a, b] = w.socket_pair();
    w.spawn([&, a = a, b = b] {
       char byte = 0;
       Faults faults;
       faults.give(Call::Receive, -ECONNRESET).give(Call::Send, -ECONNRESET);
       CHECK(r.read(a, &byte, 1) == -ECONNRESET);
       CHECK(r.write(a, &byte, 1) == -ECONNRESET);
       CHECK(r.write(a, &byte, 1) == 1);
       // After some bytes an error waits for the next call.
       faults.shorten(Call::Send, 2, 1);
       CHECK(r.write(a, "abc", 3) == 3);
       char bytes[8];
       CHECK(r.read(b, bytes, 8) == 4);
     }).join();
  });
}

TEST_CASE("a kernel without fine timeouts, or without timers") {
  for (const io::Options& options : all_backends()) {
    Faults faults;
    faults.give(Call::EpollWait, -ENOSYS, 3);
    int64_t error = 0;
    auto r = io::Reactor::create(options, error);
    REQUIRE(error == 0);
    for (int i = 0; i < 4; ++i) {
      const auto until = sched::now() + 3'000'000;
      while (sched::now() < until) r->poll(until);
      CHECK(sched::now() < until + 2'000'000'000);
    }
    faults.give(Call::TimerSet, -ENOMEM, 1'000);
    const auto until = sched::now() + 20'000'000;
    while (sched::now() < until) r->poll(until);
    CHECK(sched::now() < until + 2'000'000'000);
  }
}

TEST_CASE("a thread that can have no eventfd looks by itself") {
  World w(1);
  io::Reactor& r = w.reactor();
  auto [in, out] = w.pipe();
  Faults faults;
  faults.give(Call::EventCreate, -EMFILE, 1'000);
  std::atomic<bool> late{false};
  std::thread thread([&, in = in] {
    char byte;
    CHECK(r.read(in, &byte, 1, Until::after(8ms)) == -ETIMEDOUT);
    late = true;
    CHECK(r.read(in, &byte, 1) == -EBADF);
  });
  while (!late) std::this_thread::sleep_for(1ms);
  w.await_waiters(1);
  CHECK(r.close(in) == 0);
  thread.join();
}

TEST_CASE("interrupt ends a poll that waits, or the next one") {
  for (const io::Options& options : all_backends()) {
    int64_t error = 0;
    auto r = io::Reactor::create(options, error);
    REQUIRE(error == 0);
    CHECK_FALSE(r->waited_for());
    r->interrupt();
    r->interrupt();
    CHECK(r->poll(sched::now() + 60'000'000'000) == 0);
    std::thread other([&] {
      std::this_thread::sleep_for(2ms);
      r->interrupt();
    });
    CHECK(r->poll(sched::never) == 0);
    other.join();
    CHECK(r->poll(0) == 0);
  }
}
