// What the tests of io/ share: a scheduler with a reactor in each backend, faults put into system calls, and the proof
// that nothing is left behind.
#pragma once

#include <dirent.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "io/reactor.h"
#include "io/sys.h"
#include "sched/scheduler.h"
#include "tests/unit/sched/fixture.h"

namespace vmrun::test {

using namespace std::chrono_literals;

/// One for each backend.
inline std::vector<io::Options> all_backends() {
  return {{.backend = io::BackendKind::Epoll, .environment = false},
          {.backend = io::BackendKind::Ring, .environment = false}};
}

inline size_t open_descriptors() {
  size_t n = 0;
  DIR* dir = ::opendir("/proc/self/fd");
  while (::readdir(dir) != nullptr) ++n;
  ::closedir(dir);
  return n;
}

/// A reactor that a scheduler polls. At its end everything has ended and no descriptor is left.
class World {
 public:
  explicit World(unsigned workers, const io::Options& options = all_backends()[0])
      : before_(descriptors_of_this_thread()) {
    int64_t error = 0;
    reactor_ = io::Reactor::create(options, error);
    REQUIRE(error == 0);
    scheduler_.emplace(sched::Config{.workers = workers, .stack_size = 64 * 1024});
    scheduler_->set_poller(reactor_.get());
  }
  ~World() {
    scheduler_->join();
    const io::Counts left = reactor_->counts();
    CHECK(left.descriptors == 0);
    CHECK(left.transfers == 0);
    CHECK(left.nodes == 0);
    CHECK_FALSE(reactor_->waited_for());
    scheduler_.reset();
    reactor_.reset();
    CHECK(open_descriptors() == before_);
  }
  io::Reactor& reactor() { return *reactor_; }
  sched::Scheduler& scheduler() { return *scheduler_; }
  template <class F>
  sched::Task spawn(F&& f, const sched::SpawnOptions& options = {}) {
    return scheduler_->spawn(std::forward<F>(f), options);
  }

  io::Descriptor adopt(int fd) {
    int64_t error = 0;
    io::Descriptor d = reactor_->adopt(fd, error);
    REQUIRE(error == 0);
    return d;
  }
  io::Descriptor borrow(int fd) {
    int64_t error = 0;
    io::Descriptor d = reactor_->borrow(fd, error);
    REQUIRE(error == 0);
    return d;
  }
  /// Both ends of a pipe: first the one to read from.
  std::array<io::Descriptor, 2> pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    return {adopt(ends[0]), adopt(ends[1])};
  }
  std::array<io::Descriptor, 2> socket_pair(int type = SOCK_STREAM) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
    return {adopt(ends[0]), adopt(ends[1])};
  }
  /// Waits until so many places in lists of waiters are taken.
  void await_waiters(size_t n) {
    while (reactor_->counts().nodes < n) std::this_thread::sleep_for(100us);
  }

 private:
  /// The calling thread's own eventfd is made by its first wait and stays: made before they are counted.
  static size_t descriptors_of_this_thread() {
    io::Waiter waiter(io::Until{});
    return open_descriptors();
  }

  size_t before_;
  std::unique_ptr<io::Reactor> reactor_;
  std::optional<sched::Scheduler> scheduler_;
};

/// Runs `body(world)` in every backend with 1, 2 and 8 workers.
template <class F>
void everywhere(F body) {
  for (const io::Options& options : all_backends()) {
    for (const unsigned workers : worker_counts) {
      World world(workers, options);
      CAPTURE(world.reactor().backend());
      CAPTURE(workers);
      body(world);
    }
  }
}

/// Faults that system calls meet while it lives.
class Faults {
 public:
  Faults() {
    for (Plan& plan : plans()) plan.times = 0;
    io::sys::set_injector(&inject);
  }
  ~Faults() { io::sys::set_injector(nullptr); }
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;

  /// The next `times` calls give `result`, after `skip` that do not.
  Faults& give(io::sys::Call call, int64_t result, int times = 1, int skip = 0) {
    return plan(call, result, SIZE_MAX, times, skip);
  }
  /// The next transfers are offered so many bytes.
  Faults& shorten(io::sys::Call call, size_t bytes, int times) { return plan(call, 0, bytes, times, 0); }
  /// Faults that are still to come.
  static int left(io::sys::Call call) { return std::max(0, at(call).times.load()); }

 private:
  struct Plan {
    std::atomic<int> skip{0}, times{0};
    std::atomic<int64_t> result{0};
    std::atomic<size_t> at_most{SIZE_MAX};
  };
  static std::array<Plan, 64>& plans() {
    static std::array<Plan, 64> all;
    return all;
  }
  static Plan& at(io::sys::Call call) { return plans()[static_cast<size_t>(call)]; }
  Faults& plan(io::sys::Call call, int64_t result, size_t at_most, int times, int skip) {
    Plan& p = at(call);
    p.result = result;
    p.at_most = at_most;
    p.skip = skip;
    p.times = times;
    return *this;
  }
  static io::sys::Fault inject(io::sys::Call call, int) noexcept {
    Plan& p = at(call);
    if (p.times.load() <= 0 || p.skip.fetch_sub(1) > 0 || p.times.fetch_sub(1) <= 0) return {};
    const size_t at_most = p.at_most;
    return {at_most == SIZE_MAX, p.result, at_most};
  }
};

}  // namespace vmrun::test
