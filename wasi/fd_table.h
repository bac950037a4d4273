// FdTable: what the guest's descriptor numbers stand for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/reactor.h"
#include "sched/sync.h"
#include "wasi/abi.h"
#include "wasi/dir_positions.h"
#include "wasi/sys.h"

namespace vmrun::wasi {

/// A stream that is no descriptor of the host: bytes to read, or a sink for what is written. Never waits.
struct Stream {
  std::shared_ptr<const std::string> bytes{};
  std::function<bool(std::string_view)> sink{};
  size_t read = 0;  // bytes that were read
};

/// Writes to one stream by several guests: each is made whole, and the next one after it.
struct Turn {
  sched::Mutex mutex;
};

/// What tasks wait with for a descriptor (wasi/blocking.cpp). Goes before the descriptor is closed.
struct Waits {
  std::shared_ptr<io::Reactor> reactor;
  io::Descriptor handle;  // empty: its last reactor had no room
};

/// An open descriptor of the guest. Host-side offsets, append mode and the like live in the host's descriptor.
///
/// What the context opened it owns. Everything else (streams, sockets of the embedder) it borrows: other programs may
/// hold the same open description, so its flags are not the guest's to change.
struct Descriptor {
  int host = -1;             // the host's descriptor
  HostFd owner;              // closes `host`; empty when it is borrowed
  bool read_only = false;    // beneath a read-only grant: whatever changes a file system fails with rofs
  bool preopen = false;      // announced by fd_prestat_get
  bool nonblocking = false;  // borrowed: the guest wants not to wait, though the host's description does
  bool raises = false;       // writes may raise SIGPIPE and SIGXFSZ in this process
  /// A listening socket. Whether accepting waits (`nonblocking`) is between it and the guest, whatever the host's flag: it
  /// waits until the guest has said otherwise, or has asked and been told otherwise (`told`). docs/decisions/0051.
  bool listens = false;
  bool told = false;       // listens: the guest knows whether accepting waits
  bool host_waits = true;  // listens: accepting on the host's would wait
  FileType type = FileType::Unknown;
  Rights base = 0;          // what may be done with it
  Rights inheriting = 0;    // what descriptors opened through it may have
  uint32_t sync_flags = 0;  // the dsync, rsync, sync flags it was opened with: the host cannot report all three
  static constexpr uint64_t kUnknownPosition = ~uint64_t{0};
  uint64_t dir_at = 0;  // directories: how many entries the host's position is behind, kUnknownPosition: unknown
  DirPositions dir_positions;
  std::string preopen_name;        // preopens: the guest's name for it
  std::unique_ptr<Stream> stream;  // its transfers are the stream's; `host` is the null device
  mutable Waits waits;             // made when a task first may have to wait
  std::shared_ptr<Turn> turn;      // whoever writes has it; null: several may write at a time

  bool is_socket() const { return type == FileType::SocketStream || type == FileType::SocketDgram; }
};

/// Not thread-safe: a context serves one vCPU at a time.
class FdTable {
 public:
  FdTable() = default;
  FdTable(const FdTable&) = delete;
  FdTable& operator=(const FdTable&) = delete;

  /// From now on at most `n` descriptors are open at a time.
  void limit(uint32_t n) { limit_ = n; }
  uint32_t limit() const { return limit_; }
  /// How many of the host's descriptors the table owns.
  size_t owned() const;
  bool full() const { return open_ >= limit_; }
  /// The limit for a guest whose embedder states none: half of what the process may open, at most 4,096.
  static uint32_t default_limit();

  /// The descriptor numbered `fd`, or null. The address stays valid until that number is closed or renumbered.
  Descriptor* get(uint32_t fd) { return fd < slots_.size() ? slots_[fd].get() : nullptr; }

  /// Adds under the lowest free number, as POSIX does. False when the table is full, or when the host has no number
  /// above those of its standard streams; `d` is closed then.
  bool insert(Descriptor d, uint32_t& fd);
  /// The next number, one of a standard stream, stays closed for ever: what the guest opens must not receive what it
  /// writes to that stream. Only while nothing has been closed yet.
  void add_closed();
  /// False when there is no such descriptor.
  bool close(uint32_t fd);
  /// Moves `from` to the number `to`, closing what was there; both must be open.
  bool renumber(uint32_t from, uint32_t to);

 private:
  bool taken(size_t at) const { return slots_[at] != nullptr || (at < 32 && (never_ >> at & 1) != 0); }

  std::vector<std::unique_ptr<Descriptor>> slots_;
  uint32_t lowest_free_ = 0;  // no number below it is free
  uint32_t limit_ = 4096;
  uint32_t open_ = 0;
  uint32_t never_ = 0;  // bit i: number i is never given to anything
};

/// The host's file type bits as WASI's type; sockets are told apart by asking `fd` (-1: stream).
FileType file_type(uint32_t mode, int fd);

/// Describes a host descriptor as a guest's: its type, and the rights that apply to it out of `allowed`. Borrowed, or
/// owned from now on.
Descriptor describe(int fd, Rights allowed);
Descriptor describe(HostFd fd, Rights allowed);
/// One whose type is known; owned.
Descriptor describe(HostFd fd, FileType type, Rights allowed);

/// Those of `wanted` that mean something for `d`, whose type is known.
Rights applicable_rights(const Descriptor& d, Rights wanted);

}  // namespace vmrun::wasi
