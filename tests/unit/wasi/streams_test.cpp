// Streams and other borrowed descriptors: what a guest may do with them, and what it leaves as it was.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <thread>

#include "tests/unit/wasi/host.h"
#include "wasi/transfer.h"

using namespace vmrun;
using namespace vmrun::wasi;

namespace {

struct Pipe {
  HostFd reader, writer;
  Pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    reader = HostFd(ends[0]);
    writer = HostFd(ends[1]);
  }
};

int flags_of(int fd) { return ::fcntl(fd, F_GETFL); }

Errno set_flags(FakeGuest& g, uint32_t fd, uint32_t flags) {
  return fd_fdstat_set_flags(g.cx(), g.memory, {fd}, {flags});
}

uint32_t guest_flags(FakeGuest& g, uint32_t fd) {
  auto stat = g.out<GuestFdstat>();
  REQUIRE(fd_fdstat_get(g.cx(), g.memory, {fd}, stat) == Errno::success);
  return g.value(stat).flags;
}

Rights rights_of(FakeGuest& g, uint32_t fd) {
  auto stat = g.out<GuestFdstat>();
  REQUIRE(fd_fdstat_get(g.cx(), g.memory, {fd}, stat) == Errno::success);
  return g.value(stat).rights_base;
}

/// One fd_read or fd_write of `size` bytes.
Errno transfer(FakeGuest& g, bool reading, uint32_t fd, uint32_t size, uint32_t* done = nullptr) {
  auto n = g.out();
  auto iov = g.iovecs({{1 << 16, size}});
  Errno e = reading ? fd_read(g.cx(), g.memory, {fd}, iov, n) : fd_write(g.cx(), g.memory, {fd}, iov, n);
  if (e == Errno::success && done != nullptr) *done = g.value(n);
  return e;
}

bool is_blocked(int signal) {
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return sigismember(&mask, signal) != 0;
}

bool is_pending(int signal) {
  sigset_t pending;
  ::sigpending(&pending);
  return sigismember(&pending, signal) != 0;
}

/// The process's limit on a resource, set back at the end of the scope.
class Limit {
 public:
  Limit(__rlimit_resource which, rlim_t value) : which_(which) {
    REQUIRE(::getrlimit(which, &before_) == 0);
    rlimit now = before_;
    now.rlim_cur = value;
    REQUIRE(::setrlimit(which, &now) == 0);
  }
  ~Limit() { ::setrlimit(which_, &before_); }
  Limit(const Limit&) = delete;

 private:
  __rlimit_resource which_;
  rlimit before_;
};

}  // namespace

TEST_CASE("a stream whose host descriptor is closed is closed to the guest, and its number stays unused") {
  TempDir t;
  t.put("box/f", "text");
  HostFd gone(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int closed = gone.get();
  gone.reset();
  HostFd path(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));  // gives access to nothing
  REQUIRE(path.get() == closed);
  path.reset();
  HostFd other(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)), keep(::dup(other.get()));
  other.reset();
  REQUIRE(::fcntl(closed, F_GETFD) < 0);
  FakeGuest g(WasiConfig().stdin_fd(closed).stdout_fd(keep.get()).preopen_dir(t.box(), "/"));
  auto stat = g.out<GuestFilestat>();
  for (uint32_t fd : {0u, 1u}) {
    CHECK(transfer(g, true, fd, 4) == Errno::badf);
    CHECK(transfer(g, false, fd, 4) == Errno::badf);
    CHECK(fd_filestat_get(g.cx(), g.memory, {fd}, stat) == Errno::badf);
    CHECK(fd_close(g.cx(), g.memory, {fd}) == Errno::badf);
  }
  CHECK(g.write({2}, "vanishes") == Errno::success);
  // Directories keep their numbers, and what the guest opens gets none of the closed ones.
  auto prestat = g.out<GuestPrestat>();
  CHECK(fd_prestat_get(g.cx(), g.memory, FakeGuest::kBox, prestat) == Errno::success);
  Fd f = g.must_open("f");
  CHECK(f.value == 4);
  CHECK(fd_renumber(g.cx(), g.memory, f, {1}) == Errno::badf);
  CHECK(fd_close(g.cx(), g.memory, {2}) == Errno::success);
  CHECK(g.must_open("f").value == 2);  // the guest closed this one itself
  CHECK(g.must_open("f").value == 5);
}

TEST_CASE("what a guest opens never gets the number of a closed standard stream of the process") {
  TempDir t;
  FakeGuest g(t);
  HostFd saved(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  REQUIRE(saved);
  ::close(STDIN_FILENO);
  Fd fd = g.must_open("f", kOCreat);
  const int host = g.cx().fds.get(fd.value)->host;
  FakeGuest another(t);  // its directory and its empty streams
  int lowest = 99;
  for (uint32_t i = 0; i < 4; ++i) lowest = std::min(lowest, another.cx().fds.get(i)->host);
  const bool closed = ::fcntl(STDIN_FILENO, F_GETFD) < 0;
  ::dup2(saved.get(), STDIN_FILENO);
  CHECK(host > 2);
  CHECK(lowest > 2);
  CHECK(closed);
  CHECK(g.write(fd, "text") == Errno::success);
  CHECK(t.get("box/f") == "text");
}

TEST_CASE("streams have a stream's rights, whatever they are on the host") {
  TempDir t;
  t.put("box/log", "kept\n");
  HostFd log(::open((t / "box/log").c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
  HostFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  HostFd directory(::open(t.box().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  FakeGuest g(WasiConfig().stdin_fd(log.get()).stdout_fd(log.get()).stderr_fd(null.get()));
  auto n = g.out();
  auto pos = g.out<uint64_t>();
  for (uint32_t fd : {0u, 1u}) {
    CAPTURE(fd);
    CHECK((rights_of(g, fd) & ~rights::kStandardStream) == 0);
    CHECK(fd_seek(g.cx(), g.memory, {fd}, {0}, {0}, pos) == Errno::notcapable);
    CHECK(fd_tell(g.cx(), g.memory, {fd}, pos) == Errno::notcapable);
    CHECK(fd_filestat_set_size(g.cx(), g.memory, {fd}, {0}) == Errno::notcapable);
    CHECK(fd_filestat_set_times(g.cx(), g.memory, {fd}, {0}, {0}, {kSetMtim}) == Errno::notcapable);
    CHECK(fd_allocate(g.cx(), g.memory, {fd}, {0}, {100}) == Errno::notcapable);
    CHECK(fd_advise(g.cx(), g.memory, {fd}, {0}, {0}, {0}) == Errno::notcapable);
    CHECK(fd_pread(g.cx(), g.memory, {fd}, g.iovecs({{g.alloc(4), 4}}), {0}, n) == Errno::notcapable);
    CHECK(fd_pwrite(g.cx(), g.memory, {fd}, g.iovecs({{g.alloc(4), 4}}), {0}, n) == Errno::notcapable);
    CHECK(set_flags(g, fd, 0) == Errno::notcapable);  // append mode is the host's
  }
  CHECK(transfer(g, true, 1, 4) == Errno::notcapable);
  CHECK(transfer(g, false, 0, 4) == Errno::notcapable);
  CHECK(g.write({1}, "more\n") == Errno::success);
  CHECK(t.get("box/log") == "kept\nmore\n");
  // Guests take a character device without a position for a terminal.
  CHECK((rights_of(g, 2) & (rights::kFdSeek | rights::kFdTell)) == rights::kFdTell);

  FakeGuest d(WasiConfig().stdin_fd(directory.get()));
  Fd fd{0};
  CHECK(rights_of(d, 0) == 0);
  CHECK(d.open("log", 0, rights::kFdRead, fd, 0, true, {0}) == Errno::notcapable);
  CHECK(path_unlink_file(d.cx(), d.memory, {0}, d.path("log")) == Errno::notcapable);
  CHECK(path_create_directory(d.cx(), d.memory, {0}, d.path("made")) == Errno::notcapable);
  CHECK(fd_readdir(d.cx(), d.memory, {0}, {d.alloc(64), 64}, {0}, n) == Errno::notcapable);
  CHECK(transfer(d, true, 0, 4) == Errno::isdir);
  CHECK(t.exists("box/log"));

  // A socket as a stream can neither be shut down nor accept.
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  HostFd ours(pair[0]), theirs(pair[1]);
  FakeGuest s(WasiConfig().stdin_fd(theirs.get()).stdout_fd(theirs.get()));
  CHECK(sock_shutdown(s.cx(), s.memory, {1}, {kShutWrite}) == Errno::notcapable);
  CHECK(sock_accept(s.cx(), s.memory, {0}, {0}, n) == Errno::notcapable);
  CHECK(s.write({1}, "text") == Errno::success);
}

namespace {

void not_waiting() {
  Pipe in, out;
  FakeGuest g(WasiConfig().stdin_fd(in.reader.get()).stdout_fd(out.writer.get()));
  const int before[] = {flags_of(in.reader.get()), flags_of(out.writer.get())};
  for (uint32_t fd : {0u, 1u}) {
    CHECK(set_flags(g, fd, kFdNonblock | kFdAppend) == Errno::notcapable);
    CHECK(guest_flags(g, fd) == 0);
    CHECK(set_flags(g, fd, kFdNonblock) == Errno::success);
    CHECK(guest_flags(g, fd) == kFdNonblock);
  }
  CHECK(flags_of(in.reader.get()) == before[0]);
  CHECK(flags_of(out.writer.get()) == before[1]);

  CHECK(transfer(g, true, 0, 16) == Errno::again);
  REQUIRE(::write(in.writer.get(), "input", 5) == 5);
  uint32_t n = 0;
  CHECK(transfer(g, true, 0, 16, &n) == Errno::success);
  CHECK(n == 5);
  in.writer.reset();
  CHECK(transfer(g, true, 0, 16, &n) == Errno::success);
  CHECK(n == 0);
  // More than the pipe takes is written in part, and then not at all.
  Errno e;
  uint32_t written = 0;
  for (int i = 0; i < 1000 && (e = transfer(g, false, 1, 200000, &n)) == Errno::success; ++i) written += n;
  CHECK(e == Errno::again);
  CHECK(written == static_cast<uint32_t>(::fcntl(out.writer.get(), F_GETPIPE_SZ)));

  // And it may want to wait again.
  CHECK(set_flags(g, 1, 0) == Errno::success);
  CHECK(guest_flags(g, 1) == 0);
  std::thread drain([&] {
    char block[4096];
    for (uint32_t left = written + 6; left != 0;) {
      ssize_t r = ::read(out.reader.get(), block, sizeof(block));
      if (r <= 0) break;
      left -= static_cast<uint32_t>(r);
    }
  });
  CHECK(g.write({1}, "waited") == Errno::success);
  drain.join();

  // What the host has set stays set.
  Pipe other;
  REQUIRE(::fcntl(other.reader.get(), F_SETFL, O_NONBLOCK) == 0);
  FakeGuest h(WasiConfig().stdin_fd(other.reader.get()));
  CHECK(guest_flags(h, 0) == kFdNonblock);
  CHECK(set_flags(h, 0, 0) == Errno::notcapable);
  CHECK(set_flags(h, 0, kFdNonblock) == Errno::success);
  CHECK(transfer(h, true, 0, 4) == Errno::again);
}

/// Runs `f` on a thread where the kernel does not know the flags of preadv2 and pwritev2.
template <class F>
void without_flags(F f) {
  std::thread([&] {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_preadv2, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwritev2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program{std::size(code), code};
    REQUIRE(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    REQUIRE(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    f();
  }).join();
}

}  // namespace

TEST_CASE("a guest that does not want to wait leaves the host's flags as they are") {
  not_waiting();
  without_flags(not_waiting);
}

TEST_CASE("borrowed sockets keep their flags too") {
  TempDir t;
  HostFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string path = t / "sock";
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(::listen(listener.get(), 4) == 0);
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  HostFd ours(pair[0]), theirs(pair[1]);
  FakeGuest g(WasiConfig().preopen_socket(listener.get()).preopen_socket(theirs.get()));
  const int before[] = {flags_of(listener.get()), flags_of(theirs.get())};
  CHECK(set_flags(g, 3, kFdNonblock) == Errno::success);
  CHECK(set_flags(g, 4, kFdNonblock) == Errno::success);
  CHECK(flags_of(listener.get()) == before[0]);
  CHECK(flags_of(theirs.get()) == before[1]);
  auto out = g.out(), n = g.out();
  auto flags = g.out<uint16_t>();
  CHECK(sock_accept(g.cx(), g.memory, {3}, {0}, out) == Errno::again);
  CHECK(transfer(g, true, 4, 4) == Errno::again);
  CHECK(sock_recv(g.cx(), g.memory, {4}, g.iovecs({{g.alloc(8), 8}}), {0}, n, flags) == Errno::again);
  Errno e = Errno::success;
  for (int i = 0; i < 1000 && e == Errno::success; ++i) e = transfer(g, false, 4, 100000);
  CHECK(e == Errno::again);
  // A connection that the guest accepted is its own.
  HostFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(sock_accept(g.cx(), g.memory, {3}, {0}, out) == Errno::success);
  CHECK(set_flags(g, g.value(out), kFdNonblock) == Errno::success);
  CHECK((flags_of(g.cx().fds.get(g.value(out))->host) & O_NONBLOCK) != 0);
}

namespace {
void without_reader() {
  Pipe p;
  p.reader.reset();
  for (bool nonblocking : {false, true}) {
    FakeGuest g(WasiConfig().stdout_fd(p.writer.get()));
    if (nonblocking) REQUIRE(set_flags(g, 1, kFdNonblock) == Errno::success);
    CHECK(transfer(g, false, 1, 4) == Errno::pipe);
  }
  // A FIFO beneath a directory.
  TempDir t;
  REQUIRE(::mkfifo((t / "box/fifo").c_str(), 0600) == 0);
  HostFd reader(::open((t / "box/fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  FakeGuest g(t);
  Fd fd = g.must_open("fifo", 0, rights::kFdWrite);
  CHECK(g.write(fd, "text") == Errno::success);
  reader.reset();
  CHECK(transfer(g, false, fd.value, 4) == Errno::pipe);
  CHECK_FALSE(is_blocked(SIGPIPE));
  CHECK_FALSE(is_pending(SIGPIPE));
}
}  // namespace

TEST_CASE("writing to a pipe without a reader is an error, not a signal") {
  without_reader();
  without_flags(without_reader);
}

TEST_CASE("the shield takes back the signals of a call, and no others") {
  Pipe p;
  p.reader.reset();
  auto write = [&] {
    SignalShield shield;
    CHECK(::write(p.writer.get(), "x", 1) == -1);
    CHECK(errno == EPIPE);
    CHECK(is_pending(SIGPIPE));
    shield.settle();
  };
  std::thread([&] {
    write();
    CHECK_FALSE(is_pending(SIGPIPE));
    CHECK_FALSE(is_blocked(SIGPIPE));
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    write();
    CHECK_FALSE(is_pending(SIGPIPE));
    CHECK(is_blocked(SIGPIPE));
    // Sent by somebody else, before.
    ::pthread_kill(::pthread_self(), SIGPIPE);
    write();
    CHECK(is_pending(SIGPIPE));
  }).join();
}

TEST_CASE("growing beyond the process's limit on files is an error, not a signal") {
  TempDir t;
  Limit limit(RLIMIT_FSIZE, 4096);
  FakeGuest g(t);
  Fd fd = g.must_open("f", kOCreat);
  uint32_t n = 0;
  CHECK(transfer(g, false, fd.value, 10000, &n) == Errno::success);
  CHECK(n == 4096);
  CHECK(transfer(g, false, fd.value, 1) == Errno::fbig);
  auto written = g.out();
  CHECK(fd_pwrite(g.cx(), g.memory, fd, g.iovecs({{g.alloc(4), 4}}), {5000}, written) == Errno::fbig);
  CHECK(fd_filestat_set_size(g.cx(), g.memory, fd, {5000}) == Errno::fbig);
  CHECK(fd_allocate(g.cx(), g.memory, fd, {0}, {5000}) == Errno::fbig);
  CHECK_FALSE(is_blocked(SIGXFSZ));
  CHECK_FALSE(is_pending(SIGXFSZ));
  // As a stream of the embedder.
  HostFd file(::open((t / "box/f").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  FakeGuest s(WasiConfig().stdout_fd(file.get()));
  CHECK(transfer(s, false, 1, 4) == Errno::fbig);
}

TEST_CASE("a guest has so many descriptors and no more") {
  TempDir t;
  t.put("box/f", "text");
  FakeGuest g(WasiConfig().preopen_dir(t.box(), "/").max_descriptors(6));
  Fd first = g.must_open("f"), second = g.must_open("f"), none{0};
  CHECK(g.open("f", 0, rights::kFdRead, none) == Errno::mfile);
  CHECK(fd_renumber(g.cx(), g.memory, second, first) == Errno::success);
  CHECK(g.must_open("f").value == second.value);
  CHECK(g.open("f", 0, rights::kFdRead, none) == Errno::mfile);
  // Nothing is truncated or made for a descriptor that there is no room for.
  CHECK(g.open("f", kOTrunc, FakeGuest::kFileRights, none) == Errno::mfile);
  CHECK(g.open("made", kOCreat, FakeGuest::kFileRights, none) == Errno::mfile);
  CHECK(std::filesystem::file_size(std::filesystem::path(t.box()) / "f") == 4);
  CHECK(!std::filesystem::exists(std::filesystem::path(t.box()) / "made"));
  CHECK(fd_close(g.cx(), g.memory, {0}) == Errno::success);
  CHECK(g.must_open("f").value == 0);

  auto many = WasiContext::create(WasiConfig().preopen_dir(t.box(), "/").max_descriptors(3));
  REQUIRE_FALSE(many.ok());
  CHECK(many.error().kind == ErrorKind::Limit);
  CHECK(WasiContext::create(WasiConfig().max_descriptors(3)).ok());
  {
    Limit limit(RLIMIT_NOFILE, 100);
    CHECK(FdTable::default_limit() == 50);
  }
  CHECK(FdTable::default_limit() <= 4096);
}

TEST_CASE("what the process may do is asked when it matters, not when a context is made") {
  TempDir t;
  FakeGuest g(t);
  FakeGuest none{WasiConfig()};
  Fd fd = g.must_open("f", kOCreat);
  {
    Limit files(RLIMIT_NOFILE, 100);
    CHECK(none.cx().fds.limit() == 50);
  }
  CHECK(none.cx().fds.limit() == 50);  // from then on
  Limit limit(RLIMIT_FSIZE, 4096);
  CHECK(transfer(g, false, fd.value, 5000) == Errno::success);
  CHECK(transfer(g, false, fd.value, 1) == Errno::fbig);
}

TEST_CASE("streams that were looked at once are not looked at again, until they are named anew") {
  Pipe pipe;
  WasiConfig config = WasiConfig().stdin_fd(pipe.reader.get()).stdout_fd(pipe.writer.get());
  look_at_streams(config);
  WasiConfig copy = config;
  {
    FakeGuest first(copy), plain(WasiConfig().stdin_fd(pipe.reader.get()).stdout_fd(pipe.writer.get()));
    for (uint32_t fd : {0, 1, 2}) CHECK(rights_of(first, fd) == rights_of(plain, fd));
    CHECK(transfer(first, false, 1, 4) == Errno::success);
    CHECK(transfer(first, true, 0, 4) == Errno::success);
  }
  const int was = pipe.reader.get();
  pipe.reader = HostFd();
  {
    FakeGuest second(copy);
    CHECK(second.cx().fds.get(0).get() != nullptr);  // as it was then
  }
  copy.stdin_fd(was);
  FakeGuest again(copy);
  CHECK(again.cx().fds.get(0).get() == nullptr);
}

TEST_CASE("streams from bytes and into sinks") {
  std::string out, err;
  int left = 2;  // writes that the sink of errors takes
  const WasiConfig config = WasiConfig()
                                .stdin_bytes("some input")
                                .stdout_to([&](std::string_view bytes) { return out += bytes, true; })
                                .stderr_to([&](std::string_view bytes) { return err += bytes, --left >= 0; });
  for (int round = 0; round < 2; ++round) {  // each context reads all
    FakeGuest g(config);
    CHECK(g.read({0}, 4) == "some");
    CHECK(g.read({0}) == " input");
    CHECK(g.read({0}).empty());
    CHECK(g.write({0}, "x") == Errno::notcapable);
    uint32_t done = 0;
    CHECK(transfer(g, true, 1, 4) == Errno::notcapable);
    CHECK(g.write({1}, "a") == Errno::success);
    CHECK(transfer(g, false, 1, 0, &done) == Errno::success);
    CHECK(done == 0);
    CHECK(g.write({2}, "e") == Errno::success);
    CHECK(fd_seek(g.cx(), g.memory, {1}, {0}, {0}, g.out<uint64_t>()) != Errno::success);
    CHECK(fd_close(g.cx(), g.memory, {0}) == Errno::success);
  }
  CHECK(out == "aa");
  FakeGuest g(config);
  CHECK(transfer(g, false, 2, 3) == Errno::pipe);  // nobody reads any more
  CHECK(err.starts_with("ee"));
}
