// The seam between guests and calls that may block. Every system call of this folder that can wait for a device, a
// peer or a clock goes through one of these functions. A guest in a task of an executor (vmrun/executor.h) is suspended
// here, and nowhere else in this folder; any other guest holds its thread (vm/runtime/stoppable.h). So callers keep to
// these rules:
//   - no lock is held and no thread-local address (errno included) is kept across a call: it may end on another thread;
//   - buffers given stay valid and unmoved until it returns: guest memory (never moved) or the caller's frame;
//   - results are in raw form: >= 0, or a negated errno value. -EINTR comes when the guest is interrupted
//     (Store::interrupt) or its task cancelled, and the guest traps on the way back to it; and when a handler without
//     SA_RESTART ran: the guest gets errno `intr`. Neither is retried by callers, and no later call of the same system call
//     of a guest waits: it sees the interrupt first. A guest that polls or sleeps goes on after any handler.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "wasi/fd_table.h"

struct open_how;

namespace vmrun::wasi::blocking {

/// Whether the guest is suspended where it waits. Its writes then raise signals only where the descriptor says so, by
/// themselves, and a description of the host that is not to wait makes none of its calls wait.
bool suspends();

int64_t readv(const Descriptor& d, const iovec* iov, int count);
int64_t writev(const Descriptor& d, const iovec* iov, int count);
/// As writev, with flags of pwritev2 (RWF_...). Not where the guest is suspended.
int64_t writev2(const Descriptor& d, const iovec* iov, int count, int flags);
int64_t preadv(const Descriptor& d, const iovec* iov, int count, int64_t offset);
int64_t pwritev(const Descriptor& d, const iovec* iov, int count, int64_t offset);
int64_t fsync(const Descriptor& d);
int64_t fdatasync(const Descriptor& d);
int64_t fallocate(int fd, int64_t offset, int64_t length);
/// Opening may wait: for the other end of a FIFO, for a device, for a network file system.
int64_t openat(int dir, const char* path, int flags, unsigned mode);
int64_t openat2(int dir, const char* path, const open_how& how);

int64_t accept(const Descriptor& d, int flags);
int64_t recvmsg(const Descriptor& d, msghdr& message, int flags);
int64_t sendmsg(const Descriptor& d, const msghdr& message, int flags);

/// Waits until one of `fds` is ready, at most `timeout` (null: for ever). Returns how many are. `descriptors` has the
/// guest's for each of `fds`.
int64_t poll(std::span<pollfd> fds, std::span<const Descriptor* const> descriptors, const timespec* timeout);
/// Sleeps until `clock` (CLOCK_REALTIME or CLOCK_MONOTONIC) shows `when`.
int64_t sleep_until(clockid_t clock, const timespec& when);
int64_t getrandom(void* buffer, size_t length);
int64_t getdents64(int fd, void* buffer, size_t length);
/// Between two pieces of a long call that does not wait: lets others run where it is their turn. Whether the guest is to
/// end.
bool between_pieces();
/// Lets others run.
void yield();
/// The result of a wait that was made elsewhere. Where the task was cancelled meanwhile the guest traps when it goes on, also
/// where a part of what it asked for was done; -ECANCELED becomes -EINTR.
int64_t waited(int64_t r);
/// Waits for `turn` and takes it: 0, or -EINTR.
int64_t take_turn(sched::Mutex& turn);

}  // namespace vmrun::wasi::blocking
