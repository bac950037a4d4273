// Text for the last words of a process: made and written without a lock or an allocation, so in signal handlers too.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace vmrun::vm {

/// A text of limited length; what does not fit is left out.
class SafeText {
 public:
  SafeText& operator<<(std::string_view part) {
    const size_t fits = part.size() < sizeof bytes_ - size_ ? part.size() : sizeof bytes_ - size_;
    std::memcpy(bytes_ + size_, part.data(), fits);
    size_ += fits;
    return *this;
  }
  SafeText& decimal(uint64_t value) { return number(value, 10); }
  /// With 0x in front.
  SafeText& hex(uint64_t value) { return (*this << "0x").number(value, 16); }

  std::string_view view() const { return {bytes_, size_}; }
  /// Writes all of it to the descriptor, unless that fails.
  void write(int fd) const {
    for (size_t done = 0; done < size_;) {
      const ssize_t n = ::write(fd, bytes_ + done, size_ - done);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return;
      done += static_cast<size_t>(n);
    }
  }

 private:
  SafeText& number(uint64_t value, unsigned base) {
    char digits[20];
    char* at = digits + sizeof digits;
    do {
      *--at = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
    return *this << std::string_view(at, static_cast<size_t>(digits + sizeof digits - at));
  }

  char bytes_[1024];
  size_t size_ = 0;
};

}  // namespace vmrun::vm
