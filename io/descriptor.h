// Descriptors, counted: a handle (Descriptor), what is behind it (Cell), and the store of cells.
//
// Rules. A cell's number stays open while a call uses it (Use): close() marks it, ends all waits with -EBADF, and the
// last use closes the number. So no call ever meets a number that means another file by then. A borrowed file's number is
// its lender's to keep open, and nobody waits for it: its calls are not counted, and the handle that they are made with
// keeps the cell. Cells are never given
// back to the system before the store ends, because an event that a backend has already taken may still name one; its
// generation tells whether it is meant. `lock` guards what is not atomic; it is held for a few instructions, and for the
// system call of the first wait. No other lock is taken under it but a Waiter's own wake-up.
//
// Events. Each direction counts its events (`tick`). A call reads the count before it tries, and waits only if no event
// came since. `drained` is the count at which a call has seen that nothing was left: the next call need not try before it
// waits. An event wakes all that only look and one that takes; that one, unless it has seen that nothing is left, wakes
// the next (pass_on).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "io/sys.h"
#include "io/wait.h"
#include "sched/spin_lock.h"

namespace vmrun::io {

class Reactor;
class Store;

enum class Direction : uint8_t { Read, Write };

/// One direction of a descriptor.
struct Side {
  std::atomic<uint64_t> tick{1};
  std::atomic<uint64_t> drained{0};
  std::atomic<bool> ended{false};  // a short transfer no longer tells that nothing is left
  std::atomic<bool> waits{false};  // the list is not empty
  NodeList nodes;
};

struct Cell {
  sched::SpinLock lock;
  std::atomic<uint32_t> handles{0};
  uint32_t index = 0;
  uint32_t generation = 0;  // of 31 bits; changes when the cell is used again
  uint32_t uses = 0;        // 1 while it is not closed, and 1 for each call
  std::atomic<bool> closing{false};
  bool closed = true;
  bool orphan = false;               // no handle is left
  std::atomic<bool> watched{false};  // by the backend
  std::atomic<bool> always{false};   // cannot be watched: never waits
  std::atomic<bool> no_now{false};   // the kernel cannot try without waiting
  int fd = -1;
  int watched_fd = -1;  // `fd`, or its duplicate where another cell watches the same number
  sys::Kind kind = sys::Kind::Other;
  bool owned = false;   // closed with the cell; non-blocking, unless a file
  bool quiet = true;    // raises no signals
  bool shared = false;  // Reactor::borrow gives it to all who ask
  sys::FileId file;
  std::array<std::atomic<uint8_t>, 3> slow{};  // how slow reads, writes and syncs have proved
  std::atomic<uint8_t> calls{0};               // of a file
  std::array<Side, 2> sides;
  Reactor* reactor = nullptr;
  Cell* next_free = nullptr;

  Side& side(Direction direction) { return sides[static_cast<size_t>(direction)]; }
  /// Whether calls are counted, so that the number stays open while there are some.
  bool counts_uses() const { return owned || kind != sys::Kind::File; }
  uint64_t token() const { return uint64_t{index} << 31 | generation; }
};

/// A counted handle to an open descriptor; copies mean the same. The last one closes it. No handle outlives its reactor.
class Descriptor {
 public:
  Descriptor() = default;
  Descriptor(const Descriptor& other) noexcept : cell_(other.cell_) {
    if (cell_ != nullptr) cell_->handles.fetch_add(1, std::memory_order_relaxed);
  }
  Descriptor(Descriptor&& other) noexcept : cell_(std::exchange(other.cell_, nullptr)) {}
  Descriptor& operator=(Descriptor other) noexcept {
    std::swap(cell_, other.cell_);
    return *this;
  }
  ~Descriptor() {
    if (cell_ != nullptr) drop();
  }

  explicit operator bool() const { return cell_ != nullptr; }
  /// The system's number, for calls that do not wait. It may be closed, and mean another file, once close() was called.
  int fd() const { return cell_->fd; }
  sys::Kind kind() const { return cell_->kind; }
  /// Whether others who borrow the same number get handles to it.
  bool is_lent() const { return cell_->shared; }

 private:
  friend class Reactor;
  explicit Descriptor(Cell* cell) : cell_(cell) {}  // takes over a handle
  void drop() noexcept;
  Cell* cell_ = nullptr;
};

/// Cells by their index.
class Store {
 public:
  ~Store();
  /// A cell that nobody knows, or null when there are too many or no memory is left.
  Cell* take() noexcept;
  void give(Cell& cell) noexcept;
  /// The cell that a token names, of whichever generation.
  Cell* at(uint64_t token) noexcept;
  size_t live() const noexcept { return live_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t chunk_cells = 64;
  static constexpr size_t max_chunks = 16384;  // a million descriptors, what Linux allows a process at most
  std::array<std::atomic<Cell*>, max_chunks> chunks_{};
  std::mutex mutex_;
  size_t chunk_count_ = 0;
  Cell* free_ = nullptr;
  std::atomic<size_t> live_{0};
};

}  // namespace vmrun::io
