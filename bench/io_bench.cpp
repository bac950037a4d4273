// What waiting costs: a byte between two tasks over pipes, an echo over TCP, and reads of a cached file, each beside the
// plain system calls in the same run. The backend is that of VMRUN_IO.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "io/reactor.h"
#include "sched/scheduler.h"

using namespace vmrun;

namespace {

struct World {
  std::unique_ptr<io::Reactor> reactor;
  std::optional<sched::Scheduler> scheduler;

  explicit World(unsigned workers) {
    int64_t error = 0;
    reactor = io::Reactor::create({}, error);
    if (reactor == nullptr) std::abort();
    scheduler.emplace(sched::Config{.workers = workers});
    scheduler->set_poller(reactor.get());
  }
  ~World() { scheduler->join(); }
  io::Descriptor adopt(int fd) {
    int64_t error = 0;
    io::Descriptor d = reactor->adopt(fd, error);
    if (error != 0) std::abort();
    return d;
  }
};

using Ends = std::array<int, 2>;

Ends make_pipe() {
  Ends ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) std::abort();
  return ends;
}

/// Both ends of a connection over the loopback device.
Ends make_connection() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, plain, length) != 0 || ::listen(listener, 1) != 0 ||
      ::getsockname(listener, plain, &length) != 0) {
    std::abort();
  }
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(client, plain, length) != 0) std::abort();
  const int server = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  const int one = 1;
  for (const int fd : {client, server}) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  ::close(listener);
  return {client, server};
}

/// What readers offer: more than comes, as most programs do.
constexpr size_t room = 64;

/// A byte goes there and comes back: `rounds` by the benchmark's loop on this side, until the end on the other.
void ping_pong(benchmark::State& state, unsigned workers, Ends there, Ends back) {
  World w(workers);
  io::Reactor& r = *w.reactor;
  io::Descriptor in = w.adopt(there[0]), out = w.adopt(there[1]);
  io::Descriptor in_back = back[0] == there[1] ? out : w.adopt(back[0]);
  io::Descriptor out_back = back[1] == there[0] ? in : w.adopt(back[1]);
  w.scheduler->spawn([&r, in = std::move(in), out = std::move(out_back)] {
    char bytes[room];
    while (r.read(in, bytes, room) == 1 && r.write(out, bytes, 1) == 1) {
    }
  });
  w.scheduler
      ->spawn([&, out = std::move(out), in = std::move(in_back)] {
        char bytes[room] = {};
        for (auto _ : state) {
          if (r.write(out, bytes, 1) != 1 || r.read(in, bytes, room) != 1) std::abort();
        }
      })
      .join();
}

void pipe_ping_pong(benchmark::State& state) {
  ping_pong(state, static_cast<unsigned>(state.range(0)), make_pipe(), make_pipe());
}
BENCHMARK(pipe_ping_pong)->Arg(1)->Arg(2)->ArgName("workers")->UseRealTime()->MeasureProcessCPUTime();

void socket_echo(benchmark::State& state) {
  const Ends ends = make_connection();
  ping_pong(state, static_cast<unsigned>(state.range(0)), {ends[0], ends[1]}, {ends[1], ends[0]});
}
BENCHMARK(socket_echo)->Arg(1)->Arg(2)->ArgName("workers")->UseRealTime()->MeasureProcessCPUTime();

/// Two threads that block.
void plain_ping_pong(benchmark::State& state, Ends there, Ends back) {
  std::thread other([&] {
    char bytes[room];
    while (::read(there[0], bytes, room) == 1 && ::write(back[1], bytes, 1) == 1) {
    }
    if (back[1] != there[0]) ::close(back[1]);
    ::close(there[0]);
  });
  char bytes[room] = {};
  for (auto _ : state) {
    if (::write(there[1], bytes, 1) != 1 || ::read(back[0], bytes, room) != 1) std::abort();
  }
  ::close(there[1]);
  if (back[0] != there[1]) ::close(back[0]);
  other.join();
}

void plain_pipe_ping_pong(benchmark::State& state) { plain_ping_pong(state, make_pipe(), make_pipe()); }
BENCHMARK(plain_pipe_ping_pong)->UseRealTime()->MeasureProcessCPUTime();

void plain_socket_echo(benchmark::State& state) {
  const Ends ends = make_connection();
  plain_ping_pong(state, {ends[0], ends[1]}, {ends[1], ends[0]});
}
BENCHMARK(plain_socket_echo)->UseRealTime()->MeasureProcessCPUTime();

constexpr int64_t file_size = 1 << 20;

int make_file() {
  char name[] = "/tmp/vmrun-io-bench-XXXXXX";
  const int fd = ::mkostemp(name, O_CLOEXEC);
  ::unlink(name);
  const std::vector<char> data(file_size);
  if (::write(fd, data.data(), data.size()) != file_size) std::abort();
  return fd;
}

/// Positions that walk over the file.
int64_t next_at(int64_t at, int64_t size) { return at + size < file_size ? at + size : 0; }

void file_read(benchmark::State& state) {
  World w(1);
  io::Descriptor d = w.adopt(make_file());
  const auto size = static_cast<size_t>(state.range(0));
  std::vector<char> buffer(size);
  w.scheduler
      ->spawn([&] {
        const iovec one{buffer.data(), size};
        int64_t at = 0;
        for (auto _ : state) {
          if (w.reactor->readv_at(d, &one, 1, at) != static_cast<int64_t>(size)) std::abort();
          at = next_at(at, state.range(0));
        }
      })
      .join();
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(file_read)->Arg(4096)->Arg(65536)->ArgName("bytes");

void plain_file_read(benchmark::State& state) {
  // The kernel looks a descriptor up faster while a process has one thread: not what is compared here.
  std::atomic<bool> end{false};
  std::thread other([&] { end.wait(false); });
  const int fd = make_file();
  const auto size = static_cast<size_t>(state.range(0));
  std::vector<char> buffer(size);
  int64_t at = 0;
  for (auto _ : state) {
    if (::pread(fd, buffer.data(), size, at) != static_cast<ssize_t>(size)) std::abort();
    at = next_at(at, state.range(0));
  }
  ::close(fd);
  end = true;
  end.notify_one();
  other.join();
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(plain_file_read)->Arg(4096)->Arg(65536)->ArgName("bytes");

}  // namespace
