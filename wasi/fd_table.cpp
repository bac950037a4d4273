// The guest's descriptor table, and what host descriptors look like to a guest.
#include "wasi/fd_table.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "vm/base/assert.h"

namespace vmrun::wasi {
namespace {

constexpr uint32_t kMostByDefault = 4096;
constexpr uint32_t kStreams = 3;  // the standard ones, for which the system is not asked what may be open

/// Gives a descriptor that we opened a number above the process's standard streams. Where those are closed, their
/// numbers are the next to be given out, and whatever the process prints would land in the guest's file.
bool move_above_streams(Descriptor& d) {
  if (d.host > STDERR_FILENO) return true;
  int64_t r = raw([&] { return ::fcntl(d.host, F_DUPFD_CLOEXEC, STDERR_FILENO + 1); });
  if (r < 0) return false;
  d.host = static_cast<int>(r);
  d.owner = HostFd(d.host);
  return true;
}

}  // namespace

uint32_t FdTable::default_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kMostByDefault;
  return static_cast<uint32_t>(std::min<uint64_t>(kMostByDefault, limit.rlim_cur / 2));
}

size_t FdTable::owned() const {
  return static_cast<size_t>(std::ranges::count_if(slots_, [](const auto& d) { return d != nullptr && d->owner; }));
}

/// Holds the lock of a table that several threads use.
class FdTable::Guard {
 public:
  explicit Guard(FdTable& table) : held_(table.shared_.load(std::memory_order_relaxed) ? &table.lock_ : nullptr) {
    if (held_ != nullptr) held_->lock();
  }
  ~Guard() {
    if (held_ != nullptr) held_->unlock();
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  sched::SpinLock* held_;
};

void FdTable::share() {
  if (shared_.load(std::memory_order_relaxed)) return;
  for (const auto& d : slots_) {
    if (d == nullptr) continue;
    d->sharing.on = true;
    d->waits = {};  // perhaps shared with other guests; from here on it is closed with the descriptor
  }
  shared_.store(true, std::memory_order_relaxed);
}

void FdTable::get_shared(uint32_t fd, FdRef& out) {
  std::lock_guard guard(lock_);
  out.set(at(fd), this);
}

void FdTable::release_shared(Descriptor* d) {
  {
    std::lock_guard guard(lock_);
    if (--d->sharing.users != 0 || !d->sharing.closed) return;
  }
  delete d;
}

void FdTable::drop(std::unique_ptr<Descriptor> d) {
  Waits waits;
  if (d->sharing.on) {
    std::lock_guard guard(d->sharing.lock);
    d->sharing.shut = true;
    waits = d->waits;
  }
  if (waits.handle) {
    VMRUN_ASSERT(!waits.handle.is_lent(), "what other guests wait with is not this one's to close");
    waits.reactor->close(waits.handle);
  }
  const Guard guard(*this);
  if (d->sharing.users == 0) return;
  d->sharing.closed = true;
  d.release();  // NOLINT(bugprone-unused-return-value): its last user deletes it
}

FdTable::Place::Place(FdTable& table) : table_(&table) {
  const Guard guard(table);
  if (table.open_ < (table.limit_ == kNotAsked && table.open_ < kStreams ? kStreams : table.limit())) {
    ++table.open_;
  } else {
    table_ = nullptr;
  }
}

bool FdTable::insert(Descriptor d, uint32_t& fd) {
  Place place(*this);
  return place && insert(std::move(d), fd, std::move(place));
}

bool FdTable::insert(Descriptor d, uint32_t& fd, Place place) {
  if (d.owner && !move_above_streams(d)) return false;
  d.sharing.on = false;
  auto entry = std::make_unique<Descriptor>(std::move(d));
  const Guard guard(*this);
  entry->sharing.on = shared_.load(std::memory_order_relaxed);
  entry->serial = ++serials_;
  size_t at = lowest_free_;
  while (at < slots_.size() && taken(at)) ++at;
  if (at == slots_.size()) slots_.emplace_back();
  slots_[at] = std::move(entry);
  lowest_free_ = static_cast<uint32_t>(at) + 1;
  place.table_ = nullptr;  // it is the descriptor's now
  fd = static_cast<uint32_t>(at);
  return true;
}

void FdTable::add_closed() {
  never_ |= 1u << slots_.size();
  slots_.emplace_back();
}

bool FdTable::close(uint32_t fd) {
  std::unique_ptr<Descriptor> closed;
  {
    const Guard guard(*this);
    if (at(fd) == nullptr) return false;
    closed = std::move(slots_[fd]);
    note_change();
    --open_;
    if (fd < lowest_free_) lowest_free_ = fd;
  }
  drop(std::move(closed));
  return true;
}

bool FdTable::renumber(uint32_t from, uint32_t to) {
  std::unique_ptr<Descriptor> closed;
  {
    const Guard guard(*this);
    if (at(from) == nullptr || at(to) == nullptr) return false;
    if (from == to) return true;
    closed = std::exchange(slots_[to], std::move(slots_[from]));
    note_change();
    --open_;
    if (from < lowest_free_) lowest_free_ = from;
  }
  drop(std::move(closed));
  return true;
}

FileType file_type(uint32_t mode, int fd) {
  switch (mode & S_IFMT) {
    case S_IFBLK: return FileType::BlockDevice;
    case S_IFCHR: return FileType::CharacterDevice;
    case S_IFDIR: return FileType::Directory;
    case S_IFREG: return FileType::RegularFile;
    case S_IFLNK: return FileType::SymbolicLink;
    case S_IFSOCK: {
      int type = SOCK_STREAM;
      socklen_t length = sizeof(type);
      if (fd >= 0 && ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0) type = SOCK_STREAM;
      return type == SOCK_DGRAM ? FileType::SocketDgram : FileType::SocketStream;
    }
    default: return FileType::Unknown;  // a FIFO has no WASI type
  }
}

Rights applicable_rights(const Descriptor& d, Rights wanted) {
  switch (d.type) {
    case FileType::Directory: return wanted & rights::kDirectory;
    case FileType::RegularFile:
    case FileType::BlockDevice: return wanted & rights::kRegularFile;
    case FileType::CharacterDevice:
      // Guests tell a terminal from other devices by its missing seek and tell rights.
      return wanted & (::isatty(d.host) ? rights::kTerminal : rights::kRegularFile);
    case FileType::SocketDgram:
    case FileType::SocketStream: return wanted & rights::kSocket;
    case FileType::SymbolicLink:
    case FileType::Unknown: return wanted & rights::kStream;
  }
  return 0;
}

Descriptor describe(int fd, Rights allowed) {
  Descriptor d;
  d.host = fd;
  struct stat st;
  if (raw([&] { return ::fstat(fd, &st); }) == 0) d.type = file_type(st.st_mode, fd);
  d.base = applicable_rights(d, allowed);
  return d;
}

Descriptor describe(HostFd fd, FileType type, Rights allowed) {
  Descriptor d;
  d.host = fd.get();
  d.owner = std::move(fd);
  d.type = type;
  d.base = applicable_rights(d, allowed);
  return d;
}

Descriptor describe(HostFd fd, Rights allowed) {
  Descriptor d = describe(fd.get(), allowed);
  d.owner = std::move(fd);
  return d;
}

}  // namespace vmrun::wasi
