// Bytes between host descriptors and guest buffers, with what a guest's descriptor adds to the host's: not waiting
// where the host's own flag must stay as it is, and errors instead of signals for the whole process.
#pragma once

#include <signal.h>
#include <sys/uio.h>

#include <cstdint>

#include "wasi/blocking.h"
#include "wasi/context.h"

namespace vmrun::wasi {

/// Keeps the SIGPIPE and SIGXFSZ of a system call from the process: it blocks them on this thread while it lives, and
/// settle() takes back the one that the call has sent to the thread. The process's handlers are not touched, and a
/// signal that was pending before stays pending.
class SignalShield {
 public:
  SignalShield();
  ~SignalShield();
  SignalShield(const SignalShield&) = delete;
  SignalShield& operator=(const SignalShield&) = delete;
  /// After a call that did not do all that it was asked to.
  void settle();

 private:
  sigset_t before_;  // the thread's mask
  sigset_t ours_;    // signals that were not pending: those that come are the call's
};

/// What read, write, pread and pwrite of `d` do: the number of bytes, or a negated errno value. `iov` may be changed. Long
/// transfers of files are made in pieces, because the system does not look for signals while it copies between a file
/// and memory: when the guest is interrupted, what is done so far is the result.
int64_t read_from(const Descriptor& d, iovec* iov, int count);
int64_t write_to(const Context& cx, const Descriptor& d, iovec* iov, int count);
int64_t read_from_at(const Descriptor& d, iovec* iov, int count, int64_t offset);

/// Bytes of a file that are asked for at once: a millisecond or two.
constexpr size_t kPiece = size_t{4} << 20;

/// Whether a transfer is one piece of a file: the two below then make it without a further function's frame
/// (vm/runtime/stoppable_x86_64.cpp says what one takes).
inline bool is_one_piece(const Descriptor& d, const iovec* iov, int count) {
  return count == 1 && iov->iov_len <= kPiece && d.type == FileType::RegularFile && d.stream == nullptr;
}
inline int64_t quick_read_from(const Descriptor& d, iovec* iov, int count) {
  return is_one_piece(d, iov, count) ? blocking::readv(d, iov, 1) : read_from(d, iov, count);
}
inline int64_t quick_read_from_at(const Descriptor& d, iovec* iov, int count, int64_t offset) {
  return is_one_piece(d, iov, count) ? blocking::preadv(d, iov, 1, offset) : read_from_at(d, iov, count, offset);
}
int64_t write_to_at(const Context& cx, const Descriptor& d, iovec* iov, int count, int64_t offset);

/// Makes `call`, which may make the file `d` grow, with -EFBIG and no signal where it grows too large. It ends on the
/// thread that it began on.
template <class F>
int64_t growing(const Context& cx, const Descriptor& d, F call) {
  if (d.raises || !cx.files_are_limited()) [[likely]]
    return call();
  SignalShield shield;
  int64_t r = call();
  if (r < 0) shield.settle();
  return r;
}

/// Whether reading (POLLIN) or writing (POLLOUT) `fd` would not wait.
bool is_ready(int fd, short events);

}  // namespace vmrun::wasi
