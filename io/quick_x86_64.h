// The transfers that are made most, without a function's frame: where the kernel makes every return after a call of it slow
// (it clears what the processor predicts returns by), each frame in between takes as long as a tenth of a short read.
//
// Each does what the function of io/sys.h does that it names, and calls it where there is more to do: several buffers, or an
// injector. The thread sanitizer knows the C library's calls alone.
#pragma once

#include <sys/syscall.h>

#include "io/sys.h"

namespace vmrun::io::sys {

#if defined(__x86_64__) && !(defined(__has_feature) && __has_feature(thread_sanitizer))

inline bool is_quick(int count) noexcept {
  return count == 1 && the_injector.load(std::memory_order_relaxed) == nullptr;
}

[[gnu::always_inline]] inline int64_t call_of_system(long number, long a, long b, long c, long d, long e,
                                                     long f) noexcept {
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}
[[gnu::always_inline]] inline int64_t call_with(long number, int fd, const iovec& one, long d) noexcept {
  return call_of_system(number, fd, reinterpret_cast<long>(one.iov_base), static_cast<long>(one.iov_len), d, 0, 0);
}

/// readv.
[[gnu::always_inline]] inline int64_t quick_readv(int fd, const iovec* iov, int count) noexcept {
  return is_quick(count) ? call_with(SYS_read, fd, *iov, 0) : sys::readv(fd, iov, count);
}
/// preadv.
[[gnu::always_inline]] inline int64_t quick_preadv(int fd, const iovec* iov, int count, int64_t offset) noexcept {
  return is_quick(count) ? call_with(SYS_pread64, fd, *iov, offset) : sys::preadv(fd, iov, count, offset);
}
/// receive and send without flags, an address and control data.
[[gnu::always_inline]] inline int64_t quick_receive(int fd, const iovec* iov, int count) noexcept {
  if (is_quick(count)) return call_with(SYS_recvfrom, fd, *iov, MSG_DONTWAIT);
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(iov);
  message.msg_iovlen = static_cast<size_t>(count);
  return sys::receive(fd, message, 0);
}
[[gnu::always_inline]] inline int64_t quick_send(int fd, const iovec* iov, int count) noexcept {
  if (is_quick(count)) return call_with(SYS_sendto, fd, *iov, MSG_DONTWAIT | MSG_NOSIGNAL);
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(iov);
  message.msg_iovlen = static_cast<size_t>(count);
  return sys::send(fd, message, 0);
}

#else

inline int64_t quick_readv(int fd, const iovec* iov, int count) noexcept { return sys::readv(fd, iov, count); }
inline int64_t quick_preadv(int fd, const iovec* iov, int count, int64_t offset) noexcept {
  return sys::preadv(fd, iov, count, offset);
}
inline int64_t quick_receive(int fd, const iovec* iov, int count) noexcept {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(iov);
  message.msg_iovlen = static_cast<size_t>(count);
  return sys::receive(fd, message, 0);
}
inline int64_t quick_send(int fd, const iovec* iov, int count) noexcept {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(iov);
  message.msg_iovlen = static_cast<size_t>(count);
  return sys::send(fd, message, 0);
}

#endif

}  // namespace vmrun::io::sys
