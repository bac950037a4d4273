// Events of descriptors and the waits that they end.
#include <poll.h>

#include <cerrno>
#include <mutex>

#include "io/reactor.h"
#include "io/retry.h"
#include "io/use.h"

namespace vmrun::io {

namespace {
constexpr Nanos ask_again = 1'000'000;
}

int Reactor::ready(uint64_t token, uint32_t ready) noexcept {
  Cell* cell = store_.at(token);
  if (cell == nullptr) return 0;
  const bool ended = (ready & ready_ended) != 0;
  {
    std::lock_guard lock(cell->lock);
    if (cell->token() != token || cell->closed) return 0;  // of a descriptor that is gone
    for (const Direction direction : {Direction::Read, Direction::Write}) {
      Side& side = cell->side(direction);
      if (ended) side.ended.store(true, std::memory_order_relaxed);
      if ((ready & (direction == Direction::Read ? ready_read : ready_write)) != 0) {
        side.tick.fetch_add(1, std::memory_order_release);
      }
    }
  }
  // By now the cell may be another descriptor's: its waiters are woken without need and wait again.
  int woken = 0;
  if ((ready & ready_read) != 0) woken += wake(*cell, Direction::Read, ended);
  if ((ready & ready_write) != 0) woken += wake(*cell, Direction::Write, ended);
  return woken;
}

int Reactor::wake(Cell& cell, Direction direction, bool all, bool closed) noexcept {
  int woken = 0;
  Side& side = cell.side(direction);
  bool take_one = true;
  for (bool more = true; more;) {
    Unparks unparks;
    {
      std::lock_guard lock(cell.lock);
      Node* node = side.nodes.first;
      // Once one that takes is woken, only those that look are left to find.
      while (node != nullptr && !unparks.full() && (all || take_one || side.nodes.lookers != 0)) {
        Node* next = node->next;
        if (all || !node->consumes || take_one) {
          take_one &= !node->consumes;
          side.nodes.unlink(*node);
          node->fired = true;
          node->closed = closed;
          node->waiter->signal(unparks);
        }
        node = next;
      }
      more = node != nullptr && unparks.full();
      if (side.nodes.first == nullptr) side.waits.store(false, std::memory_order_relaxed);
    }
    woken += unparks.flush();
  }
  return woken;
}

void Reactor::pass_on_what_is_left(Cell& cell, Direction direction) noexcept {
  pollfd one{cell.fd, static_cast<short>(direction == Direction::Read ? POLLIN | POLLRDHUP : POLLOUT), 0};
  int64_t r;
  do {
    r = sys::poll(&one, 1, 0);
  } while (r == -EINTR);
  if (r != 0) wake(cell, direction, false);
}

int64_t Reactor::watch_locked(Cell& cell) noexcept {
  if (cell.watched.load(std::memory_order_relaxed) || cell.always.load(std::memory_order_relaxed)) return 0;
  Op watch;
  watch.fd = cell.watched_fd;
  watch.token = cell.token();
  int64_t r = backend_->start(watch);
  if (r == -EEXIST && cell.watched_fd == cell.fd) {
    // Another cell has this number: an inherited stream that several guests use.
    if ((r = sys::duplicate(cell.fd)) < 0) return r;
    cell.watched_fd = watch.fd = static_cast<int>(r);
    r = backend_->start(watch);
  }
  if (r == 0) {
    cell.watched.store(true, std::memory_order_relaxed);
  } else if (r == -EPERM) {
    cell.always.store(true, std::memory_order_relaxed);
    r = 0;
  }
  return r;
}

// Under the cell's lock.
void Reactor::enter(Cell& cell, Direction direction, Node& node, bool front) noexcept {
  Side& side = cell.side(direction);
  side.nodes.push(node, front);
  side.waits.store(true, std::memory_order_relaxed);
  nodes_.fetch_add(1, std::memory_order_relaxed);
  waiting_.fetch_add(1, std::memory_order_seq_cst);
}

// Under the cell's lock.
void Reactor::leave(Cell& cell, Direction direction, Node& node) noexcept {
  Side& side = cell.side(direction);
  if (node.linked) {
    side.nodes.unlink(node);
    if (side.nodes.first == nullptr) side.waits.store(false, std::memory_order_relaxed);
  }
  nodes_.fetch_sub(1, std::memory_order_relaxed);
  waiting_.fetch_sub(1, std::memory_order_relaxed);
}

int64_t Reactor::wait_for_event(Cell& cell, Direction direction, uint64_t tick, bool again,
                                const Until& until) noexcept {
  Waiter waiter(until);
  Node node;
  node.waiter = &waiter;
  bool always = false;
  {
    std::lock_guard lock(cell.lock);
    if (cell.closing) return -EBADF;
    if (waiter.is_task()) {
      if (const int64_t r = watch_locked(cell); r < 0) return r;
    }
    if (cell.side(direction).tick.load(std::memory_order_relaxed) != tick) return 0;
    always = cell.always.load(std::memory_order_relaxed);
    if (!always) enter(cell, direction, node, again);
  }
  if (always) {
    // A device that cannot be waited for and yet says so: it is asked again after a while.
    const Nanos soon = sched::now() + ask_again;
    if (until.deadline < soon) return -ETIMEDOUT;
    return sleep(until.by(soon));
  }
  sched::Wake how;
  int64_t ready = 0;
  if (waiter.is_task()) {
    how = waiter.wait({direction == Direction::Read ? "input on descriptor" : "room to write on descriptor",
                       static_cast<uint64_t>(cell.fd)});
  } else {
    pollfd fds[2] = {{cell.fd, static_cast<short>(direction == Direction::Read ? POLLIN | POLLRDHUP : POLLOUT), 0}, {}};
    how = waiter.wait(fds, 1, ready);
  }
  {
    std::lock_guard lock(cell.lock);
    leave(cell, direction, node);
  }
  if (node.closed) return -EBADF;
  if (ready < 0) return ready;
  if (node.fired || ready != 0) return 1;  // also where it was cancelled meanwhile: nobody else was told of the event
  return Waiter::error_of(how);
}

int64_t Reactor::wait(const Descriptor& d, Direction direction, const Until& until) noexcept {
  Interest one{&d, direction, 0};
  const int64_t r = wait_any({&one, 1}, until);
  return r < 0 ? r : 0;
}

int64_t Reactor::sleep(const Until& until) noexcept {
  if (until.deadline == 0) return 0;
  Waiter waiter(until);
  pollfd none[1];
  int64_t ready = 0;
  const sched::Wake how = waiter.is_task() ? waiter.wait() : waiter.wait(none, 0, ready);
  return how == sched::Wake::TimedOut ? 0 : -ECANCELED;
}

int Reactor::poll(int64_t deadline) noexcept { return backend_->reap(deadline); }

}  // namespace vmrun::io
