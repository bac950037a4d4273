// Reading and writing what may have to be waited for, and the calls for sockets.
#include <poll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "io/iov.h"
#include "io/quick_x86_64.h"
#include "io/reactor.h"
#include "io/region.h"
#include "io/retry.h"
#include "io/use.h"

namespace vmrun::io {

using sys::Kind;

namespace {

/// Waits of connect for a local listener whose queue is full: no event tells when it has room.
constexpr Nanos connect_again = 1'000'000;

bool is_ready(int fd, short events) noexcept {
  pollfd one{fd, events, 0};
  int64_t r;
  do {
    r = sys::poll(&one, 1, 0);
  } while (r == -EINTR);
  return r > 0;
}

/// `message` with what is left of its buffers.
msghdr part_of(const msghdr& message, Iov& left) noexcept {
  msghdr part = message;
  part.msg_iov = left.data();
  part.msg_iovlen = static_cast<size_t>(left.count());
  return part;
}

/// What says that the process or the system has no room for a further descriptor.
bool is_shortage(int64_t r) noexcept { return r == -EMFILE || r == -ENFILE || r == -ENOBUFS || r == -ENOMEM; }

/// Errors of a connection that died in the listener's queue: the next one is taken instead.
bool is_of_connection(int64_t r) noexcept {
  for (const int error : {ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, ENETUNREACH}) {
    if (r == -error) return true;
  }
  return false;
}

}  // namespace

// Never waits, except where a descriptor that is ready is emptied by somebody else in between.
[[gnu::always_inline]] inline int64_t Reactor::try_read(Cell& cell, const iovec* iov, int count) noexcept {
  if (cell.kind == Kind::Stream || cell.kind == Kind::Socket) return sys::quick_receive(cell.fd, iov, count);
  if (cell.owned) return sys::quick_readv(cell.fd, iov, count);
  if (!cell.no_now.load(std::memory_order_relaxed)) {
    const int64_t r = sys::readv_now(cell.fd, iov, count);
    if (r != -EOPNOTSUPP) return r;
    cell.no_now.store(true, std::memory_order_relaxed);
  }
  if (!is_ready(cell.fd, POLLIN)) return -EAGAIN;
  Region region;
  return sys::readv(cell.fd, iov, count);
}

[[gnu::always_inline]] inline int64_t Reactor::try_write(Cell& cell, const iovec* iov, int count) noexcept {
  if (cell.kind == Kind::Stream || cell.kind == Kind::Socket) return sys::quick_send(cell.fd, iov, count);
  if (cell.owned) return sys::writev(cell.fd, iov, count, cell.quiet);
  if (!cell.no_now.load(std::memory_order_relaxed)) {
    const int64_t r = sys::writev_now(cell.fd, iov, count, cell.quiet);
    if (r != -EOPNOTSUPP) return r;
    cell.no_now.store(true, std::memory_order_relaxed);
  }
  if (!is_ready(cell.fd, POLLOUT)) return -EAGAIN;
  // What is ready takes so many bytes without waiting.
  Iov few(iov, count);
  few.shorten(PIPE_BUF);
  Region region;
  return sys::writev(cell.fd, few.data(), few.count(), cell.quiet);
}

int64_t Reactor::readv(const Descriptor& d, const iovec* iov, int count, const Until& until) noexcept {
  if (d.cell_->kind == Kind::File) return read_file(*d.cell_, iov, count, until);
  Use use(d, Call::Read);
  if (!use) return -EBADF;
  Cell& cell = use.cell();
  return retry(cell, Direction::Read, size_of(iov, count), until, [&] { return try_read(cell, iov, count); });
}

int64_t Reactor::writev(const Descriptor& d, const iovec* iov, int count, const Until& until) noexcept {
  Use use(d, Call::Write);
  if (!use) return -EBADF;
  Cell& cell = use.cell();
  if (cell.kind == Kind::File) return write_file(cell, iov, count, -1, until);
  Iov left(iov, count);
  if (!left) return -ENOMEM;
  return in_parts(left, [&](int64_t) {
    return retry(cell, Direction::Write, 0, until, [&] { return try_write(cell, left.data(), left.count()); });
  });
}

int64_t Reactor::read(const Descriptor& d, void* buffer, size_t size, const Until& until) noexcept {
  const iovec one{buffer, size};
  return readv(d, &one, 1, until);
}

int64_t Reactor::write(const Descriptor& d, const void* data, size_t size, const Until& until) noexcept {
  const iovec one{const_cast<void*>(data), size};
  return writev(d, &one, 1, until);
}

int64_t Reactor::receive(const Descriptor& d, msghdr& message, int flags, const Until& until) noexcept {
  Use use(d, Call::Receive);
  if (!use) return -EBADF;
  Cell& cell = use.cell();
  const bool all = (flags & MSG_WAITALL) != 0 && cell.kind == Kind::Stream && (flags & MSG_PEEK) == 0;
  const auto count = static_cast<int>(message.msg_iovlen);
  const size_t wanted = (flags & (MSG_PEEK | MSG_OOB)) != 0 ? 0 : size_of(message.msg_iov, count);
  if (!all) return retry(cell, Direction::Read, wanted, until, [&] { return sys::receive(cell.fd, message, flags); });
  Iov left(message.msg_iov, count);
  if (!left) return -ENOMEM;
  return in_parts(left, [&](int64_t) {
    msghdr part = part_of(message, left);
    const int64_t r = retry(cell, Direction::Read, size_of(left.data(), left.count()), until,
                            [&] { return sys::receive(cell.fd, part, flags & ~MSG_WAITALL); });
    if (r >= 0) message.msg_flags = part.msg_flags;
    return r;
  });
}

int64_t Reactor::send(const Descriptor& d, const msghdr& message, int flags, const Until& until) noexcept {
  Use use(d, Call::Send);
  if (!use) return -EBADF;
  Cell& cell = use.cell();
  const auto count = static_cast<int>(message.msg_iovlen);
  if (cell.kind != Kind::Stream || message.msg_control != nullptr) {
    // A message goes as a whole, or not at all.
    return retry(cell, Direction::Write, 0, until, [&] { return sys::send(cell.fd, message, flags); });
  }
  Iov left(message.msg_iov, count);
  if (!left) return -ENOMEM;
  return in_parts(left, [&](int64_t) {
    const msghdr part = part_of(message, left);
    return retry(cell, Direction::Write, 0, until, [&] { return sys::send(cell.fd, part, flags); });
  });
}

int64_t Reactor::accept(const Descriptor& d, int flags, const Until& until, sockaddr* address,
                        socklen_t* length) noexcept {
  Use use(d, Call::Accept);
  if (!use) return -EBADF;
  Cell& cell = use.cell();
  const int64_t r = retry(cell, Direction::Read, 0, until, [&]() -> int64_t {
    for (;;) {
      int64_t taken;
      if (cell.owned) {
        taken = sys::accept(cell.fd, address, length, flags | SOCK_CLOEXEC);
      } else if (is_ready(cell.fd, POLLIN)) {
        Region region;
        taken = sys::accept(cell.fd, address, length, flags | SOCK_CLOEXEC);
      } else {
        return -EAGAIN;
      }
      if (!is_of_connection(taken)) return taken;
    }
  });
  if (is_shortage(r) && until.deadline != 0) {
    // The connection stays in the queue, so the next call meets it again at once.
    const Nanos soon = sched::now() + options_.accept_pause;
    const int64_t slept = sleep(until.by(std::min(soon, until.deadline)));
    if (slept < 0) return slept;
  }
  return r;
}

int64_t Reactor::connect(const Descriptor& d, const sockaddr* address, socklen_t length, const Until& until) noexcept {
  Use use(d, Call::Connect);
  if (!use) return -EBADF;
  Cell& cell = use.cell();
  if (!cell.owned) {
    Region region;
    return sys::connect(cell.fd, address, length);
  }
  const uint64_t tick = cell.side(Direction::Write).tick.load(std::memory_order_acquire);
  int64_t r;
  while ((r = sys::connect(cell.fd, address, length)) == -EAGAIN) {
    const Nanos soon = sched::now() + connect_again;
    if (until.deadline < soon) return until.deadline == 0 ? -EAGAIN : -ETIMEDOUT;
    if (const int64_t slept = sleep(until.by(soon)); slept < 0) return slept;
  }
  // Interrupted, the attempt goes on as if it had not been waited for.
  if (r != -EINPROGRESS && r != -EINTR) return r;
  if (until.deadline == 0) return -EINPROGRESS;
  for (uint64_t seen = tick; !is_ready(cell.fd, POLLOUT);) {
    if (const int64_t waited = wait_for_event(cell, Direction::Write, seen, false, until); waited < 0) return waited;
    seen = cell.side(Direction::Write).tick.load(std::memory_order_acquire);
  }
  return sys::socket_error(cell.fd);
}

int64_t Reactor::post(const Descriptor& event) noexcept {
  Use use(event, Call::Write);
  if (!use) return -EBADF;
  int64_t r;
  do {
    r = sys::event_signal(use.cell().fd);
  } while (r == -EINTR);
  return r < 0 && r != -EAGAIN ? r : 0;  // -EAGAIN: it has been posted 2^64 - 2 times, and is readable
}

int64_t Reactor::take_signal(const Descriptor& signals, const Until& until) noexcept {
  signalfd_siginfo info;
  const int64_t r = read(signals, &info, sizeof info, until);
  if (r < 0) return r;
  return r == static_cast<int64_t>(sizeof info) ? static_cast<int64_t>(info.ssi_signo) : -EIO;
}

}  // namespace vmrun::io
