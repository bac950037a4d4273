// Events from outside: who is inside the poller, and how it is taken away. The protocol is described in core.h.
#include "sched/check.h"
#include "sched/core.h"
#include "sched/worker.h"

namespace vmrun::sched {

void Core::set_poller(Poller* poller) {
  Poller* before = nullptr;
  {
    std::lock_guard lock(idle_lock_);
    before = poller_.exchange(poller, std::memory_order_acq_rel);
    SCHED_ASSERT(before == nullptr || poller == nullptr, "a second poller");
    poll_worker_ = nullptr;
    if (before != nullptr) {
      before->interrupt();
    }
    if (poller != nullptr && !idle_workers_.empty()) {
      wake_worker_locked(*idle_workers_.back(), nullptr, false);  // goes to sleep again, in poll()
    }
  }
  if (before != nullptr) {
    // Nobody is inside once both locks were free: whoever comes next finds no poller.
    poll_lock_.lock();
    poll_lock_.unlock();
  }
}

bool Core::events_awaited_locked() const {
  const Poller* poller = poller_.load(std::memory_order_relaxed);
  return poller != nullptr && poller->waited_for();
}

bool Core::poll_now() {
  if (poller_.load(std::memory_order_relaxed) == nullptr || !poll_lock_.try_lock()) {
    return false;
  }
  int events = 0;
  // Looked at again under the lock: before, it may have been taken away.
  Poller* poller = poller_.load(std::memory_order_acquire);
  if (poller != nullptr && poller->waited_for()) {
    events = poller->poll(0);
    count(polls_);
  }
  poll_lock_.unlock();
  return events > 0;
}

int Core::wait_in_poll(Worker& worker, Nanos deadline) {
  // Held by somebody who does not wait, or by the poll worker before, who is on its way out. Or by the one after: this
  // worker has then been woken meanwhile.
  for (int spins = 0; !poll_lock_.try_lock(); ++spins) {
    if (worker.wake_word_.load(std::memory_order_acquire) != 0) {
      return 0;
    }
    if (spins < 100) {
      pause_cpu();
    } else {
      ::sched_yield();
    }
  }
  int events = 0;
  Poller* poller = poller_.load(std::memory_order_acquire);
  // Looked at under the lock: an interrupt that was meant for this sleep comes after the word, and nobody else polls.
  if (poller != nullptr && worker.wake_word_.load(std::memory_order_acquire) == 0) {
    worker.gathering_ = true;
    events = poller->poll(deadline);
    worker.gathering_ = false;
  }
  count(polls_);
  poll_lock_.unlock();
  return events;
}

}  // namespace vmrun::sched
