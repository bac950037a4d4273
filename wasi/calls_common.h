// What several families of calls share: descriptor and rights checks, iovecs, file times and statistics, clocks.
#pragma once

#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "vm/runtime/stoppable.h"
#include "wasi/calls.h"
#include "wasi/errno.h"

namespace vmrun::wasi {

/// Whether `d` may do `needed`. Errors: badf (there is none), notcapable, isdir (a right that no directory has).
inline Errno check_rights(const FdRef& d, Rights needed) {
  if (d == nullptr) return Errno::badf;
  if ((d->base & needed) != needed) [[unlikely]] {
    return d->type == FileType::Directory && (needed & ~rights::kDirectory) != 0 ? Errno::isdir : Errno::notcapable;
  }
  return Errno::success;
}

/// The descriptor `fd`, in `out` (which is empty), and what check_rights says of it.
[[gnu::always_inline]] inline Errno need(Context& cx, Fd fd, Rights needed, FdRef& out) {
  cx.fds.get(fd.value, out);
  return check_rights(out, needed);
}

/// The guest's iovecs as the host's, pointing into guest memory. Empty ones are left out. Few lie on the stack; of very
/// many only the first kMax are taken, which is a short read or write.
class HostIovecs {
 public:
  static constexpr uint32_t kMax = 1024;  // IOV_MAX

  Errno load(Mem memory, Iovecs guest) {
    const std::byte* p = memory.array_at(guest.address, guest.count, sizeof(GuestIovec));
    if (p == nullptr) return Errno::fault;
    iovec* out = few_;
    if (guest.count > kFew) [[unlikely]] {
      many_ = std::make_unique_for_overwrite<iovec[]>(guest.count < kMax ? guest.count : kMax);
      out = many_.get();
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < guest.count; ++i) {
      if (i % kLook == kLook - 1 && vm::guest_interrupted()) return Errno::intr;  // all may be empty
      GuestIovec v;
      std::memcpy(&v, p + size_t{i} * sizeof(v), sizeof(v));
      std::byte* base = memory.at(v.buf, v.len);
      if (base == nullptr) return Errno::fault;
      if (v.len == 0) continue;
      if (n == kMax) {
        more_ = true;
        break;
      }
      out[n++] = {base, v.len};
    }
    data_ = out;
    count_ = static_cast<int>(n);
    return Errno::success;
  }
  iovec* data() { return data_; }
  int count() const { return count_; }
  /// Whether there are buffers beyond the first kMax.
  bool more() const { return more_; }

 private:
  static constexpr uint32_t kFew = 16;
  static constexpr uint32_t kLook = 1 << 16;
  iovec few_[kFew];
  std::unique_ptr<iovec[]> many_;
  iovec* data_ = few_;
  int count_ = 0;
  bool more_ = false;
};

/// Stores the count of a transfer, or hands its error on.
inline Errno finish_transfer(Mem memory, int64_t raw_result, Out<uint32_t> bytes) {
  if (raw_result < 0) return errno_of(raw_result);
  return bytes.store(memory, static_cast<uint32_t>(raw_result));
}

/// `st` in the form of each ABI. `type` is given because sockets need their descriptor to tell it.
GuestFilestat filestat_of(const struct stat& st, FileType type);
GuestFilestatUnstable unstable(const GuestFilestat& s);

/// The times for utimensat from the flags of the *_set_times calls. inval when the flags contradict each other.
Errno times_of(Time atim, Time mtim, FstFlags flags, timespec out[2]);

/// Nanoseconds as timespec and back; saturating.
timespec timespec_of(uint64_t ns);
uint64_t nanoseconds_of(const timespec& t);

/// The host's clock for the guest's; false for an unknown one.
bool host_clock(uint32_t id, clockid_t& out);

}  // namespace vmrun::wasi
