// Calls that may block. A guest that is no task's makes system calls that hold its thread and end when it is interrupted. A
// task's waits by the executor's reactor, and cancelling the task or interrupting the guest ends the wait. System calls
// that cannot be waited for (opening, allocating, listing) hold the thread of either, and end in the same cases; a task's
// processor goes on with others meanwhile.
#include "wasi/blocking.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "engine/guest_task.h"
#include "io/region.h"
#include "io/wait.h"
#include "vm/runtime/stoppable.h"
#include "wasi/sys.h"

namespace vmrun::wasi {

void HostFd::reset() {
  // Linux frees the number even when close reports an error, so there is nothing to retry.
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

namespace blocking {

using io::Interest;
using io::Until;

bool suspends() {
  const GuestTask* task = GuestTask::current();
  return task != nullptr && task->reactor() != nullptr;
}

int64_t waited(int64_t r) {
  if (r != -ECANCELED && !sched::is_cancelled()) [[likely]]
    return r;
  if (GuestTask* task = GuestTask::current()) task->interrupt_guest();
  return r == -ECANCELED ? -EINTR : r;
}

namespace {

/// A pointer as a system call takes it.
long address(const void* pointer) { return reinterpret_cast<long>(pointer); }

/// The task that the calling guest is suspended with where it waits; null: it holds its thread. One look for each call of
/// a guest: each takes as long as a tenth of a short system call.
GuestTask* suspended_task() {
  GuestTask* task = GuestTask::current();
  return task != nullptr && task->reactor() != nullptr ? task : nullptr;
}

/// A thread that a call is going to hold while an executor goes on with other tasks. Tests false where the program holds as
/// many already as are left for all: so one that opens FIFOs by hundreds of threads leaves some to others, however many
/// such programs there are, and those who only run are never without.
class HeldThread {
 public:
  explicit HeldThread(const GuestTask& task) : holding_(task.holding()) {
    const uint32_t before = holding_ != nullptr ? holding_->fetch_add(1, std::memory_order_relaxed) : 0;
    free_ = before < sched::threads_to_hold();
  }
  ~HeldThread() {
    if (holding_ != nullptr) holding_->fetch_sub(1, std::memory_order_relaxed);
  }
  HeldThread(const HeldThread&) = delete;
  HeldThread& operator=(const HeldThread&) = delete;
  explicit operator bool() const { return free_; }

 private:
  std::atomic<uint32_t>* const holding_;
  bool free_;
};

/// Which holds its thread; an executor goes on with other tasks meanwhile. -EAGAIN: too many threads are held.
template <class... Args>
int64_t held_call(long number, Args... args) {
  const GuestTask* task = suspended_task();
  if (task == nullptr) return vm::stoppable_call(number, static_cast<long>(args)...);
  const HeldThread thread(*task);
  if (!thread) return -EAGAIN;
  const io::Region region;
  return vm::stoppable_call(number, static_cast<long>(args)...);
}

/// Calls that the system ends at any signal, whatever its handler says (SA_RESTART): they go on unless the guest is to end.
/// A profiler's signals come while a guest waits.
template <class Wait>
int64_t unless_ended(Wait wait) {
  for (;;) {
    const int64_t r = wait();
    if (r != -EINTR || vm::guest_interrupted()) return r;
  }
}

/// A transfer of a guest that is in no task. Of one buffer it is the call that takes one: the system copies and checks no
/// list then, a sixth of what reading 4 KiB takes.
template <class... Offset>
[[gnu::always_inline]] inline int64_t held_transfer(long of_one, long of_many, int fd, const iovec* iov, int count,
                                                    Offset... offset) {
  if (count == 1)
    return vm::stoppable_call(of_one, fd, address(iov->iov_base), static_cast<long>(iov->iov_len), offset...);
  return vm::stoppable_call(of_many, fd, address(iov), count, offset...);
}

/// What the running task waits with for a descriptor.
class Handle {
 public:
  /// Makes it where there is none yet: 0, or a negated errno value.
  int64_t prepare(const Descriptor& d, const GuestTask& task) {
    const std::shared_ptr<io::Reactor>& reactor = task.reactor();
    if (d.sharing.on) [[unlikely]]
      return share(d, reactor);
    waits_ = &d.waits;
    if (d.waits.reactor == reactor && d.waits.handle) [[likely]]
      return 0;
    return make(d, reactor, d.waits, {.raises = d.raises});
  }
  io::Reactor& reactor() const { return *waits_->reactor; }
  const io::Descriptor& descriptor() const { return waits_->handle; }

 private:
  static int64_t make(const Descriptor& d, const std::shared_ptr<io::Reactor>& reactor, Waits& waits,
                      const io::Borrowing& how) {
    waits.handle = {};  // before its reactor goes
    waits.reactor = reactor;
    int64_t error = 0;
    waits.handle = reactor->borrow(d.host, error, how);
    return error;
  }
  /// Threads have references of their own to one handle, which is closed with the guest's descriptor. It is this program's
  /// alone: other guests go on with what they share.
  int64_t share(const Descriptor& d, const std::shared_ptr<io::Reactor>& reactor) {
    waits_ = &own_;
    {
      std::lock_guard guard(d.sharing.lock);
      if (d.sharing.shut) return -EBADF;
      own_ = d.waits;
    }
    if (own_.reactor == reactor && own_.handle) [[likely]]
      return 0;
    if (const int64_t error = make(d, reactor, own_, {.raises = d.raises, .alone = true}); error != 0) return error;
    Waits other;
    std::lock_guard guard(d.sharing.lock);
    if (d.sharing.shut) return -EBADF;
    if (d.waits.reactor == reactor && d.waits.handle) {
      other = std::exchange(own_, d.waits);  // another thread was quicker; what was made goes after the lock
    } else {
      other = std::exchange(d.waits, own_);
    }
    return 0;
  }

  const Waits* waits_ = nullptr;
  Waits own_;
};

/// How a task's guest waits: until `deadline`, or until it is to end.
Until patience(const GuestTask* task, sched::Nanos deadline = sched::never) {
  return {.deadline = deadline, .interrupted = task != nullptr ? &task->interrupted() : nullptr};
}

/// How long a call waits: not at all where the guest or the host has said so of the descriptor.
Until until_of(const Descriptor& d, const GuestTask* task) {
  if (d.nonblocking) return Until::now();
  if (d.listens) return patience(task);
  if (d.type == FileType::RegularFile || d.type == FileType::BlockDevice) return patience(task);
  using enum Descriptor::HostWaits;
  const bool noted = d.owner && !d.sharing.on;
  Descriptor::HostWaits mode = noted ? d.host_mode : Unknown;
  if (mode == Unknown) {
    const int64_t flags = raw([&] { return ::fcntl(d.host, F_GETFL); });
    mode = flags >= 0 && (flags & O_NONBLOCK) != 0 ? No : Yes;
    if (noted) d.host_mode = mode;
  }
  return mode == No ? Until::now() : patience(task);
}

/// For a guest that is suspended where it waits `wait`s by the reactor; else makes the system call.
template <class Wait, class Held>
int64_t wait_or_hold(const Descriptor& d, Wait wait, Held held) {
  const GuestTask* task = suspended_task();
  if (task == nullptr) return held();
  Handle handle;
  if (const int64_t error = handle.prepare(d, *task); error != 0) return error;
  return waited(wait(handle.reactor(), handle.descriptor(), task));
}

sched::Clock::time_point deadline_of(const timespec& time) {
  const auto most = sched::Clock::time_point::max().time_since_epoch();
  const auto seconds = std::chrono::seconds(time.tv_sec);
  if (seconds >= most - std::chrono::seconds(1)) return sched::Clock::time_point::max();
  return sched::Clock::time_point(seconds + std::chrono::nanoseconds(time.tv_nsec));
}

int64_t suspended_poll(std::span<pollfd> fds, std::span<const Handle> handles, const Until& until) {
  std::vector<Interest> interests;
  interests.reserve(2 * fds.size());
  for (size_t i = 0; i < fds.size(); ++i) {
    if (fds[i].events & POLLIN) interests.push_back({&handles[i].descriptor(), io::Direction::Read});
    if (fds[i].events & POLLOUT) interests.push_back({&handles[i].descriptor(), io::Direction::Write});
  }
  io::Reactor& reactor = *GuestTask::current()->reactor();
  const int64_t r = interests.empty() ? reactor.sleep(until) : reactor.wait_any(interests, until);
  if (r < 0 && r != -ETIMEDOUT && r != -EAGAIN) return waited(r);
  int64_t ready = 0;
  const Interest* interest = interests.data();
  for (pollfd& fd : fds) {
    fd.revents = 0;
    if (fd.events & POLLIN) fd.revents = static_cast<short>(fd.revents | interest++->happened);
    if (fd.events & POLLOUT) fd.revents = static_cast<short>(fd.revents | interest++->happened);
    ready += fd.revents != 0;
  }
  return ready;
}

}  // namespace

int64_t readv(const Descriptor& d, const iovec* iov, int count) {
  return wait_or_hold(
      d,
      [&](io::Reactor& r, const io::Descriptor& h, const GuestTask* t) {
        return r.readv(h, iov, count, until_of(d, t));
      },
      [&] { return held_transfer(SYS_read, SYS_readv, d.host, iov, count); });
}
int64_t writev(const Descriptor& d, const iovec* iov, int count) {
  return wait_or_hold(
      d,
      [&](io::Reactor& r, const io::Descriptor& h, const GuestTask* t) {
        return r.writev(h, iov, count, until_of(d, t));
      },
      [&] { return held_transfer(SYS_write, SYS_writev, d.host, iov, count); });
}
int64_t writev2(const Descriptor& d, const iovec* iov, int count, int flags) {
  constexpr long kOwnPosition = -1;  // where the descriptor stands
  return held_call(SYS_pwritev2, d.host, address(iov), count, kOwnPosition, 0, flags);
}
// The offset's upper half is an argument of its own, which 64-bit systems ignore.
int64_t preadv(const Descriptor& d, const iovec* iov, int count, int64_t offset) {
  return wait_or_hold(
      d,
      [&](io::Reactor& r, const io::Descriptor& h, const GuestTask* t) {
        return r.readv_at(h, iov, count, offset, patience(t));
      },
      [&] { return held_transfer(SYS_pread64, SYS_preadv, d.host, iov, count, offset); });
}
int64_t pwritev(const Descriptor& d, const iovec* iov, int count, int64_t offset) {
  return wait_or_hold(
      d,
      [&](io::Reactor& r, const io::Descriptor& h, const GuestTask* t) {
        return r.writev_at(h, iov, count, offset, patience(t));
      },
      [&] { return held_transfer(SYS_pwrite64, SYS_pwritev, d.host, iov, count, offset); });
}
int64_t fsync(const Descriptor& d) {
  return wait_or_hold(
      d, [](io::Reactor& r, const io::Descriptor& h, const GuestTask* t) { return r.sync(h, false, patience(t)); },
      [&] { return held_call(SYS_fsync, d.host); });
}
int64_t fdatasync(const Descriptor& d) {
  return wait_or_hold(
      d, [](io::Reactor& r, const io::Descriptor& h, const GuestTask* t) { return r.sync(h, true, patience(t)); },
      [&] { return held_call(SYS_fdatasync, d.host); });
}
int64_t fallocate(int fd, int64_t offset, int64_t length) {
  return vm::stoppable_call(SYS_fallocate, fd, 0, offset, length);  // within `growing`, so on this thread
}
int64_t openat(int dir, const char* path, int flags, unsigned mode) {
  return held_call(SYS_openat, dir, address(path), flags, mode);
}
int64_t openat2(int dir, const char* path, const open_how& how) {
  return held_call(SYS_openat2, dir, address(path), address(&how), sizeof(how));
}
int64_t accept(const Descriptor& d, int flags) {
  return wait_or_hold(
      d,
      [&](io::Reactor& r, const io::Descriptor& h, const GuestTask* t) { return r.accept(h, flags, until_of(d, t)); },
      [&] {
        for (;;) {
          const int64_t r = held_call(SYS_accept4, d.host, 0, 0, flags);
          if (r != -EAGAIN || !d.listens || d.nonblocking) return r;
          // The host's socket does not wait, for the sake of others that accept from it. The guest does.
          pollfd one{d.host, POLLIN, 0};
          if (const int64_t polled = held_call(SYS_ppoll, address(&one), 1, 0, 0, 0); polled < 0) return polled;
        }
      });
}
int64_t recvmsg(const Descriptor& d, msghdr& message, int flags) {
  return wait_or_hold(
      d,
      [&](io::Reactor& r, const io::Descriptor& h, const GuestTask* t) {
        const Until until = (flags & MSG_DONTWAIT) != 0 ? Until::now() : until_of(d, t);
        return r.receive(h, message, flags & ~MSG_DONTWAIT, until);
      },
      [&] { return held_call(SYS_recvmsg, d.host, address(&message), flags); });
}
int64_t sendmsg(const Descriptor& d, const msghdr& message, int flags) {
  return wait_or_hold(
      d,
      [&](io::Reactor& r, const io::Descriptor& h, const GuestTask* t) {
        const Until until = (flags & MSG_DONTWAIT) != 0 ? Until::now() : until_of(d, t);
        return r.send(h, message, flags & ~MSG_DONTWAIT, until);
      },
      [&] {
        if (message.msg_iovlen == 1 && message.msg_name == nullptr && message.msg_control == nullptr) {
          const iovec& one = *message.msg_iov;
          return vm::stoppable_call(SYS_sendto, d.host, address(one.iov_base), static_cast<long>(one.iov_len), flags,
                                    0);
        }
        return held_call(SYS_sendmsg, d.host, address(&message), flags);
      });
}
int64_t poll(std::span<pollfd> fds, std::span<const Descriptor* const> descriptors, const timespec* timeout) {
  if (const GuestTask* task = suspended_task()) {
    std::vector<Handle> handles(descriptors.size());
    for (size_t i = 0; i < descriptors.size(); ++i) {
      if (const int64_t error = handles[i].prepare(*descriptors[i], *task); error != 0) return error;
    }
    Until until = patience(task);
    if (timeout != nullptr) {
      const auto now = sched::Clock::now();
      const auto rest = sched::Clock::time_point::max() - now;
      const auto time = deadline_of(*timeout).time_since_epoch();
      const auto end = time < rest ? now + time : sched::Clock::time_point::max();
      until = until.by(time.count() == 0 ? 0 : sched::nanos(end));
    }
    return suspended_poll(fds, handles, until);
  }
  timespec left = timeout != nullptr ? *timeout : timespec{};  // the system changes it
  return unless_ended([&] {
    return held_call(SYS_ppoll, address(fds.data()), fds.size(), timeout != nullptr ? address(&left) : 0, 0, 0);
  });
}
int64_t sleep_until(clockid_t clock, const timespec& when) {
  if (!sched::on_task()) {
    return unless_ended([&] { return held_call(SYS_clock_nanosleep, clock, TIMER_ABSTIME, address(&when)); });
  }
  const auto end = deadline_of(when);
  for (;;) {
    timespec time;
    ::clock_gettime(clock, &time);
    const auto now = deadline_of(time);
    if (now >= end) return 0;
    // The realtime clock may be set meanwhile, so it is looked at now and then.
    auto rest = end - now;
    if (clock == CLOCK_REALTIME) rest = std::min<decltype(rest)>(rest, std::chrono::seconds(1));
    const auto start = sched::Clock::now();
    const auto deadline =
        rest < sched::Clock::time_point::max() - start ? start + rest : sched::Clock::time_point::max();
    if (io::Waiter(patience(GuestTask::current(), sched::nanos(deadline))).wait() != sched::Wake::TimedOut)
      return waited(-ECANCELED);
  }
}
int64_t getrandom(void* buffer, size_t length) {
  // Waits for nothing but the first seed after the machine's start.
  return vm::stoppable_call(SYS_getrandom, address(buffer), static_cast<long>(length), 0);
}
bool between_pieces() {
  if (sched::on_task() && sched::preempt_requested() && sched::preempted() != sched::CancelReason::None) {
    waited(-ECANCELED);
  }
  return vm::guest_interrupted();
}
int64_t getdents64(int fd, void* buffer, size_t length) {
  return held_call(SYS_getdents64, fd, address(buffer), static_cast<long>(length));
}
int64_t take_turn(sched::Mutex& turn) {
  if (turn.try_lock()) return 0;
  // An interrupt does not end the wait for a mutex by itself, as a cancellation does.
  constexpr auto kLook = std::chrono::milliseconds(50);
  const GuestTask* task = GuestTask::current();
  for (;;) {
    const sched::Wake how = turn.lock_until(sched::nanos(sched::Clock::now() + kLook));
    if (how == sched::Wake::Unparked) return 0;
    if (how == sched::Wake::Cancelled ||
        (task != nullptr ? task->interrupted().load() != 0 : vm::guest_interrupted())) {
      return waited(-ECANCELED);
    }
  }
}
void yield() {
  if (!sched::on_task()) {
    ::sched_yield();
  } else if (sched::yield() != sched::CancelReason::None) {
    waited(-ECANCELED);
  }
}

}  // namespace blocking
}  // namespace vmrun::wasi
