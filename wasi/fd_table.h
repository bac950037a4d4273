// FdTable: what the guest's descriptor numbers stand for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "wasi/abi.h"
#include "wasi/sys.h"

namespace vmrun::wasi {

/// An open descriptor of the guest. Host-side offsets, append mode and the like live in the host's descriptor.
struct Descriptor {
  int host = -1;           // the host's descriptor
  bool owned = false;      // close `host` with it; streams and sockets of the embedder are borrowed
  bool read_only = false;  // beneath a read-only grant: whatever changes a file system fails with rofs
  bool preopen = false;    // announced by fd_prestat_get
  FileType type = FileType::Unknown;
  Rights base = 0;          // what may be done with it
  Rights inheriting = 0;    // what descriptors opened through it may have
  uint32_t sync_flags = 0;  // the dsync, rsync, sync flags it was opened with: the host cannot report all three
  static constexpr uint64_t kUnknownPosition = ~uint64_t{0};
  uint64_t dir_at = 0;  // directories: how many entries the host's position is behind, kUnknownPosition: unknown
  std::vector<int64_t> dir_positions;  // the host's position behind each entry read since the start
  std::string preopen_name;            // preopens: the guest's name for it
};

/// Not thread-safe: a context serves one vCPU at a time.
class FdTable {
 public:
  FdTable() = default;
  ~FdTable();
  FdTable(const FdTable&) = delete;
  FdTable& operator=(const FdTable&) = delete;

  /// The descriptor numbered `fd`, or null. The address stays valid until that number is closed or renumbered.
  Descriptor* get(uint32_t fd) { return fd < slots_.size() ? slots_[fd].get() : nullptr; }

  /// Adds under the lowest free number, as POSIX does. False when the table is full (and `d` is closed).
  bool insert(Descriptor d, uint32_t& fd);
  /// False when there is no such descriptor.
  bool close(uint32_t fd);
  /// Moves `from` to the number `to`, closing what was there; both must be open.
  bool renumber(uint32_t from, uint32_t to);

 private:
  // The host's own limit on descriptors is reached long before; this keeps guest numbers below 2^31.
  static constexpr size_t kMax = size_t{1} << 20;

  static void dispose(Descriptor& d);
  std::vector<std::unique_ptr<Descriptor>> slots_;
  uint32_t lowest_free_ = 0;  // no number below it is free
};

/// The host's file type bits as WASI's type; sockets are told apart by asking `fd` (-1: stream).
FileType file_type(uint32_t mode, int fd);

/// Describes the host descriptor `fd` as a guest's: its type, and the rights that apply to it out of `allowed`.
Descriptor describe(int fd, bool owned, Rights allowed);

/// Those of `wanted` that mean something for `d`, whose type is known.
Rights applicable_rights(const Descriptor& d, Rights wanted);

}  // namespace vmrun::wasi
