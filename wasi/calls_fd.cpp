// Calls about descriptors: their state, attributes, sizes and times, and the preopened directories.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>
#include <utility>

#include "wasi/blocking.h"
#include "wasi/calls_common.h"
#include "wasi/transfer.h"

namespace vmrun::wasi {
namespace {
constexpr uint64_t kMaxOffset = std::numeric_limits<int64_t>::max();
}

Errno fd_advise(Context& cx, Mem, Fd fd, Size64 offset, Size64 length, Advice advice) {
  FdRef d;
  if (Errno e = need(cx, fd, rights::kFdAdvise, d); e != Errno::success) return e;
  if (d->type == FileType::Directory) return Errno::badf;
  static constexpr int kAdvice[] = {POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                                    POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE};
  if (advice.value >= std::size(kAdvice) || offset.value > kMaxOffset || length.value > kMaxOffset) {
    return Errno::inval;
  }
  return errno_from_host(::posix_fadvise(d->host, static_cast<off_t>(offset.value), static_cast<off_t>(length.value),
                                         kAdvice[advice.value]));
}

Errno fd_allocate(Context& cx, Mem, Fd fd, Size64 offset, Size64 length) {
  FdRef d;
  if (Errno e = need(cx, fd, rights::kFdAllocate, d); e != Errno::success) return e;
  if (offset.value > kMaxOffset || length.value > kMaxOffset) return Errno::inval;
  return errno_of(growing(cx, *d, [&] {
    return blocking::fallocate(d->host, static_cast<int64_t>(offset.value), static_cast<int64_t>(length.value));
  }));
}

Errno fd_close(Context& cx, Mem, Fd fd) {
  if (!cx.fds.is_shared() && cx.watch != nullptr) {
    // What stays open behind the guest's back stays in the set of what is polled, too.
    if (const FdRef d = cx.fds.get(fd.value); d != nullptr && !d->owner) cx.watch.reset();
  }
  return cx.fds.close(fd.value) ? Errno::success : Errno::badf;
}

Errno fd_datasync(Context& cx, Mem, Fd fd) {
  // fd_sync does more, so its right is enough: libcs ask for fd_datasync's along with writing only.
  FdRef d = cx.fds.get(fd.value);
  Rights needed = d != nullptr && (d->base & rights::kFdSync) ? rights::kFdSync : rights::kFdDatasync;
  if (Errno e = check_rights(d, needed); e != Errno::success) return e;
  return errno_of(blocking::fdatasync(*d));
}

Errno fd_sync(Context& cx, Mem, Fd fd) {
  FdRef d;
  if (Errno e = need(cx, fd, rights::kFdSync, d); e != Errno::success) return e;
  return errno_of(blocking::fsync(*d));
}

Errno fd_fdstat_get(Context& cx, Mem memory, Fd fd, Out<GuestFdstat> stat) {
  FdRef d = cx.fds.get(fd.value);
  if (d == nullptr) return Errno::badf;
  int64_t flags = d->null ? 0 : raw([&] { return ::fcntl(d->host, F_GETFL); });
  if (flags < 0) return errno_of(flags);
  GuestFdstat out{};
  out.filetype = static_cast<uint8_t>(d->type);
  // Runtimes that wait by poll_oneoff alone (Go's) ask before they accept, and take a listener that waits for one that
  // they cannot poll. Programs that simply accept do not ask.
  if (d->listens && !std::exchange(d->told, true)) d->nonblocking = true;
  const bool nonblocking = d->nonblocking || (!d->listens && (flags & O_NONBLOCK) != 0);
  out.flags =
      static_cast<uint16_t>((flags & O_APPEND ? kFdAppend : 0) | (nonblocking ? kFdNonblock : 0) | d->sync_flags);
  out.rights_base = d->base;
  out.rights_inheriting = d->inheriting;
  return stat.store(memory, out);
}

namespace {
/// Sets flags of a descriptor whose description others use too. Append mode and waiting are theirs to decide; a guest
/// may add for itself that it does not wait.
Errno set_borrowed_flags(Descriptor& d, int host_flags, FdFlags flags) {
  const bool append = (host_flags & O_APPEND) != 0, nonblock = (host_flags & O_NONBLOCK) != 0;
  const bool wants_append = (flags.value & kFdAppend) != 0, wants_nonblock = (flags.value & kFdNonblock) != 0;
  if (wants_append != append) return Errno::notcapable;
  if (d.listens) {
    d.told = true;
    d.nonblocking = wants_nonblock;
    return Errno::success;
  }
  if (nonblock && !wants_nonblock) return Errno::notcapable;
  d.nonblocking = wants_nonblock && !nonblock;
  return Errno::success;
}
}  // namespace

Errno fd_fdstat_set_flags(Context& cx, Mem, Fd fd, FdFlags flags) {
  FdRef d;
  if (Errno e = need(cx, fd, rights::kFdFdstatSetFlags, d); e != Errno::success) return e;
  if ((flags.value & ~kFdFlagsAll) != 0) return Errno::inval;
  // The host fixes the synchronous modes when it opens a file; pretending to change them would lose data.
  if ((flags.value & (kFdDsync | kFdRsync | kFdSyncFlag)) != d->sync_flags) return Errno::notsup;
  int64_t old = raw([&] { return ::fcntl(d->host, F_GETFL); });
  if (old < 0) return errno_of(old);
  if (!d->owner) return set_borrowed_flags(*d, static_cast<int>(old), flags);
  int now = (static_cast<int>(old) & ~(O_APPEND | O_NONBLOCK)) | (flags.value & kFdAppend ? O_APPEND : 0) |
            (flags.value & kFdNonblock ? O_NONBLOCK : 0);
  if (now == old) return Errno::success;
  if (!d->sharing.on) d->host_mode = Descriptor::HostWaits::Unknown;
  return errno_of(raw([&] { return ::fcntl(d->host, F_SETFL, now); }));
}

Errno fd_fdstat_set_rights(Context& cx, Mem, Fd fd, RightsArg base, RightsArg inheriting) {
  FdRef d = cx.fds.get(fd.value);
  if (d == nullptr) return Errno::badf;
  Rights b = base.value & rights::kAll, i = inheriting.value & rights::kAll;
  if ((b & ~d->base) != 0 || (i & ~d->inheriting) != 0) return Errno::notcapable;
  // What another thread takes away meanwhile stays away.
  d->base.atomic().fetch_and(b, std::memory_order_relaxed);
  d->inheriting.atomic().fetch_and(i, std::memory_order_relaxed);
  cx.fds.note_change();
  return Errno::success;
}

namespace {
Errno filestat(Context& cx, Fd fd, GuestFilestat& out) {
  FdRef d;
  if (Errno e = need(cx, fd, rights::kFdFilestatGet, d); e != Errno::success) return e;
  struct stat st;
  if (int64_t r = raw([&] { return ::fstat(d->host, &st); }); r < 0) return errno_of(r);
  out = filestat_of(st, d->type);
  return Errno::success;
}
}  // namespace

Errno fd_filestat_get(Context& cx, Mem memory, Fd fd, Out<GuestFilestat> stat) {
  GuestFilestat s;
  Errno e = filestat(cx, fd, s);
  return e == Errno::success ? stat.store(memory, s) : e;
}

Errno fd_filestat_get_unstable(Context& cx, Mem memory, Fd fd, Out<GuestFilestatUnstable> stat) {
  GuestFilestat s;
  Errno e = filestat(cx, fd, s);
  return e == Errno::success ? stat.store(memory, unstable(s)) : e;
}

Errno fd_filestat_set_size(Context& cx, Mem, Fd fd, Size64 size) {
  FdRef d;
  if (Errno e = need(cx, fd, rights::kFdFilestatSetSize, d); e != Errno::success) return e;
  if (d->read_only) return Errno::rofs;
  if (size.value > kMaxOffset) return Errno::inval;
  return errno_of(
      growing(cx, *d, [&] { return raw([&] { return ::ftruncate(d->host, static_cast<off_t>(size.value)); }); }));
}

Errno fd_filestat_set_times(Context& cx, Mem, Fd fd, Time atim, Time mtim, FstFlags flags) {
  FdRef d;
  if (Errno e = need(cx, fd, rights::kFdFilestatSetTimes, d); e != Errno::success) return e;
  if (d->read_only) return Errno::rofs;
  timespec times[2];
  if (Errno e = times_of(atim, mtim, flags, times); e != Errno::success) return e;
  if (Errno e = cx.guard.may_set_times(d->host); e != Errno::success) return e;
  return errno_of(raw([&] { return ::futimens(d->host, times); }));
}

Errno fd_prestat_get(Context& cx, Mem memory, Fd fd, Out<GuestPrestat> prestat) {
  FdRef d = cx.fds.get(fd.value);
  if (d == nullptr || !d->preopen) return Errno::badf;  // libcs search upwards until badf
  GuestPrestat out{};
  out.name_len = static_cast<uint32_t>(d->preopen_name.size());
  return prestat.store(memory, out);
}

Errno fd_prestat_dir_name(Context& cx, Mem memory, Fd fd, Buffer name) {
  FdRef d = cx.fds.get(fd.value);
  if (d == nullptr || !d->preopen) return Errno::badf;
  if (name.length < d->preopen_name.size()) return Errno::nametoolong;
  std::byte* p = memory.at(name.address, name.length);
  if (p == nullptr) return Errno::fault;
  std::memcpy(p, d->preopen_name.data(), d->preopen_name.size());
  return Errno::success;
}

Errno fd_renumber(Context& cx, Mem, Fd from, Fd to) {
  if (!cx.fds.renumber(from.value, to.value)) return Errno::badf;
  if (!cx.fds.is_shared()) cx.watch.reset();
  return Errno::success;
}

}  // namespace vmrun::wasi
