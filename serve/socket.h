// An accepted connection that nobody waits for yet.
#pragma once

#include <unistd.h>

#include <utility>

namespace vmrun::serve {

/// Closes the descriptor at the end of its life.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(other.release()) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace vmrun::serve
