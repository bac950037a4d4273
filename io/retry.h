// Try, wait, try again: how every call that may wait is made.
#pragma once

#include <cerrno>

#include "io/reactor.h"

namespace vmrun::io {

/// Whether the calling task is cancelled, or its Stop or flag is set.
inline bool is_cancelled(const Until& until) noexcept {
  return until.is_over() || (until.cancellable == sched::Cancellable::Yes && sched::is_cancelled());
}

/// After a call that did not have to wait: a task whose slice is over gives way.
inline void give_way() noexcept {
  if (sched::preempt_requested() && sched::on_task()) sched::yield();
}

// `wanted`: bytes that a read asks for. One that gives fewer leaves nothing, where the kind of descriptor says so; 0 where
// a short answer does not say that (a look ahead, a message, a connection, a write: memory may have been short).
template <class Attempt>
int64_t Reactor::retry(Cell& cell, Direction direction, size_t wanted, const Until& until, Attempt attempt) noexcept {
  Side& side = cell.side(direction);
  bool again = false;
  for (;;) {
    const uint64_t tick = side.tick.load(std::memory_order_acquire);
    // Where a call does not wait nobody may be there to take events, so only the system knows.
    const bool in_vain = until.deadline != 0 && side.drained.load(std::memory_order_acquire) == tick &&
                         cell.watched.load(std::memory_order_relaxed);
    if (!in_vain) {
      const int64_t r = attempt();
      if (r == -EINTR) {
        if (is_cancelled(until)) {
          pass_on(cell, direction);
          return -ECANCELED;
        }
        continue;
      }
      if (r != -EAGAIN) {
        const bool all = r > 0 && static_cast<size_t>(r) < wanted &&
                         (cell.kind == sys::Kind::Stream || cell.kind == sys::Kind::Pipe) &&
                         !side.ended.load(std::memory_order_acquire);
        if (all) {
          side.drained.store(tick, std::memory_order_release);
        } else {
          pass_on(cell, direction);
        }
        give_way();
        return r;
      }
      side.drained.store(tick, std::memory_order_release);
      if (until.deadline == 0) return -EAGAIN;
    }
    const int64_t r = wait_for_event(cell, direction, tick, again, until);
    if (r < 0) return r;
    again = r == 1;
  }
}

}  // namespace vmrun::io
