// Reading, writing, positions and directory listings. Data goes between host and guest memory without a copy.
#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "wasi/blocking.h"
#include "wasi/calls_common.h"
#include "wasi/transfer.h"

namespace vmrun::wasi {

Errno fd_read(Context& cx, Mem memory, Fd fd, Iovecs iovecs, Out<uint32_t> bytes) {
  FdRef d;
  if (Errno e = need(cx, fd, rights::kFdRead, d); e != Errno::success) return e;
  HostIovecs iov;
  if (Errno e = iov.load(memory, iovecs); e != Errno::success) return e;
  return finish_transfer(memory, quick_read_from(*d, iov.data(), iov.count()), bytes);
}

Errno fd_write(Context& cx, Mem memory, Fd fd, Iovecs iovecs, Out<uint32_t> bytes) {
  FdRef d;
  if (Errno e = need(cx, fd, rights::kFdWrite, d); e != Errno::success) return e;
  HostIovecs iov;
  if (Errno e = iov.load(memory, iovecs); e != Errno::success) return e;
  if (d->type == FileType::SocketDgram && iov.more()) return Errno::msgsize;  // a message goes in one piece
  return finish_transfer(memory, write_to(cx, *d, iov.data(), iov.count()), bytes);
}

Errno fd_pread(Context& cx, Mem memory, Fd fd, Iovecs iovecs, Size64 offset, Out<uint32_t> bytes) {
  FdRef d;
  if (Errno e = need(cx, fd, rights::kFdRead | rights::kFdSeek, d); e != Errno::success) return e;
  HostIovecs iov;
  if (Errno e = iov.load(memory, iovecs); e != Errno::success) return e;
  const int64_t r = quick_read_from_at(*d, iov.data(), iov.count(), static_cast<int64_t>(offset.value));
  return finish_transfer(memory, r, bytes);
}

Errno fd_pwrite(Context& cx, Mem memory, Fd fd, Iovecs iovecs, Size64 offset, Out<uint32_t> bytes) {
  FdRef d;
  if (Errno e = need(cx, fd, rights::kFdWrite | rights::kFdSeek, d); e != Errno::success) return e;
  HostIovecs iov;
  if (Errno e = iov.load(memory, iovecs); e != Errno::success) return e;
  const int64_t r = write_to_at(cx, *d, iov.data(), iov.count(), static_cast<int64_t>(offset.value));
  return finish_transfer(memory, r, bytes);
}

namespace {

Errno seek(Context& cx, Mem memory, Fd fd, int64_t delta, int whence, Out<uint64_t> position) {
  // Asking for the position needs the lesser right, which the greater implies.
  bool only_tells = whence == SEEK_CUR && delta == 0;
  FdRef d = cx.fds.get(fd.value);
  Rights needed = only_tells && d != nullptr && (d->base & rights::kFdTell) ? rights::kFdTell : rights::kFdSeek;
  if (Errno e = check_rights(d, needed); e != Errno::success) return e;
  int64_t r = raw([&] { return ::lseek(d->host, delta, whence); });
  return r < 0 ? errno_of(r) : position.store(memory, static_cast<uint64_t>(r));
}

}  // namespace

Errno fd_seek(Context& cx, Mem memory, Fd fd, Delta delta, Whence whence, Out<uint64_t> position) {
  static constexpr int kWhence[] = {SEEK_SET, SEEK_CUR, SEEK_END};
  if (whence.value >= std::size(kWhence)) return Errno::inval;
  return seek(cx, memory, fd, delta.value, kWhence[whence.value], position);
}

Errno fd_seek_unstable(Context& cx, Mem memory, Fd fd, Delta delta, Whence whence, Out<uint64_t> position) {
  static constexpr int kWhence[] = {SEEK_CUR, SEEK_END, SEEK_SET};
  if (whence.value >= std::size(kWhence)) return Errno::inval;
  return seek(cx, memory, fd, delta.value, kWhence[whence.value], position);
}

Errno fd_tell(Context& cx, Mem memory, Fd fd, Out<uint64_t> position) {
  return seek(cx, memory, fd, 0, SEEK_CUR, position);
}

// ---- fd_readdir ----

namespace {

/// What getdents64 returns; the name follows, NUL-terminated.
struct HostDirent {
  uint64_t ino;
  int64_t off;  // the position behind this entry
  uint16_t reclen;
  uint8_t type;
};
constexpr size_t kNameOffset = 19;

FileType type_of_entry(uint8_t type) {
  switch (type) {
    case DT_BLK: return FileType::BlockDevice;
    case DT_CHR: return FileType::CharacterDevice;
    case DT_DIR: return FileType::Directory;
    case DT_REG: return FileType::RegularFile;
    case DT_LNK: return FileType::SymbolicLink;
    case DT_SOCK: return FileType::SocketStream;
    default: return FileType::Unknown;
  }
}

/// Fills `out` from its front and truncates what does not fit, as fd_readdir wants it.
class DirentWriter {
 public:
  DirentWriter(std::byte* out, size_t size) : out_(out), size_(size) {}
  bool full() const { return used_ == size_; }
  size_t used() const { return used_; }
  size_t left() const { return size_ - used_; }
  void put(const void* data, size_t n) {
    n = std::min(n, left());
    std::memcpy(out_ + used_, data, n);
    used_ += n;
  }

 private:
  std::byte* out_;
  size_t size_, used_ = 0;
};

}  // namespace

namespace {

/// A directory that one call lists: the descriptor's own position in it, or, while another thread's call is at that, one of
/// this call's alone.
class Lister {
 public:
  explicit Lister(Descriptor& d) : d_(d), owns_(!d.sharing.listed.exchange(true, std::memory_order_acquire)) {}
  ~Lister() {
    if (owns_) d_.sharing.listed.store(false, std::memory_order_release);
  }
  Lister(const Lister&) = delete;
  Lister& operator=(const Lister&) = delete;

  Errno open() {
    if (owns_) return Errno::success;
    const int64_t r = blocking::openat(d_.host, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (r < 0) return errno_of(r);
    again_ = HostFd(static_cast<int>(r));
    return Errno::success;
  }
  int host() const { return owns_ ? d_.host : again_.get(); }
  Listing& listing() { return owns_ ? d_.listing : listing_; }

 private:
  Descriptor& d_;
  const bool owns_;
  HostFd again_;
  Listing listing_;
};

/// Moves the host to the entry that `cookie` stands for, or as near before it as is known.
///
/// A cookie is the number of entries before it, not the host's position: those of common file systems are 64-bit
/// hashes, while telldir of a 32-bit guest has 31 bits.
Errno seek_entry(Lister& lister, uint64_t cookie) {
  Listing& listing = lister.listing();
  if (cookie == 0) listing.positions.clear();  // asks for the directory as it is now
  const DirPositions::Place place = listing.positions.before(cookie);
  const bool between = listing.at != Listing::kUnknownPosition && listing.at >= place.count && listing.at <= cookie;
  if (between && place.count != 0) return Errno::success;
  if (int64_t r = raw([&] { return ::lseek(lister.host(), place.position, SEEK_SET); }); r < 0) return errno_of(r);
  listing.at = place.count;
  return Errno::success;
}

}  // namespace

Errno fd_readdir(Context& cx, Mem memory, Fd fd, Buffer buffer, Cookie cookie, Out<uint32_t> bytes) {
  FdRef d;
  if (Errno e = need(cx, fd, rights::kFdReaddir, d); e != Errno::success) return e;
  std::byte* out = memory.at(buffer.address, buffer.length);
  if (out == nullptr) return Errno::fault;
  Lister lister(*d);
  if (Errno e = lister.open(); e != Errno::success) return e;
  if (Errno e = seek_entry(lister, cookie.value); e != Errno::success) return e;
  Listing& listing = lister.listing();

  DirentWriter writer(out, buffer.length);
  uint64_t index = listing.at;
  while (!writer.full()) {
    // Guest entries are about as long as the host's, so ask for as much as fits: what is read beyond it is read again.
    alignas(8) char block[8192];
    constexpr size_t kOneEntry = 512;  // the longest name fits
    size_t want = std::clamp(writer.left(), kOneEntry, sizeof(block));
    listing.at = Listing::kUnknownPosition;
    int64_t n = blocking::getdents64(lister.host(), block, want);
    if (n < 0) return errno_of(n);
    for (int64_t at = 0; at < n && !writer.full(); ++index) {
      HostDirent host;
      std::memcpy(&host, block + at, kNameOffset);
      const char* name = block + at + kNameOffset;
      at += host.reclen;
      listing.positions.note(index + 1, host.off);
      if (at == n) listing.at = index + 1;
      if (index < cookie.value) continue;
      GuestDirent guest{};
      guest.next = index + 1;
      guest.ino = host.ino;
      guest.namlen = static_cast<uint32_t>(std::strlen(name));
      guest.type = static_cast<uint8_t>(type_of_entry(host.type));
      if (writer.left() >= sizeof(guest) + guest.namlen) listing.positions.expect(index + 1, host.off);
      writer.put(&guest, sizeof(guest));
      writer.put(name, guest.namlen);
    }
    if (n == 0) {  // the end: fewer bytes than the buffer has say so
      listing.at = index;
      break;
    }
  }
  return bytes.store(memory, static_cast<uint32_t>(writer.used()));
}

}  // namespace vmrun::wasi
