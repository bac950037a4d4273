// FdTable: what the guest's descriptor numbers stand for.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/reactor.h"
#include "sched/spin_lock.h"
#include "sched/sync.h"
#include "wasi/abi.h"
#include "wasi/dir_positions.h"
#include "wasi/sys.h"

namespace vmrun::wasi {

/// A value that threads read and write as they come. Copied only while nobody else does.
template <class T>
class Relaxed {
 public:
  Relaxed(T value = T()) : value_(value) {}
  Relaxed(const Relaxed& other) : value_(T(other)) {}
  Relaxed& operator=(const Relaxed& other) { return *this = T(other); }
  Relaxed& operator=(T value) {
    value_.store(value, std::memory_order_relaxed);
    return *this;
  }
  operator T() const { return value_.load(std::memory_order_relaxed); }
  std::atomic<T>& atomic() { return value_; }

 private:
  std::atomic<T> value_;
};

/// A stream that is no descriptor of the host: bytes to read, or a sink for what is written. Never waits but for a sink.
struct Stream {
  std::shared_ptr<const std::string> bytes{};
  std::function<bool(std::string_view)> sink{};
  std::atomic<size_t> read{0};  // bytes that were read
  sched::Mutex writing{};       // threads call the sink one at a time
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

/// Where a directory's listing stands.
struct Listing {
  static constexpr uint64_t kUnknownPosition = ~uint64_t{0};
  uint64_t at = 0;  // how many entries the host's position is behind, kUnknownPosition: unknown
  DirPositions positions;
};

/// What the threads of a program agree about for one descriptor. `users` and `closed` are under the table's lock, `shut`
/// and the descriptor's `waits` under `lock`, once `on` is set.
struct Sharing {
  Sharing() = default;
  Sharing(Sharing&&) noexcept {}  // a descriptor moves while nobody else knows it
  Sharing& operator=(Sharing&&) noexcept { return *this; }

  bool on = false;      // set before there is a second thread
  uint32_t users = 0;   // calls at work on it
  bool closed = false;  // it has no number any more, and goes with its last user
  bool shut = false;    // nobody begins to wait for it any more
  sched::SpinLock lock;
  std::atomic<bool> listed{false};  // a call reads the directory
};

/// An open descriptor of the guest. Host-side offsets, append mode and the like live in the host's descriptor.
///
/// What the context opened it owns. Everything else (streams, sockets of the embedder) it borrows: other programs may
/// hold the same open description, so its flags are not the guest's to change.
struct Descriptor {
  int host = -1;                      // the host's descriptor
  uint64_t serial = 0;                // in its table: no other descriptor has had it
  HostFd owner;                       // closes `host`; empty when it is borrowed
  bool read_only = false;             // beneath a read-only grant: whatever changes a file system fails with rofs
  bool preopen = false;               // announced by fd_prestat_get
  Relaxed<bool> nonblocking = false;  // borrowed: the guest wants not to wait, though the host's description does
  bool null = false;                  // the null device of the process, whose flags are known: it has none
  bool raises = false;                // writes may raise SIGPIPE and SIGXFSZ in this process
  /// Whether the host's description waits, where that is known. Of what is owned and has one thread: nobody else changes it.
  enum class HostWaits : uint8_t { Unknown, Yes, No };
  mutable HostWaits host_mode = HostWaits::Unknown;
  /// A listening socket. Whether accepting waits (`nonblocking`) is between it and the guest, whatever the host's flag: it
  /// waits until the guest has said otherwise, or has asked and been told otherwise (`told`). docs/decisions/0051.
  bool listens = false;
  Relaxed<bool> told = false;  // listens: the guest knows whether accepting waits
  bool host_waits = true;      // listens: accepting on the host's would wait
  FileType type = FileType::Unknown;
  Relaxed<Rights> base = 0;        // what may be done with it
  Relaxed<Rights> inheriting = 0;  // what descriptors opened through it may have
  uint32_t sync_flags = 0;         // the dsync, rsync, sync flags it was opened with: the host cannot report all three
  Listing listing;                 // directories
  std::string preopen_name;        // preopens: the guest's name for it
  std::unique_ptr<Stream> stream;  // its transfers are the stream's; `host` is the null device
  mutable Waits waits;             // made when a task first may have to wait
  mutable Sharing sharing;
  std::shared_ptr<Turn> turn;  // whoever writes has it; null: several may write at a time

  bool is_socket() const { return type == FileType::SocketStream || type == FileType::SocketDgram; }
};

class FdTable;

/// A descriptor that a call works on. It keeps the host's descriptor open, also when another thread closes the guest's: no
/// call meets another file under its number.
class FdRef {
 public:
  FdRef() = default;
  FdRef(FdRef&& other) noexcept : d_(std::exchange(other.d_, nullptr)), table_(other.table_) {}
  FdRef& operator=(FdRef&& other) noexcept {
    std::swap(d_, other.d_);
    std::swap(table_, other.table_);
    return *this;
  }
  inline ~FdRef();

  Descriptor* get() const { return d_; }
  Descriptor& operator*() const { return *d_; }
  Descriptor* operator->() const { return d_; }
  friend bool operator==(const FdRef& a, std::nullptr_t) { return a.d_ == nullptr; }

 private:
  friend class FdTable;
  void set(Descriptor* d, FdTable* table) {
    d_ = d;
    table_ = table;
    if (d != nullptr) ++d->sharing.users;
  }

  Descriptor* d_ = nullptr;
  FdTable* table_ = nullptr;
};

/// One thread uses a table, until share() says that several do. Its lock is held for a few instructions.
class FdTable {
 public:
  /// Room for one more descriptor, while it lives. Tests false where the table is full.
  class Place {
   public:
    explicit Place(FdTable& table);
    Place(Place&& other) noexcept : table_(std::exchange(other.table_, nullptr)) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (table_ != nullptr) --table_->open_;
    }
    explicit operator bool() const { return table_ != nullptr; }

   private:
    friend class FdTable;
    FdTable* table_;
  };

  FdTable() = default;
  FdTable(const FdTable&) = delete;
  FdTable& operator=(const FdTable&) = delete;

  /// From now on at most `n` descriptors are open at a time. Until something is said, default_limit() as it is when there is to be
  /// one more than the standard streams.
  void limit(uint32_t n) { limit_ = std::min(n, kNotAsked - 1); }
  uint32_t limit() const {
    if (limit_ == kNotAsked) limit_ = default_limit();
    return limit_;
  }
  /// How many of the host's descriptors the table owns.
  size_t owned() const;
  /// The limit for a guest whose embedder states none: half of what the process may open, at most 4,096.
  static uint32_t default_limit();

  /// From now on several threads may use the table at a time. By the one that uses it.
  void share();
  bool is_shared() const { return shared_.load(std::memory_order_relaxed); }
  /// How often a number has lost its descriptor, or a descriptor rights. Of a table that is not shared.
  uint64_t changes() const { return changes_; }
  void note_change() {
    if (!is_shared()) ++changes_;
  }

  /// The descriptor numbered `fd`, or null.
  FdRef get(uint32_t fd) {
    FdRef out;
    get(fd, out);
    return out;
  }
  /// The same, where `out` is empty.
  void get(uint32_t fd, FdRef& out) {
    if (shared_.load(std::memory_order_relaxed)) [[unlikely]]
      return get_shared(fd, out);
    out.set(at(fd), this);
  }

  /// Adds under the lowest free number, as POSIX does. False when the table is full, or when the host has no number
  /// above those of its standard streams; `d` is closed then.
  bool insert(Descriptor d, uint32_t& fd);
  /// The same in a place that was taken before: for what cannot be given back, such as a connection.
  bool insert(Descriptor d, uint32_t& fd, Place place);
  /// The next number, one of a standard stream, stays closed for ever: what the guest opens must not receive what it
  /// writes to that stream. Only while nothing has been closed yet.
  void add_closed();
  /// False when there is no such descriptor. What other threads wait for in it ends with -EBADF.
  bool close(uint32_t fd);
  /// Moves `from` to the number `to`, closing what was there; both must be open.
  bool renumber(uint32_t from, uint32_t to);

 private:
  friend class FdRef;
  class Guard;

  Descriptor* at(uint32_t fd) { return fd < slots_.size() ? slots_[fd].get() : nullptr; }
  void get_shared(uint32_t fd, FdRef& out);
  /// The end of a call's use.
  void release(Descriptor* d) {
    if (shared_.load(std::memory_order_relaxed)) [[unlikely]]
      return release_shared(d);
    if (--d->sharing.users == 0 && d->sharing.closed) [[unlikely]]
      delete d;
  }
  void release_shared(Descriptor* d);
  /// Closes what has lost its number. Without the lock.
  void drop(std::unique_ptr<Descriptor> d);
  bool taken(size_t at) const { return slots_[at] != nullptr || (at < 32 && (never_ >> at & 1) != 0); }

  std::atomic<bool> shared_{false};
  sched::SpinLock lock_;  // once shared, of all below
  std::vector<std::unique_ptr<Descriptor>> slots_;
  uint32_t lowest_free_ = 0;  // no number below it is free
  uint64_t serials_ = 0;
  uint64_t changes_ = 0;
  static constexpr uint32_t kNotAsked = UINT32_MAX;
  mutable uint32_t limit_ = kNotAsked;
  std::atomic<uint32_t> open_{0};  // with the places that are taken
  uint32_t never_ = 0;             // bit i: number i is never given to anything
};

inline FdRef::~FdRef() {
  if (d_ != nullptr) table_->release(d_);
}

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
