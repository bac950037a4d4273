// Granted listening sockets: accepting waits unless the guest has said, or has been told, that it does not.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/unit/wasi/host.h"

namespace vmrun::wasi {
namespace {

constexpr Fd kListener{3};

/// A socket that listens on this machine, with or without O_NONBLOCK.
struct Listening {
  HostFd socket;
  sockaddr_in address{};

  explicit Listening(bool host_waits) : socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(::listen(socket.get(), 8) == 0);
    REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
    if (!host_waits) REQUIRE(::fcntl(socket.get(), F_SETFL, O_NONBLOCK) == 0);
  }
  HostFd connect() const {
    HostFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    return client;
  }
  WasiConfig config() const { return WasiConfig().preopen_socket(socket.get()); }
};

/// Whether accepting waits, which it does until somebody connects.
bool waits(FakeGuest& g, const Listening& listening) {
  std::atomic<bool> over{false};
  Errno result = Errno::success;
  const auto out = g.out();
  std::thread guest([&] {
    result = sock_accept(g.cx(), g.memory, kListener, {0}, out);
    over = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const bool waited = !over;
  const HostFd client = waited ? listening.connect() : HostFd();
  guest.join();
  CHECK(result == (waited ? Errno::success : Errno::again));
  return waited;
}

uint16_t flags_of(FakeGuest& g, Fd fd) {
  const auto stat = g.out<GuestFdstat>();
  CHECK(fd_fdstat_get(g.cx(), g.memory, fd, stat) == Errno::success);
  return g.value(stat).flags;
}

TEST_CASE("a guest that accepts and asks for nothing waits, whatever the host's flag") {
  for (const bool host_waits : {true, false}) {
    CAPTURE(host_waits);
    const Listening listening(host_waits);
    FakeGuest g(listening.config());
    CHECK(waits(g, listening));
    CHECK(waits(g, listening));
    CHECK(((::fcntl(listening.socket.get(), F_GETFL) & O_NONBLOCK) == 0) == host_waits);
  }
}

TEST_CASE("a guest that asks is told that accepting does not wait, and so it is") {
  for (const bool host_waits : {true, false}) {
    CAPTURE(host_waits);
    const Listening listening(host_waits);
    FakeGuest g(listening.config());
    CHECK(flags_of(g, kListener) == kFdNonblock);
    CHECK(!waits(g, listening));
    CHECK(flags_of(g, kListener) == kFdNonblock);
    const HostFd client = listening.connect();
    const auto out = g.out();
    CHECK(sock_accept(g.cx(), g.memory, kListener, {0}, out) == Errno::success);
    CHECK(flags_of(g, {g.value(out)}) == 0);  // of a connection the guest says
  }
}

TEST_CASE("what a guest says about a listener holds") {
  for (const bool host_waits : {true, false}) {
    CAPTURE(host_waits);
    const Listening listening(host_waits);
    FakeGuest g(listening.config());
    const auto set = [&](uint16_t flags) { return fd_fdstat_set_flags(g.cx(), g.memory, kListener, {flags}); };
    CHECK(set(kFdNonblock) == Errno::success);
    CHECK(!waits(g, listening));
    CHECK(set(0) == Errno::success);
    CHECK(waits(g, listening));
    CHECK(flags_of(g, kListener) == 0);
    CHECK(waits(g, listening));
    CHECK(set(kFdAppend) == Errno::notcapable);
  }
}

TEST_CASE("a connection that a guest has no descriptor for stays in the queue") {
  const Listening listening(false);
  FakeGuest g(listening.config().max_descriptors(5));
  const HostFd first = listening.connect(), second = listening.connect();
  const auto out = g.out();
  REQUIRE(sock_accept(g.cx(), g.memory, kListener, {0}, out) == Errno::success);
  CHECK(sock_accept(g.cx(), g.memory, kListener, {0}, out) == Errno::mfile);
  REQUIRE(::send(second.get(), "2", 1, 0) == 1);
  CHECK(fd_close(g.cx(), g.memory, {4}) == Errno::success);
  REQUIRE(sock_accept(g.cx(), g.memory, kListener, {0}, out) == Errno::success);
  CHECK(g.value(out) == 4);
  const uint32_t buf = g.alloc(8);
  const auto n = g.out();
  CHECK(fd_read(g.cx(), g.memory, {4}, g.iovecs({{buf, 8}}), n) == Errno::success);
  CHECK(g.text(buf, 1) == "2");
}

TEST_CASE("a guest that waits for a connection has room for it, whatever its other threads open meanwhile") {
  const Listening listening(true);
  FakeGuest g(listening.config().max_descriptors(5));
  FdTable& fds = g.cx().fds;
  fds.share();
  const auto out = g.out();
  std::thread guest([&] {
    Errno result;
    do {
      result = sock_accept(g.cx(), g.memory, kListener, {0}, out);
    } while (result == Errno::mfile);  // the look below was first
    CHECK(result == Errno::success);
  });
  while (FdTable::Place(fds)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const HostFd client = listening.connect();
  guest.join();
  CHECK(g.value(out) == 4);
  CHECK(!FdTable::Place(fds));
  CHECK(fds.close(4));
  CHECK(FdTable::Place(fds));
}

}  // namespace
}  // namespace vmrun::wasi
