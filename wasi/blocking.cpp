// Calls that may block, as plain system calls that hold their thread.
#include "wasi/blocking.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wasi/sys.h"

namespace vmrun::wasi {

void HostFd::reset() {
  // Linux frees the number even when close reports an error, so there is nothing to retry.
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

namespace blocking {

int64_t readv(int fd, const iovec* iov, int count) {
  return raw([=] { return ::readv(fd, iov, count); });
}
int64_t writev(int fd, const iovec* iov, int count) {
  return raw([=] { return ::writev(fd, iov, count); });
}
int64_t preadv(int fd, const iovec* iov, int count, int64_t offset) {
  return raw([=] { return ::preadv(fd, iov, count, offset); });
}
int64_t pwritev(int fd, const iovec* iov, int count, int64_t offset) {
  return raw([=] { return ::pwritev(fd, iov, count, offset); });
}
int64_t fsync(int fd) {
  return raw([=] { return ::fsync(fd); });
}
int64_t fdatasync(int fd) {
  return raw([=] { return ::fdatasync(fd); });
}
int64_t fallocate(int fd, int64_t offset, int64_t length) {
  return raw([=] { return ::fallocate(fd, 0, offset, length); });
}
int64_t openat(int dir, const char* path, int flags, unsigned mode) {
  return raw([=] { return ::openat(dir, path, flags, mode); });
}
int64_t openat2(int dir, const char* path, const open_how& how) {
  return raw([&] { return ::syscall(SYS_openat2, dir, path, &how, sizeof(how)); });
}
int64_t accept(int fd, int flags) {
  return raw([=] { return ::accept4(fd, nullptr, nullptr, flags); });
}
int64_t recvmsg(int fd, msghdr& message, int flags) {
  return raw([&] { return ::recvmsg(fd, &message, flags); });
}
int64_t sendmsg(int fd, const msghdr& message, int flags) {
  return raw([&] { return ::sendmsg(fd, &message, flags); });
}
int64_t poll(pollfd* fds, size_t count, const timespec* timeout) {
  return raw([=] { return ::ppoll(fds, count, timeout, nullptr); });
}
int64_t sleep_until(clockid_t clock, const timespec& when) {
  return -static_cast<int64_t>(::clock_nanosleep(clock, TIMER_ABSTIME, &when, nullptr));  // returns errno itself
}
int64_t getrandom(void* buffer, size_t length) {
  return raw([=] { return ::getrandom(buffer, length, 0); });
}
void yield() { ::sched_yield(); }

}  // namespace blocking
}  // namespace vmrun::wasi
