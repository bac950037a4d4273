// Sockets: echo, accept, connect, messages; thousands of waits; no free descriptor; wakes on other workers.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <cstring>

#include "tests/unit/io/fixture.h"

using namespace vmrun;
using namespace vmrun::test;
using io::Descriptor;
using io::Until;
using io::sys::Call;

namespace {

struct Listener {
  Descriptor socket;
  sockaddr_in address{};

  explicit Listener(World& w, int backlog = 512) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(fd >= 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd, backlog) == 0);
    socklen_t length = sizeof address;
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    socket = w.adopt(fd);
  }
  Descriptor connect(World& w) const {
    Descriptor d = w.adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(w.reactor().connect(d, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    return d;
  }
  Descriptor accept(World& w) const {
    const int64_t fd = w.reactor().accept(socket);
    REQUIRE(fd >= 0);
    return w.adopt(static_cast<int>(fd));
  }
};

}  // namespace

TEST_CASE("an echo server and its clients") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    const int clients = 60 / scale, rounds = 10;
    Listener listener(w);
    auto server = w.spawn([&] {
      std::vector<sched::Task> served;
      for (int i = 0; i < clients; ++i) {
        served.push_back(w.spawn([&, connection = listener.accept(w)] {
          char buffer[256];
          for (int64_t n; (n = r.read(connection, buffer, sizeof buffer)) > 0;) {
            CHECK(r.write(connection, buffer, static_cast<size_t>(n)) == n);
          }
        }));
      }
      for (auto& t : served) t.join();
    });
    std::vector<sched::Task> tasks;
    for (int i = 0; i < clients; ++i) {
      tasks.push_back(w.spawn([&, i] {
        Descriptor d = listener.connect(w);
        char out[100], in[100];
        for (int k = 0; k < rounds; ++k) {
          std::memset(out, i + k, sizeof out);
          REQUIRE(r.write(d, out, sizeof out) == sizeof out);
          msghdr message{};
          iovec one{in, sizeof in};
          message.msg_iov = &one;
          message.msg_iovlen = 1;
          REQUIRE(r.receive(d, message, MSG_WAITALL) == sizeof in);
          REQUIRE(std::memcmp(in, out, sizeof in) == 0);
        }
      }));
    }
    for (auto& t : tasks) t.join();
    server.join();
  });
}

TEST_CASE("many wait in accept, and a burst of connections reaches them all") {
  everywhere([](World& w) {
    Listener listener(w);
    constexpr int n = 20;
    std::vector<sched::Task> tasks;
    for (int i = 0; i < n; ++i) tasks.push_back(w.spawn([&] { listener.accept(w); }));
    w.await_waiters(n);
    std::vector<Descriptor> clients;
    for (int i = 0; i < n; ++i) clients.push_back(listener.connect(w));
    for (auto& t : tasks) t.join();
  });
}

TEST_CASE("an inherited listener keeps its flags") {
  everywhere([](World& w) {
    Listener listener(w);
    const int flags = ::fcntl(listener.socket.fd(), F_GETFL);
    CHECK((flags & O_NONBLOCK) != 0);
    REQUIRE(::fcntl(listener.socket.fd(), F_SETFL, flags & ~O_NONBLOCK) == 0);
    {
      Descriptor inherited = w.borrow(listener.socket.fd());
      auto server = w.spawn([&] {
        const int64_t fd = w.reactor().accept(inherited, SOCK_NONBLOCK);
        REQUIRE(fd >= 0);
        CHECK((::fcntl(static_cast<int>(fd), F_GETFD) & FD_CLOEXEC) != 0);
        w.adopt(static_cast<int>(fd));
      });
      w.await_waiters(1);
      Descriptor client = listener.connect(w);
      server.join();
      CHECK((::fcntl(inherited.fd(), F_GETFL) & O_NONBLOCK) == 0);
    }
  });
}

TEST_CASE("accept without a free descriptor says so, and costs no processor") {
  for (io::Options options : all_backends()) {
    options.accept_pause = 2'000'000;
    World w(2, options);
    Listener listener(w);
    Descriptor client = listener.connect(w);
    Faults faults;
    faults.give(Call::Accept, -EMFILE, 5);
    w.spawn([&] {
       const auto begin = sched::Clock::now();
       int calls = 0;
       int64_t fd;
       while ((fd = w.reactor().accept(listener.socket)) == -EMFILE) ++calls;
       REQUIRE(fd >= 0);
       CHECK(calls == 5);
       CHECK(sched::Clock::now() - begin >= 10ms);
       w.adopt(static_cast<int>(fd));
       faults.give(Call::Accept, -EMFILE);
       CHECK(w.reactor().accept(listener.socket, 0, Until::now()) == -EMFILE);
       CHECK(w.reactor().accept(listener.socket, 0, Until::now()) == -EAGAIN);
     }).join();
  }
}

TEST_CASE("connections that died in the queue are passed over") {
  everywhere([](World& w) {
    Listener listener(w);
    Descriptor client = listener.connect(w);
    Faults faults;
    faults.give(Call::Accept, -ECONNABORTED, 3);
    w.spawn([&] { listener.accept(w); }).join();
    CHECK(Faults::left(Call::Accept) == 0);
  });
}

TEST_CASE("connect: refused, timed out, interrupted, a full local queue") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    w.spawn([&] {
       sockaddr_in nobody{};
       {
         Listener listener(w);
         nobody = listener.address;
       }
       const auto* address = reinterpret_cast<const sockaddr*>(&nobody);
       Descriptor d = w.adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
       CHECK(r.connect(d, address, sizeof nobody) == -ECONNREFUSED);

       Listener listener(w);
       {
         Faults faults;
         faults.give(Call::Connect, -EAGAIN, 2);
         listener.connect(w);
         CHECK(Faults::left(Call::Connect) == 0);
       }

       // A listener that takes nobody: its queue holds two.
       Listener full(w, 0);
       std::vector<Descriptor> waiting;
       int64_t last = 0;
       for (int i = 0; i < 8 && last == 0; ++i) {
         waiting.push_back(w.adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
         last = r.connect(waiting.back(), reinterpret_cast<const sockaddr*>(&full.address), sizeof full.address,
                          Until::after(5ms));
       }
       CHECK(last == -ETIMEDOUT);
     }).join();
  });
}

TEST_CASE("datagrams keep their limits; a look ahead takes nothing") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    auto [a, b] = w.socket_pair(SOCK_DGRAM);
    auto reader = w.spawn([&, b = b] {
      char buffer[100];
      iovec one{buffer, sizeof buffer};
      msghdr message{};
      message.msg_iov = &one;
      message.msg_iovlen = 1;
      CHECK(r.receive(b, message, MSG_PEEK) == 5);
      CHECK(r.receive(b, message, 0) == 5);
      CHECK(r.read(b, buffer, sizeof buffer) == 7);
      CHECK(r.read(b, buffer, 2) == 2);
      CHECK(r.read(b, buffer, sizeof buffer, Until::after(1ms)) == -ETIMEDOUT);
    });
    w.await_waiters(1);
    CHECK(r.write(a, "12345", 5) == 5);
    CHECK(r.write(a, "1234567", 7) == 7);
    iovec parts[2] = {{const_cast<char*>("ab"), 2}, {const_cast<char*>("cd"), 2}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    CHECK(r.send(a, message, 0) == 4);
    reader.join();
  });
}

TEST_CASE("the other end is gone: the end for readers, an error and no signal for writers") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    Listener listener(w);
    Descriptor client = listener.connect(w), server = listener.accept(w);
    char buffer[16];
    auto reader = w.spawn([&] {
      CHECK(r.read(server, buffer, sizeof buffer) == 2);
      CHECK(r.read(server, buffer, sizeof buffer) == 0);
      CHECK(r.read(server, buffer, sizeof buffer) == 0);
    });
    w.await_waiters(1);
    CHECK(r.write(client, "ab", 2) == 2);
    ::shutdown(client.fd(), SHUT_WR);
    reader.join();
    CHECK(r.write(server, "x", 1) == 1);
    client = {};
    w.spawn([&] {
       int64_t n = 0;
       while ((n = r.write(server, "x", 1)) == 1) sched::sleep_for(1ms);
       CHECK((n == -EPIPE || n == -ECONNRESET));
     }).join();
  });
}

TEST_CASE("10,000 waits for sockets") {
  for (const io::Options& options : all_backends()) {
    for (const unsigned workers : worker_counts) {
      World w(workers, options);
      CAPTURE(w.reactor().backend());
      CAPTURE(workers);
      io::Reactor& r = w.reactor();
      const int n = 10'000 / (scale * scale), sockets = n / 2;
      std::vector<std::array<Descriptor, 2>> pairs;
      for (int i = 0; i < sockets; ++i) pairs.push_back(w.socket_pair());
      std::atomic<int> got{0};
      std::vector<sched::Task> tasks;
      for (int i = 0; i < sockets; ++i) {
        for (int side : {0, 1}) {
          tasks.push_back(w.spawn([&, i, side] {
            char byte;
            const auto end = static_cast<size_t>(side);
            CHECK(r.read(pairs[static_cast<size_t>(i)][end], &byte, 1) == 1);
            ++got;
          }));
        }
      }
      w.await_waiters(static_cast<size_t>(n));
      CHECK(r.waited_for());
      w.spawn([&] {
         for (auto& pair : pairs) {
           for (auto& end : pair) CHECK(r.write(end, "x", 1) == 1);
         }
       }).join();
      for (auto& t : tasks) t.join();
      CHECK(got == n);
    }
  }
}

TEST_CASE("a task goes on on another worker than it waited on") {
  for (const io::Options& options : all_backends()) {
    World w(8, options);
    CAPTURE(w.reactor().backend());
    io::Reactor& r = w.reactor();
    std::atomic<bool> end{false};
    std::vector<sched::Task> tasks;
    for (int i = 0; i < 8; ++i) {
      auto [a, b] = w.socket_pair();
      tasks.push_back(w.spawn([&, a = std::move(a)] {
        char byte;
        while (r.read(a, &byte, 1) == 1) {
        }
      }));
      tasks.push_back(w.spawn([&, b = std::move(b)] {
        while (!end) {
          CHECK(r.write(b, "x", 1) == 1);
          for (int k = 0; k < 20; ++k) sched::yield();
        }
      }));
    }
    const auto give_up = sched::Clock::now() + 20s;
    while (w.scheduler().counters().migrations < 100 && sched::Clock::now() < give_up) std::this_thread::sleep_for(1ms);
    end = true;
    for (auto& t : tasks) t.join();
    CHECK(w.scheduler().counters().migrations >= 100);
  }
}
