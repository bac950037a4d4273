// The seam between guests and calls that may block. Every system call of this folder that can wait for a device, a
// peer or a clock goes through one of these functions; today each is the system call and holds its thread
// (vm/runtime/stoppable.h). When guests run on fibers they suspend here, and nowhere else in this folder, so callers keep to
// these rules:
//   - no lock is held and no thread-local address (errno included) is kept across a call;
//   - buffers given stay valid and unmoved until it returns: guest memory (never moved) or the caller's frame;
//   - results are in raw form: >= 0, or a negated errno value. -EINTR comes when the guest is interrupted
//     (Store::interrupt), which then traps on the way back to it, and when a handler without SA_RESTART ran: the guest
//     gets errno `intr`. Neither is retried, and no later call of the same system call of a guest waits: it sees the
//     interrupt first.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include <cstddef>
#include <cstdint>

struct open_how;

namespace vmrun::wasi::blocking {

int64_t readv(int fd, const iovec* iov, int count);
int64_t writev(int fd, const iovec* iov, int count);
/// As writev, with flags of pwritev2 (RWF_...).
int64_t writev2(int fd, const iovec* iov, int count, int flags);
int64_t preadv(int fd, const iovec* iov, int count, int64_t offset);
int64_t pwritev(int fd, const iovec* iov, int count, int64_t offset);
int64_t fsync(int fd);
int64_t fdatasync(int fd);
int64_t fallocate(int fd, int64_t offset, int64_t length);
/// Opening may wait: for the other end of a FIFO, for a device, for a network file system.
int64_t openat(int dir, const char* path, int flags, unsigned mode);
int64_t openat2(int dir, const char* path, const open_how& how);

int64_t accept(int fd, int flags);
int64_t recvmsg(int fd, msghdr& message, int flags);
int64_t sendmsg(int fd, const msghdr& message, int flags);

/// Waits until one of `fds` is ready, at most `timeout` (null: for ever). Returns how many are.
int64_t poll(pollfd* fds, size_t count, const timespec* timeout);
/// Sleeps until `clock` (CLOCK_REALTIME or CLOCK_MONOTONIC) shows `when`.
int64_t sleep_until(clockid_t clock, const timespec& when);
int64_t getrandom(void* buffer, size_t length);
int64_t getdents64(int fd, void* buffer, size_t length);
/// Lets others run.
void yield();

}  // namespace vmrun::wasi::blocking
