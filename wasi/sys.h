// System calls in raw form: the result, or a negated errno value. `errno` itself is a thread-local variable, and a
// fiber may continue on another thread after a suspension, so its address must never be kept across one: each call and
// its look at errno stay together in one function that is never inlined.
#pragma once

#include <cerrno>
#include <cstdint>
#include <utility>

namespace vmrun::wasi {

/// Calls `f` (a system call by its libc wrapper) and returns its result, or -errno when it returned a negative value.
template <class F>
[[gnu::noinline]] int64_t raw(F f) {
  auto r = f();
  return r < 0 ? -static_cast<int64_t>(errno) : static_cast<int64_t>(r);
}

/// An owned host descriptor, closed at the end of its life; -1 is none. Not a guest's number.
class HostFd {
 public:
  HostFd() = default;
  explicit HostFd(int fd) : fd_(fd) {}
  HostFd(HostFd&& other) noexcept : fd_(other.release()) {}
  HostFd& operator=(HostFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = other.release();
    }
    return *this;
  }
  ~HostFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

}  // namespace vmrun::wasi
