// The guest's descriptor table, and what host descriptors look like to a guest.
#include "wasi/fd_table.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace vmrun::wasi {

FdTable::~FdTable() {
  for (auto& d : slots_) {
    if (d) dispose(*d);
  }
}

void FdTable::dispose(Descriptor& d) {
  if (d.owned) HostFd(d.host).reset();
}

bool FdTable::insert(Descriptor d, uint32_t& fd) {
  size_t at = lowest_free_;
  while (at < slots_.size() && slots_[at]) ++at;
  if (at == kMax) {
    dispose(d);
    return false;
  }
  if (at == slots_.size()) slots_.emplace_back();
  slots_[at] = std::make_unique<Descriptor>(std::move(d));
  lowest_free_ = static_cast<uint32_t>(at) + 1;
  fd = static_cast<uint32_t>(at);
  return true;
}

bool FdTable::close(uint32_t fd) {
  Descriptor* d = get(fd);
  if (d == nullptr) return false;
  dispose(*d);
  slots_[fd].reset();
  if (fd < lowest_free_) lowest_free_ = fd;
  return true;
}

bool FdTable::renumber(uint32_t from, uint32_t to) {
  if (get(from) == nullptr || get(to) == nullptr) return false;
  if (from == to) return true;
  dispose(*slots_[to]);
  slots_[to] = std::move(slots_[from]);
  if (from < lowest_free_) lowest_free_ = from;
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

Descriptor describe(int fd, bool owned, Rights allowed) {
  Descriptor d;
  d.host = fd;
  d.owned = owned;
  struct stat st;
  if (raw([&] { return ::fstat(fd, &st); }) == 0) d.type = file_type(st.st_mode, fd);
  d.base = applicable_rights(d, allowed);
  return d;
}

}  // namespace vmrun::wasi
