// Mutex, Condition, Event, WaitGroup.
#include "sched/sync.h"

#include "sched/check.h"
#include "sched/core.h"
#include "sched/cpu_x86_64.h"
#include "sched/worker.h"

namespace vmrun::sched {

namespace {

// As Go's: how often and how long to look at a held mutex before waiting, and when a waiter is starving.
constexpr int looks = 4;
constexpr int pauses_a_look = 30;
constexpr Nanos starving_after = 1'000'000;

uint64_t address(const void* object) { return reinterpret_cast<uintptr_t>(object); }

/// Whether the holder of a lock may run beside the caller.
bool may_spin() {
  Worker* worker = current_worker();
  return worker == nullptr || worker->core().processors.size() > 1;
}

void signal_all(WaitList::Node* node) {
  while (node != nullptr) {
    WaitList::Node* next = WaitList::next_of(node);
    WaitList::signal(node);
    node = next;
  }
}

}  // namespace

Wake Mutex::lock_slow(Cancellable cancellable, Nanos deadline) {
  uint32_t seen = state_.load(std::memory_order_relaxed);
  const bool spin = may_spin();
  for (int look = 0; look < looks; ++look) {
    if ((seen & kLocked) == 0 &&
        state_.compare_exchange_weak(seen, seen | kLocked, std::memory_order_acquire, std::memory_order_relaxed)) {
      return Wake::Unparked;
    }
    // With others in line the wait is long.
    if (!spin || (seen & kContended) != 0) {
      break;
    }
    for (int i = 0; i < pauses_a_look; ++i) {
      pause_cpu();
    }
    seen = state_.load(std::memory_order_relaxed);
  }

  WaitList::Node node;
  bool came_back = false;
  for (;;) {
    lock_.lock();
    if (came_back) {
      woken_ = false;
    }
    seen = state_.load(std::memory_order_relaxed);
    for (;;) {
      if ((seen & kLocked) == 0) {
        const uint32_t taken = kLocked | (waiters_.empty() && !woken_ ? 0 : kContended);
        if (state_.compare_exchange_weak(seen, taken, std::memory_order_acquire, std::memory_order_relaxed)) {
          lock_.unlock();
          return Wake::Unparked;
        }
      } else if ((seen & kContended) != 0 ||
                 state_.compare_exchange_weak(seen, seen | kContended, std::memory_order_relaxed)) {
        break;  // whoever unlocks comes by way of lock_
      }
    }
    node.signalled.store(0, std::memory_order_relaxed);
    node.handed = false;
    if (!came_back) {
      node.since = now();
      waiters_.push(node);
    } else {
      starving_ |= now() - node.since > starving_after;
      waiters_.push_front(node);
    }
    lock_.unlock();
    const Wake how = waiters_.wait(node, lock_, cancellable, deadline, {"mutex", address(this)});
    if (how != Wake::Unparked || node.handed) {
      return how;
    }
    came_back = true;
  }
}

void Mutex::unlock_slow() {
  lock_.lock();
  if ((state_.load(std::memory_order_relaxed) & kLocked) == 0) {
    misuse("a Mutex was unlocked that nobody holds: each unlock() follows a lock() that succeeded");
  }
  // While it is locked nobody else changes the state, but under lock_.
  WaitList::Node* next = nullptr;
  if (starving_) {
    next = waiters_.pop();
    if (next != nullptr) {
      next->handed = true;
      starving_ = !waiters_.empty() && now() - next->since > starving_after;
      state_.store(kLocked | (waiters_.empty() && !woken_ ? 0 : kContended), std::memory_order_release);
      lock_.unlock();
      WaitList::signal(next);
      return;
    }
    starving_ = false;
  }
  if (!woken_) {
    next = waiters_.pop();
    woken_ = next != nullptr;
  }
  state_.store(waiters_.empty() && !woken_ ? 0 : kContended, std::memory_order_release);
  lock_.unlock();
  if (next != nullptr) {
    WaitList::signal(next);
  }
}

Wake Condition::wait(Mutex& mutex, Cancellable cancellable, Nanos deadline) {
  WaitList::Node node;
  lock_.lock();
  waiters_.push(node);
  waiting_.fetch_add(1, std::memory_order_relaxed);
  lock_.unlock();
  mutex.unlock();  // whoever takes it from here on finds this waiter listed
  const Wake how = waiters_.wait(node, lock_, cancellable, deadline, {"condition", address(this)});
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  mutex.lock();
  return how;
}

void Condition::notify_one() {
  if (waiting_.load(std::memory_order_relaxed) == 0) {
    return;
  }
  lock_.lock();
  WaitList::Node* node = waiters_.pop();
  lock_.unlock();
  if (node != nullptr) {
    WaitList::signal(node);
  }
}

void Condition::notify_all() {
  if (waiting_.load(std::memory_order_relaxed) == 0) {
    return;
  }
  lock_.lock();
  WaitList::Node* node = waiters_.pop_all();
  lock_.unlock();
  signal_all(node);
}

void Event::set() {
  lock_.lock();
  set_.store(true, std::memory_order_release);
  WaitList::Node* node = waiters_.pop_all();
  lock_.unlock();
  signal_all(node);
}

Wake Event::wait(Cancellable cancellable, Nanos deadline) {
  std::unique_lock lock(lock_);
  if (set_.load(std::memory_order_relaxed)) {
    return Wake::Unparked;
  }
  return waiters_.wait(lock, cancellable, deadline, {"event", address(this)});
}

void WaitGroup::done() {
  // The last one under the lock, so that nobody who has seen its end destroys the group while it is inside.
  lock_.lock();
  const uint32_t before = left_.fetch_sub(1, std::memory_order_acq_rel);
  if (before == 0) misuse("WaitGroup::done() was called more often than jobs were added: add() comes before done()");
  WaitList::Node* node = before == 1 ? waiters_.pop_all() : nullptr;
  lock_.unlock();
  signal_all(node);
}

Wake WaitGroup::wait(Cancellable cancellable, Nanos deadline) {
  std::unique_lock lock(lock_);
  if (left_.load(std::memory_order_acquire) == 0) {
    return Wake::Unparked;
  }
  return waiters_.wait(lock, cancellable, deadline, {"wait group", address(this)});
}

}  // namespace vmrun::sched
