// Buffers of a transfer of which parts are done.
#pragma once

#include <limits.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace vmrun::io {

/// Bytes of buffers that count for one transfer: Linux moves no more than the most at once.
inline size_t size_of(const iovec* iov, int count) noexcept {
  constexpr size_t most = 0x7ffff000;
  size_t size = 0;
  for (int i = 0; i < count && size < most; ++i) size += std::min(iov[i].iov_len, most);
  return std::min(size, most);
}

/// A copy of an iovec array that moves on as parts are done. Tests false when there was no memory for it.
class Iov {
 public:
  Iov(const iovec* iov, int count) noexcept : at_(few_) {
    count = std::clamp(count, 0, IOV_MAX);
    if (count > small) {
      many_.reset(new (std::nothrow) iovec[static_cast<size_t>(count)]);
      at_ = many_.get();
      if (at_ == nullptr) return;
    }
    std::copy_n(iov, count, at_);
    count_ = count;
    for (int i = 0; i < count; ++i) size_ += at_[i].iov_len;
  }
  Iov(const Iov&) = delete;
  Iov& operator=(const Iov&) = delete;
  explicit operator bool() const { return at_ != nullptr; }

  iovec* data() { return at_; }
  int count() const { return count_; }
  size_t size() const { return size_; }

  /// Leaves out the first `bytes`, of size() at most.
  void advance(size_t bytes) noexcept {
    size_ -= bytes;
    while (count_ != 0 && bytes >= at_->iov_len) {
      bytes -= at_->iov_len;
      ++at_;
      --count_;
    }
    if (count_ != 0) *at_ = {static_cast<std::byte*>(at_->iov_base) + bytes, at_->iov_len - bytes};
  }
  /// Leaves out all but the first `bytes`.
  void shorten(size_t bytes) noexcept {
    int kept = 0;
    size_ = std::min(size_, bytes);
    while (kept != count_ && bytes != 0) {
      at_[kept].iov_len = std::min(at_[kept].iov_len, bytes);
      bytes -= at_[kept++].iov_len;
    }
    count_ = kept;
  }

 private:
  static constexpr int small = 8;
  iovec few_[small];
  std::unique_ptr<iovec[]> many_;
  iovec* at_;
  int count_ = 0;
  size_t size_ = 0;
};

/// Calls `step(bytes done before)` until nothing of `left` is left, or it gives an error or 0. The bytes that were done, or
/// the first step's error.
template <class Step>
int64_t in_parts(Iov& left, Step step) noexcept {
  int64_t done = 0;
  do {
    const int64_t r = step(done);
    if (r < 0) return done != 0 ? done : r;
    done += r;
    left.advance(static_cast<size_t>(r));
    if (r == 0) break;
  } while (left.size() != 0);
  return done;
}

}  // namespace vmrun::io
