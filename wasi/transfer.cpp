// Reading and writing as a guest's descriptor wants it; see transfer.h.
#include "wasi/transfer.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "wasi/blocking.h"

namespace vmrun::wasi {
namespace {

constexpr int kNoWait = 0x8;      // RWF_NOWAIT
constexpr int kNoSignal = 0x100;  // RWF_NOSIGNAL, Linux 6.18: -EPIPE without SIGPIPE

/// Whether the kernel knows kNoSignal. It says so only when something is really written.
bool kernel_has_no_signal() {
  static const bool has = [] {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
    HostFd reader(ends[0]), writer(ends[1]);
    char byte = 0;
    iovec one{&byte, 1};
    return raw([&] { return ::pwritev2(writer.get(), &one, 1, -1, kNoSignal); }) == 1;
  }();
  return has;
}

/// The signals that a write may raise.
sigset_t signals_of_writes() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  sigaddset(&set, SIGXFSZ);
  return set;
}

/// Neither waits nor has a peer that may be gone: opening it in either mode makes no difference.
bool is_file(const Descriptor& d) { return d.type == FileType::RegularFile || d.type == FileType::BlockDevice; }

/// A pipe, as far as its type tells: WASI has none for it.
bool may_be_pipe(const Descriptor& d) { return d.type == FileType::Unknown; }

msghdr message_of(iovec* iov, int count) {
  msghdr message{};
  message.msg_iov = iov;
  message.msg_iovlen = static_cast<size_t>(count);
  return message;
}

/// Shortens `iov` to `most` bytes.
int shorten(iovec* iov, int count, size_t most) {
  for (int i = 0; i < count; ++i) {
    iov[i].iov_len = std::min(iov[i].iov_len, most);
    most -= iov[i].iov_len;
    if (most == 0) return i + 1;
  }
  return count;
}

/// Writes to what may be a pipe whose reader is gone.
int64_t write_quietly(const Descriptor& d, const iovec* iov, int count) {
  if (kernel_has_no_signal()) {
    int64_t r = blocking::writev2(d, iov, count, kNoSignal);
    if (r != -EOPNOTSUPP) return r;
  }
  SignalShield shield;
  int64_t r = blocking::writev(d, iov, count);
  shield.settle();  // in any case: what was written before the reader went away is the result, and the signal comes too
  return r;
}

int64_t write_without_waiting(const Descriptor& d, iovec* iov, int count) {
  const bool quietly = may_be_pipe(d) && !d.raises;
  if (!quietly || kernel_has_no_signal()) {
    const int flags = kNoWait | (quietly ? kNoSignal : 0);
    int64_t r = raw([&] { return ::pwritev2(d.host, iov, count, -1, flags); });
    if (r != -EOPNOTSUPP) return r;
  }
  // What the kernel cannot do at once is asked for first. A pipe that is ready takes so many bytes without waiting.
  if (!is_ready(d.host, POLLOUT)) return -EAGAIN;
  count = shorten(iov, count, PIPE_BUF);
  return quietly ? write_quietly(d, iov, count) : blocking::writev(d, iov, count);
}

int64_t read_without_waiting(const Descriptor& d, const iovec* iov, int count) {
  int64_t r = raw([&] { return ::preadv2(d.host, iov, count, -1, kNoWait); });
  if (r != -EOPNOTSUPP) return r;
  return is_ready(d.host, POLLIN) ? blocking::readv(d, iov, count) : -EAGAIN;
}

/// What the system itself transfers at most in one call.
constexpr size_t kMostBytes = 0x7ffff000;

/// Makes `call(iov, count, bytes done before)` once, or several times with at most kPiece bytes each. A call that does less
/// than it could is the last one.
template <class Call>
int64_t in_pieces(iovec* iov, int count, Call call) {
  count = shorten(iov, count, kMostBytes);
  for (int64_t done = 0;;) {
    size_t left = kPiece;
    int whole = 0;  // buffers that the piece has all of
    while (whole < count && iov[whole].iov_len <= left) left -= iov[whole++].iov_len;
    const bool last = whole == count;
    const size_t rest = last ? 0 : iov[whole].iov_len - left;
    if (!last) iov[whole].iov_len = left;
    const int64_t r = call(iov, last || left == 0 ? whole : whole + 1, done);
    if (r < 0) return done != 0 ? done : r;
    done += r;
    if (last || r != static_cast<int64_t>(kPiece)) return done;
    iov += whole;
    count -= whole;
    *iov = {static_cast<std::byte*>(iov->iov_base) + left, rest};
  }
}

int64_t read_stream(Stream& stream, const iovec* iov, int count) {
  if (stream.bytes == nullptr) return 0;
  size_t wanted = 0;
  for (int i = 0; i < count; ++i) wanted += iov[i].iov_len;
  size_t before = stream.read.load(std::memory_order_relaxed), after;
  do {
    after = before + std::min(wanted, stream.bytes->size() - before);
  } while (!stream.read.compare_exchange_weak(before, after, std::memory_order_relaxed));
  for (size_t at = before; at != after; ++iov) {
    at += stream.bytes->copy(static_cast<char*>(iov->iov_base), std::min(iov->iov_len, after - at), at);
  }
  return static_cast<int64_t>(after - before);
}

int64_t give_to_sink(const Stream& stream, const iovec* iov, int count) {
  int64_t written = 0;
  for (int i = 0; i < count; ++i) {
    if (iov[i].iov_len == 0) continue;
    if (stream.sink && !stream.sink({static_cast<const char*>(iov[i].iov_base), iov[i].iov_len})) {
      return written != 0 ? written : -EPIPE;
    }
    written += static_cast<int64_t>(iov[i].iov_len);
  }
  return written;
}

int64_t write_stream(const Descriptor& d, const iovec* iov, int count) {
  Stream& stream = *d.stream;
  if (!d.sharing.on) return blocking::waited(give_to_sink(stream, iov, count));
  // A sink may wait, for which the next one waits too. What ends a program's threads ends both waits.
  if (stream.writing.lock_until(sched::never) != sched::Wake::Unparked) return blocking::waited(-ECANCELED);
  const int64_t written = give_to_sink(stream, iov, count);
  stream.writing.unlock();
  return blocking::waited(written);
}

}  // namespace

SignalShield::SignalShield() : ours_(signals_of_writes()) {
  ::pthread_sigmask(SIG_BLOCK, &ours_, &before_);
  for (int signal : {SIGPIPE, SIGXFSZ}) {
    if (!sigismember(&before_, signal)) continue;  // not blocked until now, so none is pending
    sigset_t pending;
    ::sigpending(&pending);
    if (sigismember(&pending, signal)) sigdelset(&ours_, signal);
  }
}

SignalShield::~SignalShield() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

void SignalShield::settle() {
  const timespec at_once{};
  while (raw([&] { return ::sigtimedwait(&ours_, nullptr, &at_once); }) != -EAGAIN) {
  }
}

bool is_ready(int fd, short events) {
  pollfd one{fd, events, 0};
  return raw([&] { return ::poll(&one, 1, 0); }) > 0;
}

int64_t read_from(const Descriptor& d, iovec* iov, int count) {
  if (d.stream != nullptr) return read_stream(*d.stream, iov, shorten(iov, count, kMostBytes));
  if (is_file(d)) [[likely]]
    return in_pieces(iov, count, [&](iovec* v, int n, int64_t) { return blocking::readv(d, v, n); });
  if (!d.nonblocking || blocking::suspends()) return blocking::readv(d, iov, count);
  if (!d.is_socket()) return read_without_waiting(d, iov, count);
  msghdr message = message_of(iov, count);
  return blocking::recvmsg(d, message, MSG_DONTWAIT);
}

namespace {

int64_t write_now(const Context& cx, const Descriptor& d, iovec* iov, int count) {
  if (d.stream != nullptr) return write_stream(d, iov, shorten(iov, count, kMostBytes));
  if (d.is_socket()) {
    return blocking::sendmsg(d, message_of(iov, count),
                             (d.raises ? 0 : MSG_NOSIGNAL) | (d.nonblocking ? MSG_DONTWAIT : 0));
  }
  if (is_file(d)) {
    return in_pieces(iov, count, [&](iovec* v, int n, int64_t) {
      if (blocking::suspends()) return blocking::writev(d, v, n);
      return growing(cx, d, [&] { return blocking::writev(d, v, n); });
    });
  }
  if (blocking::suspends()) return blocking::writev(d, iov, count);
  if (d.nonblocking) return write_without_waiting(d, iov, count);
  if (may_be_pipe(d) && !d.raises) return write_quietly(d, iov, count);
  return blocking::writev(d, iov, count);
}

}  // namespace

int64_t write_to(const Context& cx, const Descriptor& d, iovec* iov, int count) {
  if (d.turn == nullptr) [[likely]]
    return write_now(cx, d, iov, count);
  if (const int64_t error = blocking::take_turn(d.turn->mutex); error != 0) return error;
  const int64_t r = write_now(cx, d, iov, count);
  d.turn->mutex.unlock();
  return r;
}

int64_t read_from_at(const Descriptor& d, iovec* iov, int count, int64_t offset) {
  return in_pieces(iov, count, [&](iovec* v, int n, int64_t done) { return blocking::preadv(d, v, n, offset + done); });
}

int64_t write_to_at(const Context& cx, const Descriptor& d, iovec* iov, int count, int64_t offset) {
  return in_pieces(iov, count, [&](iovec* v, int n, int64_t done) {
    if (blocking::suspends()) return blocking::pwritev(d, v, n, offset + done);
    return growing(cx, d, [&] { return blocking::pwritev(d, v, n, offset + done); });
  });
}

}  // namespace vmrun::wasi
