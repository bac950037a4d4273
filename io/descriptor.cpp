// The life of descriptors, from adoption to the last handle.
#include "io/descriptor.h"

#include <cerrno>
#include <mutex>
#include <new>

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
  Descriptor made = error == 0 ? make(fd, static_cast<sys::Kind>(kind), owned, raises) : Descriptor();
  if (!made) {
    if (error == 0) error = -ENOMEM;
    if (owned) sys::close(fd);
  }
  return made;
}

Descriptor Reactor::make(int fd, sys::Kind kind, bool owned, bool raises) noexcept {
  Cell* cell = store_.take();
  if (cell == nullptr) return {};
  std::lock_guard lock(cell->lock);  // an old event may be looking at the generation
  cell->handles.store(1, std::memory_order_relaxed);
  cell->generation = (cell->generation + 1) & 0x7fffffff;
  cell->uses = 1;
  cell->closing.store(false, std::memory_order_relaxed);
  cell->closed = cell->orphan = false;
  cell->watched.store(false, std::memory_order_relaxed);
  cell->always.store(kind == sys::Kind::File, std::memory_order_relaxed);
  cell->no_now.store(false, std::memory_order_relaxed);
  cell->fd = cell->watched_fd = fd;
  cell->kind = kind;
  cell->owned = owned;
  cell->quiet = !raises;
  cell->shared = false;
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

Descriptor Reactor::share(Cell& cell, const sys::FileId& file) noexcept {
  {
    std::lock_guard lock(cell.lock);
    if (cell.closing || cell.file != file) return {};
  }
  uint32_t handles = cell.handles.load(std::memory_order_relaxed);
  while (handles != 0 && !cell.handles.compare_exchange_weak(handles, handles + 1, std::memory_order_relaxed)) {
  }
  return handles != 0 ? Descriptor(&cell) : Descriptor();
}

Descriptor Reactor::borrow(int fd, int64_t& error, const Borrowing& how) noexcept {
  sys::FileId file;
  const int64_t described = sys::describe(fd, &file);
  error = described < 0 ? described : 0;
  if (error != 0) return {};
  const auto kind = static_cast<sys::Kind>(described);
  // Files need no place to wait in, and what else there is may be one file with many others.
  const bool lends = !how.alone && (kind == sys::Kind::Pipe || kind == sys::Kind::Stream || kind == sys::Kind::Socket);
  auto& lent = borrowed_[how.raises];
  std::unique_lock lock(borrowed_lock_, std::defer_lock);
  if (lends) {
    lock.lock();
    if (const auto found = lent.find(fd); found != lent.end()) {
      if (Descriptor same = share(*found->second, file)) return same;
    }
  }
  Descriptor made = make(fd, kind, false, how.raises);
  if (!made) {
    error = -ENOMEM;
    return {};
  }
  if (lends) {
    Cell& cell = *made.cell_;
    cell.file = file;
    try {
      lent[fd] = &cell;
      cell.shared = true;
    } catch (const std::bad_alloc&) {  // then the next one has another
    }
  }
  return made;
}

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
  drop_use(cell);
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
  if (cell.shared) {
    std::lock_guard lock(borrowed_lock_);
    auto& lent = borrowed_[!cell.quiet];
    // By now another cell may be lent under this number.
    if (const auto found = lent.find(cell.fd); found != lent.end() && found->second == &cell) lent.erase(found);
  }
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
  if (!cell.counts_uses()) return !cell.closing.load(std::memory_order_acquire);
  std::lock_guard lock(cell.lock);
  if (cell.closing) return false;
  ++cell.uses;
  return true;
}

void Reactor::end_use(Cell& cell) noexcept {
  if (cell.counts_uses()) drop_use(cell);
}

void Reactor::drop_use(Cell& cell) noexcept {
  bool last = false;
  {
    std::lock_guard lock(cell.lock);
    last = --cell.uses == 0;
  }
  if (last) finish(cell);
}

}  // namespace vmrun::io
