// The life of descriptors, from adoption to the last handle.
#include "io/descriptor.h"

#include <cerrno>

#include "io/reactor.h"
#include "io/region.h"
#include "io/use.h"
#include "sched/check.h"

namespace vmrun::io {

void Descriptor::drop() noexcept {
  if (cell_->handles.fetch_sub(1, std::memory_order_acq_rel) == 1) cell_->reactor->last_handle(*cell_);
}

std::unique_ptr<Reactor> Reactor::create(const Options& options, int64_t& error) {
  std::unique_ptr<Reactor> reactor(new Reactor(options));
  reactor->backend_ = make_backend(options, *reactor, error);
  if (reactor->backend_ == nullptr) return nullptr;
  return reactor;
}

Reactor::~Reactor() {
  [[maybe_unused]] const Counts left = counts();
  SCHED_ASSERT(left.descriptors == 0 && left.transfers == 0 && left.nodes == 0,
               "a reactor ends before its descriptors");
}

Counts Reactor::counts() const noexcept {
  return {store_.live(), transfers_.load(std::memory_order_acquire), nodes_.load(std::memory_order_acquire)};
}

Descriptor Reactor::make(int fd, bool owned, bool raises, int64_t& error) noexcept {
  const int64_t kind = sys::describe(fd);
  error = kind < 0 ? kind : 0;
  if (error == 0 && owned && static_cast<sys::Kind>(kind) != sys::Kind::File) error = sys::set_nonblocking(fd);
  Cell* cell = error == 0 ? store_.take() : nullptr;
  if (cell == nullptr) {
    if (error == 0) error = -ENOMEM;
    if (owned) sys::close(fd);
    return {};
  }
  std::lock_guard lock(cell->lock);  // an old event may be looking at the generation
  cell->handles.store(1, std::memory_order_relaxed);
  cell->generation = (cell->generation + 1) & 0x7fffffff;
  cell->uses = 1;
  cell->closing = cell->closed = cell->orphan = false;
  cell->watched.store(false, std::memory_order_relaxed);
  cell->always.store(static_cast<sys::Kind>(kind) == sys::Kind::File, std::memory_order_relaxed);
  cell->no_now.store(false, std::memory_order_relaxed);
  cell->fd = cell->watched_fd = fd;
  cell->kind = static_cast<sys::Kind>(kind);
  cell->owned = owned;
  cell->quiet = !raises;
  cell->reactor = this;
  for (auto& slow : cell->slow) slow.store(0, std::memory_order_relaxed);
  cell->calls.store(0, std::memory_order_relaxed);
  for (Side& side : cell->sides) {
    side.tick.store(1, std::memory_order_relaxed);
    side.drained.store(0, std::memory_order_relaxed);
    side.ended.store(false, std::memory_order_relaxed);
  }
  return Descriptor(cell);
}

Descriptor Reactor::adopt(int fd, int64_t& error) noexcept { return make(fd, true, false, error); }
Descriptor Reactor::borrow(int fd, int64_t& error, bool raises) noexcept { return make(fd, false, raises, error); }

Descriptor Reactor::open_event(int64_t& error) noexcept {
  error = sys::event_create();
  return error < 0 ? Descriptor() : adopt(static_cast<int>(error), error);
}

Descriptor Reactor::open_signals(const sigset_t& signals, int64_t& error) noexcept {
  error = sys::signal_create(signals);
  return error < 0 ? Descriptor() : adopt(static_cast<int>(error), error);
}

int64_t Reactor::close(const Descriptor& d) noexcept { return shut(*d.cell_); }

int64_t Reactor::shut(Cell& cell) noexcept {
  {
    std::lock_guard lock(cell.lock);
    if (cell.closing) return -EBADF;
    cell.closing = true;
  }
  // From here on nobody begins to wait; those who do are woken, and leave.
  wake(cell, Direction::Read, true, true);
  wake(cell, Direction::Write, true, true);
  end_use(cell);
  return 0;
}

void Reactor::finish(Cell& cell) noexcept {
  if (cell.watched.load(std::memory_order_relaxed)) backend_->forget(cell.watched_fd);
  if (cell.watched_fd != cell.fd) sys::close(cell.watched_fd);
  if (cell.owned) {
    // The last close of a file may write, or free, much.
    Region region(cell.kind == sys::Kind::File);
    sys::close(cell.fd);
  }
  bool free = false;
  {
    std::lock_guard lock(cell.lock);
    cell.closed = true;
    free = cell.orphan;
  }
  if (free) store_.give(cell);
}

void Reactor::last_handle(Cell& cell) noexcept {
  bool close = false, free = false;
  {
    std::lock_guard lock(cell.lock);
    cell.orphan = true;
    close = !cell.closing;
    free = cell.closed;
  }
  if (close) {
    shut(cell);
  } else if (free) {
    store_.give(cell);
  }
}

bool Reactor::begin_use(Cell& cell) noexcept {
  std::lock_guard lock(cell.lock);
  if (cell.closing) return false;
  ++cell.uses;
  return true;
}

void Reactor::end_use(Cell& cell) noexcept {
  bool last = false;
  {
    std::lock_guard lock(cell.lock);
    last = --cell.uses == 0;
  }
  if (last) finish(cell);
}

}  // namespace vmrun::io
