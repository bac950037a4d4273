// Calls that may block, as system calls that hold their thread and end when the guest is interrupted.
#include "wasi/blocking.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vm/runtime/stoppable.h"
#include "wasi/sys.h"

namespace vmrun::wasi {

void HostFd::reset() {
  // Linux frees the number even when close reports an error, so there is nothing to retry.
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

namespace blocking {

using vm::stoppable_call;

namespace {

/// A pointer as a system call takes it.
long address(const void* pointer) { return reinterpret_cast<long>(pointer); }

}  // namespace

int64_t readv(int fd, const iovec* iov, int count) { return stoppable_call(SYS_readv, fd, address(iov), count); }
int64_t writev(int fd, const iovec* iov, int count) { return stoppable_call(SYS_writev, fd, address(iov), count); }
int64_t writev2(int fd, const iovec* iov, int count, int flags) {
  constexpr long kOwnPosition = -1;  // where the descriptor stands
  return stoppable_call(SYS_pwritev2, fd, address(iov), count, kOwnPosition, 0, flags);
}
// The offset's upper half is an argument of its own, which 64-bit systems ignore.
int64_t preadv(int fd, const iovec* iov, int count, int64_t offset) {
  return stoppable_call(SYS_preadv, fd, address(iov), count, offset);
}
int64_t pwritev(int fd, const iovec* iov, int count, int64_t offset) {
  return stoppable_call(SYS_pwritev, fd, address(iov), count, offset);
}
int64_t fsync(int fd) { return stoppable_call(SYS_fsync, fd); }
int64_t fdatasync(int fd) { return stoppable_call(SYS_fdatasync, fd); }
int64_t fallocate(int fd, int64_t offset, int64_t length) {
  return stoppable_call(SYS_fallocate, fd, 0, offset, length);
}
int64_t openat(int dir, const char* path, int flags, unsigned mode) {
  return stoppable_call(SYS_openat, dir, address(path), flags, mode);
}
int64_t openat2(int dir, const char* path, const open_how& how) {
  return stoppable_call(SYS_openat2, dir, address(path), address(&how), sizeof(how));
}
int64_t accept(int fd, int flags) { return stoppable_call(SYS_accept4, fd, 0, 0, flags); }
int64_t recvmsg(int fd, msghdr& message, int flags) {
  return stoppable_call(SYS_recvmsg, fd, address(&message), flags);
}
int64_t sendmsg(int fd, const msghdr& message, int flags) {
  return stoppable_call(SYS_sendmsg, fd, address(&message), flags);
}
int64_t poll(pollfd* fds, size_t count, const timespec* timeout) {
  timespec left = timeout != nullptr ? *timeout : timespec{};  // the system changes it
  return stoppable_call(SYS_ppoll, address(fds), static_cast<long>(count), timeout != nullptr ? address(&left) : 0, 0,
                        0);
}
int64_t sleep_until(clockid_t clock, const timespec& when) {
  return stoppable_call(SYS_clock_nanosleep, clock, TIMER_ABSTIME, address(&when), 0);
}
int64_t getrandom(void* buffer, size_t length) {
  return stoppable_call(SYS_getrandom, address(buffer), static_cast<long>(length), 0);
}
int64_t getdents64(int fd, void* buffer, size_t length) {
  return stoppable_call(SYS_getdents64, fd, address(buffer), static_cast<long>(length));
}
void yield() { ::sched_yield(); }

}  // namespace blocking
}  // namespace vmrun::wasi
