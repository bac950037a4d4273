// Every system call of io/, in raw form: the result, or a negated errno value. `errno` is a thread-local variable and a
// task may go on on another thread after a suspension, so nobody else in this folder looks at it.
//
// This is also the seam where tests put faults: an injector sees each call first and may answer in its stead or shorten
// a transfer. Without one, a call costs one relaxed load more.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "sched/futex.h"

struct io_uring;
struct io_uring_sqe;

namespace vmrun::io::sys {

/// One row for each call that may fail.
#define VMRUN_IO_CALLS(X) \
  X(Describe)             \
  X(SetNonblocking)       \
  X(Duplicate)            \
  X(Close)                \
  X(Read)                 \
  X(Write)                \
  X(ReadNow)              \
  X(WriteNow)             \
  X(ReadAt)               \
  X(ReadAtNow)            \
  X(WriteAt)              \
  X(Sync)                 \
  X(Receive)              \
  X(Send)                 \
  X(Accept)               \
  X(Connect)              \
  X(SocketError)          \
  X(Poll)                 \
  X(EpollCreate)          \
  X(EpollAdd)             \
  X(EpollRemove)          \
  X(EpollWait)            \
  X(EventCreate)          \
  X(EventSignal)          \
  X(TimerCreate)          \
  X(TimerSet)             \
  X(SignalCreate)         \
  X(Thread)               \
  X(RingSetup)            \
  X(RingSlot)             \
  X(RingSubmit)

enum class Call : uint8_t {
#define X(name) name,
  VMRUN_IO_CALLS(X)
#undef X
};

/// What an injector says of a call.
struct Fault {
  bool instead = false;       ///< the call is not made; `result` is what it gives
  int64_t result = 0;         ///< a negated errno value, usually
  size_t at_most = SIZE_MAX;  ///< bytes that a transfer is offered
};
/// Sees each call before it is made; any thread. `fd` is -1 where there is none.
using Injector = Fault (*)(Call call, int fd) noexcept;
/// Null: no faults.
void set_injector(Injector injector) noexcept;
/// What it was set to.
extern std::atomic<Injector> the_injector;
/// For calls that are not in this file (starting a thread): 0, or the negated errno value to fail with.
int64_t injected(Call call) noexcept;

/// What is behind a descriptor.
enum class Kind : uint8_t {
  File,    ///< a file, a directory or a block device: always ready
  Pipe,    ///< a pipe or FIFO
  Stream,  ///< a connected or listening stream socket of TCP
  Socket,  ///< any other socket
  Other,   ///< a terminal or another device, an eventfd, a signalfd
};
/// Which file a descriptor is of. Every pipe and socket is a file of its own.
struct FileId {
  uint64_t device = 0, number = 0;
  bool operator==(const FileId&) const = default;
};
/// The descriptor's Kind; `file`, if given, is filled in.
int64_t describe(int fd, FileId* file = nullptr) noexcept;
/// Sets O_NONBLOCK on the open file, which every descriptor that shares it sees.
int64_t set_nonblocking(int fd) noexcept;
/// Another number for the same open file, close-on-exec.
int64_t duplicate(int fd) noexcept;
int64_t close(int fd) noexcept;

/// At the file's own position; may wait, unless the open file is non-blocking.
int64_t readv(int fd, const iovec* iov, int count) noexcept;
/// `quiet`: fails instead of raising SIGPIPE or SIGXFSZ in this process.
int64_t writev(int fd, const iovec* iov, int count, bool quiet) noexcept;
/// Without waiting, whatever the open file's flags: -EAGAIN, or -EOPNOTSUPP where the kernel cannot.
int64_t readv_now(int fd, const iovec* iov, int count) noexcept;
int64_t writev_now(int fd, const iovec* iov, int count, bool quiet) noexcept;
int64_t preadv(int fd, const iovec* iov, int count, int64_t offset) noexcept;
/// Only what is in memory: -EAGAIN when nothing is.
int64_t preadv_now(int fd, const iovec* iov, int count, int64_t offset) noexcept;
int64_t pwritev(int fd, const iovec* iov, int count, int64_t offset, bool quiet) noexcept;
int64_t fsync(int fd, bool data_only) noexcept;

/// Neither waits nor raises SIGPIPE.
int64_t receive(int fd, msghdr& message, int flags) noexcept;
int64_t send(int fd, const msghdr& message, int flags) noexcept;
/// As accept4.
int64_t accept(int fd, sockaddr* address, socklen_t* length, int flags) noexcept;
int64_t connect(int fd, const sockaddr* address, socklen_t length) noexcept;
/// Takes the socket's pending error: 0 or a negated errno value.
int64_t socket_error(int fd) noexcept;

/// Waits until `deadline` at most (0: does not wait). Returns how many are ready.
int64_t poll(pollfd* fds, size_t count, sched::Nanos deadline) noexcept;

int64_t epoll_create() noexcept;
int64_t epoll_add(int epoll, int fd, uint32_t events, uint64_t data) noexcept;
int64_t epoll_remove(int epoll, int fd) noexcept;
/// Waits `timeout` nanoseconds at most (`never`: without end). -ENOSYS where the kernel knows no such fine timeout.
int64_t epoll_wait(int epoll, epoll_event* events, int count, sched::Nanos timeout) noexcept;
/// An eventfd that does not block.
int64_t event_create() noexcept;
/// Adds one.
int64_t event_signal(int fd) noexcept;
/// A timerfd of the monotonic clock.
int64_t timer_create() noexcept;
int64_t timer_set(int fd, sched::Nanos deadline) noexcept;
/// A signalfd that does not block.
int64_t signal_create(const sigset_t& signals) noexcept;

/// A ring with room for `entries`.
int64_t ring_setup(io_uring& ring, unsigned entries) noexcept;
/// A free submission entry, or null when the ring is full.
io_uring_sqe* ring_slot(io_uring& ring) noexcept;
/// Hands what was put in to the kernel: how many entries it took.
int64_t ring_submit(io_uring& ring) noexcept;

}  // namespace vmrun::io::sys
