// Arguments, variables, clocks, random bytes, streams, polling and sockets.
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/wasi/host.h"
#include "vm/runtime/activation.h"
#include "wasi/bind.h"

using namespace vmrun;
using namespace vmrun::wasi;

TEST_CASE("arguments and variables arrive in order") {
  FakeGuest g(WasiConfig().args({"prog", "", "two words"}).env("A", "1").env("B", "").env("A", "2"));
  auto count = g.out(), bytes = g.out();
  CHECK(args_sizes_get(g.cx(), g.memory, count, bytes) == Errno::success);
  CHECK(g.value(count) == 3);
  CHECK(g.value(bytes) == 16);
  uint32_t argv = g.alloc(12), buf = g.alloc(16);
  CHECK(args_get(g.cx(), g.memory, {argv}, {buf}) == Errno::success);
  CHECK(g.at<uint32_t>(argv) == buf);
  CHECK(g.at<uint32_t>(argv + 4) == buf + 5);
  CHECK(g.at<uint32_t>(argv + 8) == buf + 6);
  CHECK(g.text(buf, 16) == std::string("prog\0\0two words\0", 16));
  CHECK(args_get(g.cx(), g.memory, {argv}, {FakeGuest::kSize - 15}) == Errno::fault);
  CHECK(args_get(g.cx(), g.memory, {~0u}, {buf}) == Errno::fault);
  CHECK(environ_sizes_get(g.cx(), g.memory, count, bytes) == Errno::success);
  CHECK(g.value(count) == 2);
  uint32_t env = g.alloc(8), text = g.alloc(16);
  CHECK(environ_get(g.cx(), g.memory, {env}, {text}) == Errno::success);
  CHECK(g.text(text, g.value(bytes)) == std::string("A=2\0B=\0", 7));
}

TEST_CASE("configurations that cannot be honoured are refused") {
  TempDir t;
  t.put("box/f", "");
  auto kind = [](const WasiConfig& c) {
    auto r = WasiContext::create(c);
    REQUIRE_FALSE(r.ok());
    CHECK_FALSE(r.error().message.empty());
    return r.error().kind;
  };
  CHECK(kind(WasiConfig().arg(std::string("a\0b", 3))) == ErrorKind::Usage);
  CHECK(kind(WasiConfig().env("", "x")) == ErrorKind::Usage);
  CHECK(kind(WasiConfig().env("a=b", "x")) == ErrorKind::Usage);
  CHECK(kind(WasiConfig().preopen_dir(t / "missing", "/")) == ErrorKind::Io);
  CHECK(kind(WasiConfig().preopen_dir(t / "box/f", "/")) == ErrorKind::Io);
  CHECK(kind(WasiConfig().preopen_dir(t.box(), "")) == ErrorKind::Usage);
  CHECK(kind(WasiConfig().preopen_dir(std::string("/tmp\0x", 6), "/")) == ErrorKind::Usage);
  CHECK(kind(WasiConfig().preopen_dir(t.box(), std::string("/a\0", 3))) == ErrorKind::Usage);
  CHECK(kind(WasiConfig().preopen_dir(t.box(), "/\xff")) == ErrorKind::Usage);
  CHECK(kind(WasiConfig().preopen_socket(0)) == ErrorKind::Usage);
}

TEST_CASE("clocks run, or are the embedder's") {
  FakeGuest g{WasiConfig()};
  auto a = g.out<uint64_t>(), b = g.out<uint64_t>();
  for (uint32_t id = 0; id < 4; ++id) {
    CHECK(clock_res_get(g.cx(), g.memory, {id}, a) == Errno::success);
    CHECK(g.value(a) > 0);
    CHECK(clock_time_get(g.cx(), g.memory, {id}, {0}, a) == Errno::success);
    CHECK(clock_time_get(g.cx(), g.memory, {id}, {0}, b) == Errno::success);
    CHECK(g.value(b) >= g.value(a));
  }
  CHECK(clock_time_get(g.cx(), g.memory, {4}, {0}, a) == Errno::inval);
  CHECK(clock_res_get(g.cx(), g.memory, {4}, a) == Errno::inval);
  FakeGuest fixed(WasiConfig().clock([](uint32_t id) { return uint64_t{1000} + id; }));
  CHECK(clock_time_get(fixed.cx(), fixed.memory, {1}, {0}, {64}) == Errno::success);
  CHECK(fixed.at<uint64_t>(64) == 1001);
}

TEST_CASE("a guest that was interrupted gets no random bytes") {
  for (bool seeded : {false, true}) {
    FakeGuest g(seeded ? WasiConfig().random_seed(1) : WasiConfig());
    vm::Vcpu cx;
    vm::running_vcpu = &cx;
    CHECK(random_get(g.cx(), g.memory, {0, 200'000}) == Errno::success);
    cx.interrupt = true;
    CHECK(random_get(g.cx(), g.memory, {0, 8}) == Errno::intr);
    vm::running_vcpu = nullptr;
    CHECK(g.at<uint64_t>(199'992) != 0);
  }
}

TEST_CASE("seeded random bytes are the same in one call or in many") {
  FakeGuest one(WasiConfig().random_seed(7)), many(WasiConfig().random_seed(7));
  constexpr uint32_t kSize = 300'000;
  CHECK(random_get(one.cx(), one.memory, {0, kSize + 3}) == Errno::success);
  for (uint32_t at = 0; at < kSize; at += 8) CHECK(random_get(many.cx(), many.memory, {at, 8}) == Errno::success);
  CHECK(random_get(many.cx(), many.memory, {kSize, 3}) == Errno::success);
  CHECK(one.text(0, kSize + 3) == many.text(0, kSize + 3));
}

TEST_CASE("random bytes fill the buffer; seeded they repeat") {
  FakeGuest g{WasiConfig()};
  uint32_t big = g.alloc(100000);
  CHECK(random_get(g.cx(), g.memory, {big, 100000}) == Errno::success);
  CHECK(g.text(big, 1000) != g.text(big + 1000, 1000));
  CHECK(g.text(big + 99000, 1000) != std::string(1000, '\0'));
  CHECK(random_get(g.cx(), g.memory, {big, 0}) == Errno::success);
  std::string first;
  for (int i = 0; i < 2; ++i) {
    FakeGuest s(WasiConfig().random_seed(42));
    uint32_t at = s.alloc(13);
    CHECK(random_get(s.cx(), s.memory, {at, 13}) == Errno::success);
    if (i == 0) first = s.text(at, 13);
    CHECK(s.text(at, 13) == first);
  }
}

TEST_CASE("streams are what they were made") {
  int in[2], out[2];
  REQUIRE(::pipe2(in, O_CLOEXEC) == 0);
  REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
  HostFd in0(in[0]), in1(in[1]), out0(out[0]), out1(out[1]);
  FakeGuest g(WasiConfig().stdin_fd(in[0]).stdout_fd(out[1]));
  REQUIRE(::write(in[1], "input", 5) == 5);
  CHECK(g.read({0}) == "input");
  CHECK(g.write({1}, "output") == Errno::success);
  char buffer[16];
  CHECK(::read(out[0], buffer, sizeof(buffer)) == 6);
  CHECK(g.write({0}, "x") == Errno::notcapable);
  CHECK(g.write({2}, "vanishes") == Errno::success);  // not given
  auto pos = g.out<uint64_t>();
  CHECK(fd_seek(g.cx(), g.memory, {0}, {0}, {0}, pos) == Errno::notcapable);
  auto stat = g.out<GuestFdstat>();
  CHECK(fd_fdstat_get(g.cx(), g.memory, {1}, stat) == Errno::success);
  CHECK(g.value(stat).filetype == static_cast<uint8_t>(FileType::Unknown));
  CHECK(fd_fdstat_get(g.cx(), g.memory, {3}, stat) == Errno::badf);
  // Closing a borrowed stream leaves the embedder's descriptor open.
  CHECK(fd_close(g.cx(), g.memory, {1}) == Errno::success);
  CHECK(::fcntl(out[1], F_GETFD) >= 0);
  FakeGuest empty{WasiConfig()};
  CHECK(empty.read({0}).empty());
}

namespace {

GuestSubscription clock_subscription(uint64_t userdata, uint32_t clock, uint64_t timeout, bool absolute = false) {
  GuestSubscription s{};
  s.userdata = userdata;
  s.tag = kEventClock;
  s.id_or_fd = clock;
  s.timeout = timeout;
  s.flags = absolute ? kAbsTime : 0;
  return s;
}
GuestSubscription fd_subscription(uint64_t userdata, uint32_t tag, uint32_t fd) {
  GuestSubscription s{};
  s.userdata = userdata;
  s.tag = static_cast<uint8_t>(tag);
  s.id_or_fd = fd;
  return s;
}

std::vector<GuestEvent> poll(FakeGuest& g, std::vector<GuestSubscription> subs) {
  uint32_t n = static_cast<uint32_t>(subs.size());
  uint32_t in = g.put({reinterpret_cast<const char*>(subs.data()), n * sizeof(GuestSubscription)});
  uint32_t out = g.alloc(n * sizeof(GuestEvent));
  auto stored = g.out();
  REQUIRE(poll_oneoff(g.cx(), g.memory, {in}, {out}, {n}, stored) == Errno::success);
  std::vector<GuestEvent> events;
  for (uint32_t i = 0; i < g.value(stored); ++i) events.push_back(g.at<GuestEvent>(out + i * 32));
  return events;
}

uint64_t host_now(clockid_t clock) {
  timespec t;
  ::clock_gettime(clock, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

}  // namespace

TEST_CASE("polling clocks sleeps, relatively and absolutely") {
  FakeGuest g{WasiConfig()};
  constexpr uint64_t kWait = 5'000'000;
  for (uint32_t clock : {0u, 1u}) {
    for (bool absolute : {false, true}) {
      clockid_t id = clock == 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
      uint64_t before = host_now(CLOCK_MONOTONIC);
      auto events = poll(g, {clock_subscription(7, clock, absolute ? host_now(id) + kWait : kWait, absolute)});
      CHECK(host_now(CLOCK_MONOTONIC) - before >= kWait - 1'000'000);
      REQUIRE(events.size() == 1);
      CHECK(events[0].userdata == 7);
      CHECK(events[0].error == 0);
      CHECK(events[0].type == kEventClock);
    }
  }
  CHECK(poll(g, {clock_subscription(1, 1, 0)}).size() == 1);
  CHECK(poll(g, {clock_subscription(1, 1, 1, true)}).size() == 1);  // long ago
  // The earliest of several; the others say nothing.
  auto events = poll(g, {clock_subscription(1, 1, 1'000'000'000'000), clock_subscription(2, 1, 1000),
                         clock_subscription(3, 1, ~uint64_t{0})});
  REQUIRE(events.size() == 1);
  CHECK(events[0].userdata == 2);
  // Clocks that cannot be waited for are told at once.
  events =
      poll(g, {clock_subscription(1, 9, 0), clock_subscription(2, 1, 1'000'000'000'000), clock_subscription(3, 2, 0)});
  REQUIRE(events.size() == 2);
  CHECK(events[0].error == static_cast<uint16_t>(Errno::inval));
  CHECK(events[1].error == static_cast<uint16_t>(Errno::notsup));
}

TEST_CASE("polling refuses what makes no sense") {
  FakeGuest g{WasiConfig()};
  auto n = g.out();
  CHECK(poll_oneoff(g.cx(), g.memory, {64}, {1024}, {0}, n) == Errno::inval);
  CHECK(poll_oneoff(g.cx(), g.memory, {64}, {1024}, {~0u}, n) == Errno::inval);
  CHECK(poll_oneoff(g.cx(), g.memory, {FakeGuest::kSize - 47}, {1024}, {1}, n) == Errno::fault);
  CHECK(poll_oneoff(g.cx(), g.memory, {64}, {FakeGuest::kSize - 31}, {1}, n) == Errno::fault);
  uint32_t bad = g.put_value(fd_subscription(1, 3, 0));
  CHECK(poll_oneoff(g.cx(), g.memory, {bad}, {1024}, {1}, n) == Errno::inval);
}

TEST_CASE("polling descriptors tells readiness, bytes and hang-ups") {
  int p[2];
  REQUIRE(::pipe2(p, O_CLOEXEC) == 0);
  HostFd r(p[0]), w(p[1]);
  TempDir t;
  t.put("box/f", "text");
  FakeGuest g(WasiConfig().stdin_fd(p[0]).stdout_fd(p[1]).preopen_dir(t.box(), "/"));
  // Nothing to read yet: the time-out comes.
  auto events = poll(g, {fd_subscription(1, kEventRead, 0), clock_subscription(2, 1, 2'000'000)});
  REQUIRE(events.size() == 1);
  CHECK(events[0].userdata == 2);
  // Writable at once.
  events = poll(g, {fd_subscription(1, kEventRead, 0), fd_subscription(3, kEventWrite, 1)});
  REQUIRE(events.size() == 1);
  CHECK(events[0].userdata == 3);
  CHECK(events[0].type == kEventWrite);
  CHECK(events[0].nbytes > 0);
  CHECK(g.write({1}, "seven!!") == Errno::success);
  events = poll(g, {fd_subscription(1, kEventRead, 0), clock_subscription(2, 1, 1'000'000'000'000)});
  REQUIRE(events.size() == 1);
  CHECK(events[0].userdata == 1);
  CHECK(events[0].nbytes == 7);
  CHECK(events[0].flags == 0);
  // The writer goes away.
  w.reset();
  events = poll(g, {fd_subscription(1, kEventRead, 0)});
  REQUIRE(events.size() == 1);
  CHECK(events[0].flags == kHangup);
  // Regular files are always ready; wrong descriptors and missing rights are events of their own.
  Fd file = g.must_open("f"), blind = g.must_open("f", 0, rights::kFdRead);
  events = poll(g, {fd_subscription(1, kEventRead, file.value), fd_subscription(2, kEventRead, 99),
                    fd_subscription(3, kEventRead, blind.value)});
  REQUIRE(events.size() == 3);
  CHECK(events[0].nbytes == 4);
  CHECK(events[1].error == static_cast<uint16_t>(Errno::badf));
  CHECK(events[2].error == static_cast<uint16_t>(Errno::notcapable));
}

TEST_CASE("a descriptor may be subscribed to often") {
  int p[2];
  REQUIRE(::pipe2(p, O_CLOEXEC) == 0);
  HostFd r(p[0]), w(p[1]);
  REQUIRE(::write(p[1], "four", 4) == 4);
  FakeGuest g(WasiConfig().stdin_fd(p[0]).stdout_fd(p[1]));
  // The host polls no more entries than a process may have descriptors.
  rlimit before;
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit few = before;
  few.rlim_cur = 64;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  std::vector<GuestSubscription> subscriptions;
  for (uint32_t i = 0; i < 200; ++i) {
    subscriptions.push_back(fd_subscription(i, i % 2 ? kEventWrite : kEventRead, i % 2));
  }
  auto events = poll(g, subscriptions);
  ::setrlimit(RLIMIT_NOFILE, &before);
  REQUIRE(events.size() == 200);
  for (uint32_t i = 0; i < 200; ++i) {
    CHECK(events[i].userdata == i);
    CHECK(events[i].error == 0);
    CHECK(events[i].type == (i % 2 ? kEventWrite : kEventRead));
    if (i % 2 == 0) CHECK(events[i].nbytes == 4);
  }

  // One descriptor for both, of which one is ready.
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  HostFd ours(pair[0]), theirs(pair[1]);
  FakeGuest s(WasiConfig().preopen_socket(theirs.get()));
  events = poll(s, {fd_subscription(1, kEventRead, 3), fd_subscription(2, kEventWrite, 3)});
  REQUIRE(events.size() == 1);
  CHECK(events[0].userdata == 2);
}

namespace {
/// A call that runs out of memory.
struct NoMemory {
  static constexpr Errno (*call)(Context&, Mem, Fd) = [](Context&, Mem, Fd) -> Errno { throw std::bad_alloc(); };
  static constexpr const char* name = "no_memory";
  static constexpr std::string_view params = "fd";
};
}  // namespace

TEST_CASE("memory that the host cannot get is errno nomem") {
  FakeGuest g{WasiConfig()};
  const Slot fd = Slot::i32(0);
  CHECK(Binding<NoMemory>::invoke(g.cx(), g.memory, &fd) == Errno::nomem);
}

TEST_CASE("the predecessor's subscriptions have an identifier more") {
  FakeGuest g{WasiConfig()};
  GuestSubscriptionUnstable s{};
  s.userdata = 5;
  s.tag = kEventClock;
  s.identifier = 77;
  s.id = 1;
  s.timeout = 1000;
  uint32_t in = g.put_value(s), out = g.alloc(32);
  auto n = g.out();
  CHECK(poll_oneoff_unstable(g.cx(), g.memory, {in}, {out}, {1}, n) == Errno::success);
  CHECK(g.value(n) == 1);
  CHECK(g.at<GuestEvent>(out).userdata == 5);
  CHECK(g.at<GuestEvent>(out).error == 0);
}

TEST_CASE("sockets: accepted, read, written, shut down") {
  TempDir t;
  HostFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string path = t / "sock";
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(::listen(listener.get(), 4) == 0);

  FakeGuest g(WasiConfig().preopen_dir(t.box(), "/").preopen_socket(listener.get()));
  constexpr Fd kListener{4};
  auto out = g.out(), n = g.out();
  auto flags = g.out<uint16_t>();
  CHECK(fd_fdstat_set_flags(g.cx(), g.memory, kListener, {kFdNonblock}) == Errno::success);
  CHECK(sock_accept(g.cx(), g.memory, kListener, {0}, out) == Errno::again);
  CHECK(sock_accept(g.cx(), g.memory, kListener, {1}, out) == Errno::inval);
  CHECK(sock_accept(g.cx(), g.memory, FakeGuest::kBox, {0}, out) == Errno::notsock);
  CHECK(sock_accept(g.cx(), g.memory, {88}, {0}, out) == Errno::badf);

  HostFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  auto events = poll(g, {fd_subscription(1, kEventRead, kListener.value)});
  REQUIRE(events.size() == 1);
  CHECK(events[0].error == 0);
  REQUIRE(sock_accept(g.cx(), g.memory, kListener, {kFdNonblock}, out) == Errno::success);
  Fd conn{g.value(out)};
  CHECK(conn.value == 5);
  auto stat = g.out<GuestFdstat>();
  CHECK(fd_fdstat_get(g.cx(), g.memory, conn, stat) == Errno::success);
  CHECK(g.value(stat).filetype == static_cast<uint8_t>(FileType::SocketStream));
  CHECK(g.value(stat).flags == kFdNonblock);
  CHECK(sock_accept(g.cx(), g.memory, conn, {0}, out) == Errno::notcapable);

  uint32_t buf = g.alloc(16);
  CHECK(sock_recv(g.cx(), g.memory, conn, g.iovecs({{buf, 16}}), {0}, n, flags) == Errno::again);
  REQUIRE(::send(client.get(), "hello", 5, 0) == 5);
  CHECK(sock_recv(g.cx(), g.memory, conn, g.iovecs({{buf, 16}}), {kRecvPeek}, n, flags) == Errno::success);
  CHECK(g.value(n) == 5);
  CHECK(sock_recv(g.cx(), g.memory, conn, g.iovecs({{buf, 2}, {buf + 8, 8}}), {0}, n, flags) == Errno::success);
  CHECK(g.value(n) == 5);
  CHECK(g.text(buf, 2) == "he");
  CHECK(g.text(buf + 8, 3) == "llo");
  CHECK(g.value(flags) == 0);
  CHECK(sock_recv(g.cx(), g.memory, conn, g.iovecs({{buf, 2}}), {8}, n, flags) == Errno::inval);
  CHECK(sock_send(g.cx(), g.memory, conn, g.iovecs({{g.put("abc"), 3}}), {0}, n) == Errno::success);
  CHECK(sock_send(g.cx(), g.memory, conn, g.iovecs({{buf, 1}}), {1}, n) == Errno::inval);
  CHECK(g.write(conn, "def") == Errno::success);
  char text[8];
  CHECK(::recv(client.get(), text, sizeof(text), 0) == 6);
  CHECK(sock_shutdown(g.cx(), g.memory, conn, {4}) == Errno::inval);
  CHECK(sock_shutdown(g.cx(), g.memory, {1}, {1}) == Errno::notsock);
  CHECK(sock_shutdown(g.cx(), g.memory, conn, {kShutWrite}) == Errno::success);
  CHECK(::recv(client.get(), text, sizeof(text), 0) == 0);
  // A vanished peer is an errno, not a signal.
  CHECK(g.write(conn, "x") == Errno::pipe);
  CHECK(sock_send(g.cx(), g.memory, conn, g.iovecs({{buf, 1}}), {0}, n) == Errno::pipe);
}

TEST_CASE("the trace shows arguments, the error's name and results") {
  ::setenv("VMRUN_LOG", "wasi=trace", 1);
  TempDir t;
  FakeGuest g(t);
  ::unsetenv("VMRUN_LOG");
  int p[2];
  REQUIRE(::pipe2(p, O_CLOEXEC) == 0);
  HostFd r(p[0]), w(p[1]), saved(::dup(2));
  REQUIRE(::dup2(p[1], 2) == 2);
  uint32_t path = g.put("a\"b\n"), number = g.put_value(uint32_t{5}), iovecs = g.iovecs({{0, 3}, {0, 4096}}).address;
  const Shown open[] = {{Show::Decimal, 3, 0}, {Show::LookupFlags, 1, 0}, {Show::Path, path, 4},
                        {Show::OFlags, 9, 0},  {Show::Hex, 66, 0},        {Show::Out32, number, 0}};
  trace(g.cx(), g.memory, "path_open", "fd dirflags path oflags fs_rights_base opened_fd", open, 6, Errno::success);
  const Shown write[] = {{Show::Decimal, 1, 0}, {Show::Iovecs, iovecs, 2}, {Show::Out32, number, 0}};
  trace(g.cx(), g.memory, "fd_write", "fd iovs nwritten", write, 3, Errno::badf);
  const Shown wild[] = {{Show::Path, ~0u, 9}, {Show::Iovecs, ~0u, 3}, {Show::Out64, ~0u, 0}};
  trace(g.cx(), g.memory, "wild", "path iovs out", wild, 3, Errno::success);
  ::dup2(saved.get(), 2);
  char text[1024];
  ssize_t n = ::read(r.get(), text, sizeof(text));
  REQUIRE(n > 0);
  CHECK(std::string(text, static_cast<size_t>(n)) ==
        "[wasi] trace: path_open(fd=3, dirflags=symlink_follow, path=\"a\\x22b\\x0a\", oflags=creat|trunc, "
        "fs_rights_base=0x42, opened_fd=" +
            fmt::format("{:#x}", number) +
            ") = success opened_fd=5\n"
            "[wasi] trace: fd_write(fd=1, iovs=[3 4096], nwritten=" +
            fmt::format("{:#x}", number) +
            ") = badf\n"
            "[wasi] trace: wild(path=0xffffffff+9, iovs=[?], out=0xffffffff) = success\n");
}
