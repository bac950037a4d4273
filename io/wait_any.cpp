// Waiting for the first of many: what poll_oneoff needs. A place in a list for each interest, one timer for all.
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <mutex>
#include <new>
#include <span>

#include "io/reactor.h"
#include "io/use.h"

namespace vmrun::io {

namespace {

constexpr size_t most = size_t{1} << 20;
constexpr size_t small = 8;
// The system takes no more at once than a process may have descriptors, of which 1,024 are the least that is usual.
constexpr size_t looked_at_once = 512;

short events_of(Direction direction) {
  return static_cast<short>(direction == Direction::Read ? POLLIN | POLLRDHUP : POLLOUT);
}

/// An array, in the frame when it is small.
template <class T>
class Array {
 public:
  explicit Array(size_t size) {
    if (size > small) many_.reset(new (std::nothrow) T[size]);
    at_ = size > small ? many_.get() : few_;
  }
  T* data() { return at_; }

 private:
  T few_[small];
  std::unique_ptr<T[]> many_;
  T* at_;
};

}  // namespace

/// What an interest needs while it is waited for.
struct Reactor::Place {
  Interest* interest = nullptr;
  Cell* cell = nullptr;  // in use
  uint64_t tick = 0;
  Node node;
  bool looked_at = false;
  bool entered = false;

  Side& side() { return cell->side(interest->direction); }
};

/// Asks the system about those that are `looked_at`; how many are ready, or an error.
int64_t Reactor::look(std::span<Place> places, pollfd* fds) noexcept {
  int64_t ready = 0;
  for (size_t from = 0; from < places.size();) {
    size_t n = 0, to = from;
    for (; to < places.size() && n < looked_at_once; ++to) {
      Place& place = places[to];
      if (place.looked_at) fds[n++] = {place.cell->fd, events_of(place.interest->direction), 0};
    }
    int64_t r = 0;
    while (n != 0 && (r = sys::poll(fds, n, 0)) == -EINTR) {
    }
    if (r < 0) return r;
    n = 0;
    for (; from < to; ++from) {
      Place& place = places[from];
      if (!place.looked_at) continue;
      place.interest->happened = fds[n++].revents;
      if (place.interest->happened != 0) {
        ++ready;
      } else {
        place.side().drained.store(place.tick, std::memory_order_release);
      }
    }
  }
  return ready;
}

int64_t Reactor::wait_any(std::span<Interest> interests, const Until& until) noexcept {
  if (interests.empty()) {
    if (until.deadline == 0) return -EAGAIN;
    const int64_t slept = sleep(until);
    return slept < 0 ? slept : -ETIMEDOUT;
  }
  if (interests.size() > most) return -EINVAL;
  Array<Place> array(interests.size());
  Array<pollfd> fds(interests.size() + 1);
  if (array.data() == nullptr || fds.data() == nullptr) return -ENOMEM;
  const std::span<Place> places(array.data(), interests.size());

  int64_t ready = 0;
  for (size_t i = 0; i < places.size(); ++i) {
    Place& place = places[i];
    place.interest = &interests[i];
    place.interest->happened = 0;
    Cell& cell = *interests[i].descriptor->cell_;
    if (begin_use(cell)) {
      place.cell = &cell;
    } else {
      place.interest->happened = POLLNVAL;
      ++ready;
    }
  }
  const int64_t r = ready != 0 ? ready : wait_in(places, fds.data(), until);
  done_.add(Call::Wait);
  for (Place& place : places) {
    if (place.cell != nullptr) end_use(*place.cell);
  }
  return r;
}

int64_t Reactor::wait_in(std::span<Place> places, pollfd* fds, const Until& until) noexcept {
  const bool task = sched::on_task();
  for (;;) {
    int64_t ready = 0;
    for (Place& place : places) {
      place.tick = place.side().tick.load(std::memory_order_acquire);
      const bool always = place.cell->always.load(std::memory_order_relaxed);
      // Where an event would have told, and none did, there is nothing to see.
      const bool in_vain = task && until.deadline != 0 &&
                           place.side().drained.load(std::memory_order_acquire) == place.tick &&
                           place.cell->watched.load(std::memory_order_relaxed);
      place.looked_at = !always && !in_vain;
      if (always) {
        place.interest->happened = place.interest->direction == Direction::Read ? POLLIN : POLLOUT;
        ++ready;
      }
    }
    const int64_t seen = look(places, fds);
    if (seen < 0) return seen;
    ready += seen;
    if (ready != 0) return ready;
    if (until.deadline == 0) return -EAGAIN;

    Waiter waiter(until);
    int64_t error = 0;
    bool changed = false;
    for (Place& place : places) {
      Cell& cell = *place.cell;
      std::lock_guard lock(cell.lock);
      if (cell.closing) {
        place.interest->happened = POLLNVAL;
        ++ready;
        break;
      }
      if (task && (error = watch_locked(cell)) < 0) break;
      if (cell.always.load(std::memory_order_relaxed) ||
          place.side().tick.load(std::memory_order_relaxed) != place.tick) {
        changed = true;
        break;
      }
      place.node = Node{};
      place.node.waiter = &waiter;
      place.node.consumes = false;
      place.entered = true;
      enter(cell, place.interest->direction, place.node, false);
    }
    sched::Wake how = sched::Wake::Unparked;
    if (error == 0 && !changed && ready == 0) {
      if (task) {
        const auto first = static_cast<uint64_t>(places[0].cell->fd);
        how = waiter.wait(places.size() == 1 ? sched::WaitsFor{"descriptor", first}
                                             : sched::WaitsFor{"one of several descriptors, the first is", first});
      } else {
        for (size_t i = 0; i < places.size(); ++i) {
          fds[i] = {places[i].cell->fd, events_of(places[i].interest->direction), 0};
        }
        int64_t polled = 0;
        how = waiter.wait(fds, places.size(), polled);
        if (polled < 0) error = polled;
        changed = polled > 0;
      }
    }
    for (Place& place : places) {
      if (!place.entered) continue;
      place.entered = false;
      {
        std::lock_guard lock(place.cell->lock);
        leave(*place.cell, place.interest->direction, place.node);
      }
      changed |= place.node.fired;
      if (place.node.closed) {
        place.interest->happened = POLLNVAL;
        ++ready;
      }
    }
    if (error != 0) return error;
    if (ready != 0) return ready;
    if (!changed) return Waiter::error_of(how);
  }
}

}  // namespace vmrun::io
