// io/sys.h on Linux.
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "io/sys.h"

namespace vmrun::io::sys {

constinit std::atomic<Injector> the_injector{nullptr};

namespace {

using sched::Nanos;
using sched::never;

constexpr int no_wait = 0x8;      // RWF_NOWAIT
constexpr int no_signal = 0x100;  // RWF_NOSIGNAL, Linux 6.18: -EPIPE without SIGPIPE
constexpr int64_t own_position = -1;

Fault ask(Call call, int fd) noexcept {
  const Injector injector = the_injector.load(std::memory_order_relaxed);
  return injector == nullptr ? Fault{} : injector(call, fd);
}

template <class F>
int64_t make(Call call, int fd, F f) noexcept {
  if (const Fault fault = ask(call, fd); fault.instead) [[unlikely]]
    return fault.result;
  const auto r = f();
  return r < 0 ? -static_cast<int64_t>(errno) : static_cast<int64_t>(r);
}

/// A transfer, which an injector may also shorten.
template <class F>
int64_t transfer(Call call, int fd, const iovec* iov, int count, F f) noexcept {
  const Fault fault = ask(call, fd);
  if (fault.instead) [[unlikely]]
    return fault.result;
  iovec less;
  if (fault.at_most != SIZE_MAX && count > 0) [[unlikely]] {
    less = {iov->iov_base, std::min(iov->iov_len, fault.at_most)};
    iov = &less;
    count = 1;
  }
  const auto r = f(iov, count);
  return r < 0 ? -static_cast<int64_t>(errno) : static_cast<int64_t>(r);
}

// The transfers that are made most. In a process with threads each of the C library's takes some 30 ns more than the system
// call: they are points where pthread_cancel ends a thread, which nobody does here. The thread sanitizer knows the library's.
#if defined(__has_feature) && __has_feature(thread_sanitizer)
ssize_t read_one(int fd, const iovec& one) { return ::read(fd, one.iov_base, one.iov_len); }
ssize_t write_one(int fd, const iovec& one) { return ::write(fd, one.iov_base, one.iov_len); }
ssize_t read_one_at(int fd, const iovec& one, int64_t at) { return ::pread(fd, one.iov_base, one.iov_len, at); }
ssize_t receive_one(int fd, const iovec& one, int flags) { return ::recv(fd, one.iov_base, one.iov_len, flags); }
ssize_t send_one(int fd, const iovec& one, int flags) { return ::send(fd, one.iov_base, one.iov_len, flags); }
#else
ssize_t read_one(int fd, const iovec& one) { return ::syscall(SYS_read, fd, one.iov_base, one.iov_len); }
ssize_t write_one(int fd, const iovec& one) { return ::syscall(SYS_write, fd, one.iov_base, one.iov_len); }
ssize_t read_one_at(int fd, const iovec& one, int64_t at) {
  static_assert(sizeof(long) == 8, "an offset is one argument");
  return ::syscall(SYS_pread64, fd, one.iov_base, one.iov_len, at);
}
ssize_t receive_one(int fd, const iovec& one, int flags) {
  return ::syscall(SYS_recvfrom, fd, one.iov_base, one.iov_len, flags, nullptr, nullptr);
}
ssize_t send_one(int fd, const iovec& one, int flags) {
  return ::syscall(SYS_sendto, fd, one.iov_base, one.iov_len, flags, nullptr, 0);
}
#endif

timespec timespec_of(Nanos t) { return {t / 1'000'000'000, t % 1'000'000'000}; }

/// Keeps the SIGPIPE and SIGXFSZ of a system call from the process: blocks them on this thread while it lives and takes
/// back the one that came. One that was pending before stays pending.
class SignalShield {
 public:
  SignalShield() {
    sigset_t pending;
    sigemptyset(&ours_);
    sigpending(&pending);
    for (const int signal : {SIGPIPE, SIGXFSZ}) {
      if (sigismember(&pending, signal) == 0) sigaddset(&ours_, signal);
    }
    pthread_sigmask(SIG_BLOCK, &ours_, &before_);
  }
  ~SignalShield() {
    const int error = errno;
    const timespec none{};
    while (sigtimedwait(&ours_, nullptr, &none) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = error;
  }
  SignalShield(const SignalShield&) = delete;
  SignalShield& operator=(const SignalShield&) = delete;

 private:
  sigset_t before_, ours_;
};

/// Whether files of this process have a largest size, beyond which a write raises SIGXFSZ.
bool files_limited() {
  static const bool limited = [] {
    rlimit limit{};
    return ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  }();
  return limited;
}

/// Whether the kernel knows no_signal. It says so only when something is really written.
bool knows_no_signal() {
  static const bool known = [] {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
    char byte = 0;
    const iovec one{&byte, 1};
    const bool written = ::pwritev2(ends[1], &one, 1, own_position, no_signal) == 1;
    ::close(ends[0]);
    ::close(ends[1]);
    return written;
  }();
  return known;
}

/// A write at a position or the own one, that raises no signal.
ssize_t write_quietly(int fd, const iovec* iov, int count, int64_t offset, int flags) {
  const bool may_raise_size = files_limited();
  if (!may_raise_size) {
    if (offset >= 0) return ::pwritev2(fd, iov, count, offset, flags);  // a file: there is no SIGPIPE
    if (knows_no_signal()) {
      const ssize_t r = ::pwritev2(fd, iov, count, offset, flags | no_signal);
      if (r >= 0 || errno != EOPNOTSUPP || flags != 0) return r;
    }
  }
  SignalShield shield;
  return ::pwritev2(fd, iov, count, offset, flags);
}

}  // namespace

void set_injector(Injector injector) noexcept { the_injector.store(injector, std::memory_order_relaxed); }

int64_t injected(Call call) noexcept {
  const Fault fault = ask(call, -1);
  return fault.instead ? fault.result : 0;
}

int64_t describe(int fd, FileId* file) noexcept {
  return make(Call::Describe, fd, [&] {
    struct stat st{};
    if (::fstat(fd, &st) != 0) return -1;
    if (file != nullptr) *file = {st.st_dev, st.st_ino};
    Kind kind = Kind::Other;
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode)) {
      kind = Kind::File;
    } else if (S_ISFIFO(st.st_mode)) {
      // A pipe of packets (O_DIRECT) gives one at a time: a short read says nothing there.
      const int flags = ::fcntl(fd, F_GETFL);
      kind = flags >= 0 && (flags & O_DIRECT) != 0 ? Kind::Other : Kind::Pipe;
    } else if (S_ISSOCK(st.st_mode)) {
      int type = 0, domain = 0;
      socklen_t length = sizeof type;
      kind = Kind::Socket;
      if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM &&
          ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && (domain == AF_INET || domain == AF_INET6)) {
        kind = Kind::Stream;
      }
    }
    return static_cast<int>(kind);
  });
}

int64_t set_nonblocking(int fd) noexcept {
  return make(Call::SetNonblocking, fd, [&] {
    const int flags = ::fcntl(fd, F_GETFL);
    return flags < 0 || (flags & O_NONBLOCK) != 0 ? std::min(flags, 0) : ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  });
}

int64_t duplicate(int fd) noexcept {
  return make(Call::Duplicate, fd, [&] { return ::fcntl(fd, F_DUPFD_CLOEXEC, 0); });
}

// Linux frees the number even when close reports an error: an injected one is reported after the close.
int64_t close(int fd) noexcept {
  const int64_t r = ::close(fd) < 0 ? -static_cast<int64_t>(errno) : 0;
  const Fault fault = ask(Call::Close, fd);
  return fault.instead ? fault.result : r;
}

int64_t readv(int fd, const iovec* iov, int count) noexcept {
  return transfer(Call::Read, fd, iov, count,
                  [&](const iovec* v, int n) { return n == 1 ? read_one(fd, *v) : ::readv(fd, v, n); });
}
int64_t writev(int fd, const iovec* iov, int count, bool quiet) noexcept {
  return transfer(Call::Write, fd, iov, count, [&](const iovec* v, int n) {
    if (quiet) return write_quietly(fd, v, n, own_position, 0);
    return n == 1 ? write_one(fd, *v) : ::writev(fd, v, n);
  });
}
int64_t readv_now(int fd, const iovec* iov, int count) noexcept {
  return transfer(Call::ReadNow, fd, iov, count,
                  [&](const iovec* v, int n) { return ::preadv2(fd, v, n, own_position, no_wait); });
}
int64_t writev_now(int fd, const iovec* iov, int count, bool quiet) noexcept {
  return transfer(Call::WriteNow, fd, iov, count, [&](const iovec* v, int n) {
    return quiet ? write_quietly(fd, v, n, own_position, no_wait) : ::pwritev2(fd, v, n, own_position, no_wait);
  });
}
int64_t preadv(int fd, const iovec* iov, int count, int64_t offset) noexcept {
  return transfer(Call::ReadAt, fd, iov, count, [&](const iovec* v, int n) {
    return n == 1 ? read_one_at(fd, *v, offset) : ::preadv(fd, v, n, offset);
  });
}
int64_t preadv_now(int fd, const iovec* iov, int count, int64_t offset) noexcept {
  return transfer(Call::ReadAtNow, fd, iov, count,
                  [&](const iovec* v, int n) { return ::preadv2(fd, v, n, offset, no_wait); });
}
int64_t pwritev(int fd, const iovec* iov, int count, int64_t offset, bool quiet) noexcept {
  return transfer(Call::WriteAt, fd, iov, count, [&](const iovec* v, int n) {
    return quiet ? write_quietly(fd, v, n, offset, 0) : ::pwritev(fd, v, n, offset);
  });
}
int64_t fsync(int fd, bool data_only) noexcept {
  return make(Call::Sync, fd, [&] { return data_only ? ::fdatasync(fd) : ::fsync(fd); });
}

int64_t receive(int fd, msghdr& message, int flags) noexcept {
  return transfer(Call::Receive, fd, message.msg_iov, static_cast<int>(message.msg_iovlen),
                  [&](const iovec* v, int n) -> ssize_t {
                    if (n == 1 && message.msg_name == nullptr && message.msg_control == nullptr) {
                      message.msg_flags = 0;
                      return receive_one(fd, *v, flags | MSG_DONTWAIT);
                    }
                    msghdr whole = message;
                    whole.msg_iov = const_cast<iovec*>(v);
                    whole.msg_iovlen = static_cast<size_t>(n);
                    const ssize_t r = ::recvmsg(fd, &whole, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
                    message.msg_namelen = whole.msg_namelen;
                    message.msg_controllen = whole.msg_controllen;
                    message.msg_flags = whole.msg_flags;
                    return r;
                  });
}
int64_t send(int fd, const msghdr& message, int flags) noexcept {
  return transfer(Call::Send, fd, message.msg_iov, static_cast<int>(message.msg_iovlen),
                  [&](const iovec* v, int n) -> ssize_t {
                    if (n == 1 && message.msg_name == nullptr && message.msg_control == nullptr) {
                      return send_one(fd, *v, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
                    }
                    msghdr whole = message;
                    whole.msg_iov = const_cast<iovec*>(v);
                    whole.msg_iovlen = static_cast<size_t>(n);
                    return ::sendmsg(fd, &whole, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
                  });
}
int64_t accept(int fd, sockaddr* address, socklen_t* length, int flags) noexcept {
  return make(Call::Accept, fd, [&] { return ::accept4(fd, address, length, flags); });
}
int64_t connect(int fd, const sockaddr* address, socklen_t length) noexcept {
  return make(Call::Connect, fd, [&] { return ::connect(fd, address, length); });
}
int64_t socket_error(int fd) noexcept {
  int error = 0;
  socklen_t length = sizeof error;
  const int64_t r =
      make(Call::SocketError, fd, [&] { return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length); });
  return r < 0 ? r : -error;
}

int64_t poll(pollfd* fds, size_t count, Nanos deadline) noexcept {
  return make(Call::Poll, count != 0 ? fds[0].fd : -1, [&] {
    if (deadline == never) return ::ppoll(fds, count, nullptr, nullptr);
    const timespec left = timespec_of(deadline == 0 ? 0 : std::max<Nanos>(deadline - sched::now(), 0));
    return ::ppoll(fds, count, &left, nullptr);
  });
}

int64_t epoll_create() noexcept {
  return make(Call::EpollCreate, -1, [] { return ::epoll_create1(EPOLL_CLOEXEC); });
}
int64_t epoll_add(int epoll, int fd, uint32_t events, uint64_t data) noexcept {
  return make(Call::EpollAdd, fd, [&] {
    epoll_event event{};
    event.events = events;
    event.data.u64 = data;
    return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  });
}
int64_t epoll_remove(int epoll, int fd) noexcept {
  return make(Call::EpollRemove, fd, [&] { return ::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr); });
}
int64_t epoll_wait(int epoll, epoll_event* events, int count, Nanos timeout) noexcept {
  return make(Call::EpollWait, epoll, [&] {
    if (timeout == 0 || timeout == never) return ::epoll_wait(epoll, events, count, timeout == 0 ? 0 : -1);
    const timespec left = timespec_of(timeout);
    return ::epoll_pwait2(epoll, events, count, &left, nullptr);
  });
}
int64_t event_create() noexcept {
  return make(Call::EventCreate, -1, [] { return ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); });
}
int64_t event_signal(int fd) noexcept {
  return make(Call::EventSignal, fd, [&] {
    const uint64_t one = 1;
    return ::write(fd, &one, sizeof one);
  });
}
int64_t timer_create() noexcept {
  return make(Call::TimerCreate, -1, [] { return ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK); });
}
int64_t timer_set(int fd, Nanos deadline) noexcept {
  return make(Call::TimerSet, fd, [&] {
    itimerspec when{};
    when.it_value = timespec_of(deadline);
    return ::timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, nullptr);
  });
}
int64_t signal_create(const sigset_t& signals) noexcept {
  return make(Call::SignalCreate, -1, [&] { return ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK); });
}

int64_t ring_setup(io_uring& ring, unsigned entries) noexcept {
  if (const Fault fault = ask(Call::RingSetup, -1); fault.instead) return fault.result;
  io_uring_params params{};
  params.flags = IORING_SETUP_CLAMP;
  return ::io_uring_queue_init_params(entries, &ring, &params);
}
io_uring_sqe* ring_slot(io_uring& ring) noexcept {
  return ask(Call::RingSlot, -1).instead ? nullptr : ::io_uring_get_sqe(&ring);
}
int64_t ring_submit(io_uring& ring) noexcept {
  if (const Fault fault = ask(Call::RingSubmit, -1); fault.instead) return fault.result;
  return ::io_uring_submit(&ring);
}

}  // namespace vmrun::io::sys
