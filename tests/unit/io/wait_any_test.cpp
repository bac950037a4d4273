// Waiting for the first of many.
#include <sys/eventfd.h>

#include "tests/unit/io/fixture.h"

using namespace vmrun;
using namespace vmrun::test;
using io::Descriptor;
using io::Direction;
using io::Interest;
using io::Until;

TEST_CASE("the first of many, and only it") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    const size_t n = 1'000 / scale;
    std::vector<std::array<Descriptor, 2>> pairs;
    for (size_t i = 0; i < n; ++i) pairs.push_back(w.socket_pair());
    std::atomic<int> ready{0};
    auto waiter = w.spawn([&] {
      std::vector<Interest> interests;
      for (auto& pair : pairs) interests.push_back({&pair[0], Direction::Read});
      for (size_t round = 0; round < 20; ++round) {
        const size_t expected = round * 37 % n;
        REQUIRE(r.wait_any(interests) == 1);
        for (size_t i = 0; i < n; ++i) REQUIRE((interests[i].happened != 0) == (i == expected));
        REQUIRE((interests[expected].happened & POLLIN) != 0);
        char byte;
        REQUIRE(r.read(pairs[expected][0], &byte, 1) == 1);
        ++ready;
      }
      CHECK(r.wait_any(interests, Until::after(2ms)) == -ETIMEDOUT);
      CHECK(r.wait_any(interests, Until::now()) == -EAGAIN);
    });
    for (size_t round = 0; round < 20; ++round) {
      while (ready != static_cast<int>(round)) std::this_thread::sleep_for(50us);
      CHECK(r.write(pairs[round * 37 % n][1], "x", 1) == 1);
    }
    waiter.join();
  });
}

TEST_CASE("what is ready stays ready until it is taken") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    auto [in, out] = w.pipe();
    CHECK(r.write(out, "xy", 2) == 2);
    w.spawn([&, in = in, out = out] {
       Interest both[2] = {{&in, Direction::Read}, {&out, Direction::Write}};
       for (int i = 0; i < 3; ++i) {
         CHECK(r.wait_any(both) == 2);
         CHECK((both[0].happened & POLLIN) != 0);
         CHECK((both[1].happened & POLLOUT) != 0);
       }
       CHECK(r.wait(in, Direction::Read) == 0);
       char bytes[4];
       CHECK(r.read(in, bytes, 4) == 2);
       CHECK(r.wait(in, Direction::Read, Until::after(1ms)) == -ETIMEDOUT);
     }).join();
  });
}

TEST_CASE("files are always ready; one descriptor in several interests; the other end that is gone") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    auto [in, out] = w.pipe();
    Descriptor file = w.adopt(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    Descriptor null = w.adopt(::open("/dev/null", O_RDWR | O_CLOEXEC));
    w.spawn([&] {
       Interest interests[3] = {{&in, Direction::Read}, {&file, Direction::Read}, {&in, Direction::Read}};
       CHECK(r.wait_any(interests) == 1);
       CHECK(interests[1].happened == POLLIN);
       Interest device{&null, Direction::Write};
       CHECK(r.wait_any({&device, 1}) == 1);
       char byte = 0;
       CHECK(r.read(null, &byte, 1) == 0);
       CHECK(r.write(null, &byte, 1) == 1);
     }).join();
    auto waiter = w.spawn([&] {
      Interest twice[2] = {{&in, Direction::Read}, {&in, Direction::Read}};
      CHECK(r.wait_any(twice) == 2);
      CHECK((twice[0].happened & POLLHUP) != 0);
      CHECK((twice[1].happened & POLLHUP) != 0);
    });
    w.await_waiters(2);
    out = {};
    waiter.join();
  });
}

TEST_CASE("nothing but a deadline; cancellation; a closed one; threads") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    auto [in, out] = w.pipe();
    w.spawn([&] {
       CHECK(r.wait_any({}, Until::after(1ms)) == -ETIMEDOUT);
       CHECK(r.wait_any({}, Until::now()) == -EAGAIN);
     }).join();
    auto waiter = w.spawn([&] {
      Interest one{&in};
      CHECK(r.wait_any({&one, 1}) == -ECANCELED);
    });
    w.await_waiters(1);
    waiter.cancel();
    waiter.join();
    std::atomic<bool> late{false};
    std::thread thread([&] {
      Interest one{&in};
      CHECK(r.wait_any({&one, 1}, Until::after(1ms)) == -ETIMEDOUT);
      late = true;
      CHECK(r.wait_any({&one, 1}) == 1);
      CHECK((one.happened & POLLIN) != 0);
    });
    while (!late) std::this_thread::sleep_for(100us);
    w.await_waiters(1);
    CHECK(r.write(out, "x", 1) == 1);
    thread.join();
    Descriptor closed = in;
    CHECK(r.close(closed) == 0);
    Interest gone{&closed};
    CHECK(r.wait_any({&gone, 1}) == 1);
    CHECK(gone.happened == POLLNVAL);
  });
}

TEST_CASE("readers and those who only look share the events of a descriptor") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    auto [in, out] = w.pipe();
    std::vector<sched::Task> tasks;
    std::atomic<int> looked{0};
    char bytes[2];
    for (int i = 0; i < 2; ++i) tasks.push_back(w.spawn([&, i] { CHECK(r.read(in, &bytes[i], 1) == 1); }));
    w.await_waiters(2);
    auto looker = w.spawn([&] {
      // It may find that a reader was quicker, and then waits on.
      CHECK(r.wait(in, Direction::Read) == 0);
      ++looked;
    });
    w.await_waiters(3);
    CHECK(r.write(out, "xyz", 3) == 3);
    for (auto& t : tasks) t.join();
    looker.join();
    CHECK(looked == 1);
  });
}
