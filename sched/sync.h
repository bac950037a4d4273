// A mutex, condition, event and wait group that suspend the task that waits, not its thread. Threads may use them as
// well, and tasks of several schedulers. Channels: channel.h.
//
// Of every wait: a deadline is a time of Clock in nanoseconds (sched::nanos), `never` is none; a cancelled task's wait
// ends with Wake::Cancelled if it is cancellable (a thread's is never cancelled). None may be called in a blocking region
// (enter_blocking) or by a switch hook. An object outlives the calls on it: whoever destroys it makes sure that nobody is
// inside any more.
#pragma once

#include <atomic>

#include "sched/wait_list.h"

namespace vmrun::sched {

/// Mutual exclusion. A freed mutex goes to whoever comes first, so that a short critical section costs no switch; but a
/// waiter that has waited for a millisecond gets it handed over, before all that come later. Not recursive. It may be
/// unlocked by another task or thread than locked it.
class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  /// Cancellation does not end it.
  void lock() {
    uint32_t free = 0;
    if (!state_.compare_exchange_strong(free, kLocked, std::memory_order_acquire, std::memory_order_relaxed)) {
      lock_slow(Cancellable::No, never);
    }
  }
  /// Wake::Unparked: the caller holds it; else it does not.
  Wake lock_until(Nanos deadline, Cancellable cancellable = Cancellable::Yes) {
    uint32_t free = 0;
    return state_.compare_exchange_strong(free, kLocked, std::memory_order_acquire, std::memory_order_relaxed)
               ? Wake::Unparked
               : lock_slow(cancellable, deadline);
  }
  bool try_lock() {
    uint32_t seen = state_.load(std::memory_order_relaxed);
    while ((seen & kLocked) == 0) {
      if (state_.compare_exchange_weak(seen, seen | kLocked, std::memory_order_acquire, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  void unlock() {
    uint32_t locked = kLocked;
    if (!state_.compare_exchange_strong(locked, 0, std::memory_order_release, std::memory_order_relaxed)) {
      unlock_slow();
    }
  }

 private:
  static constexpr uint32_t kLocked = 1;
  static constexpr uint32_t kContended = 2;  // somebody waits or was woken: unlock() has more to do

  Wake lock_slow(Cancellable cancellable, Nanos deadline);
  void unlock_slow();

  // kLocked is set by compare-and-swap, anywhere; all else happens under lock_.
  std::atomic<uint32_t> state_{0};
  SpinLock lock_;
  bool woken_ = false;     // a waiter was woken and has not yet come back for the mutex: no need for another
  bool starving_ = false;  // a waiter has waited too long: hand over
  WaitList waiters_;
};

/// Waits for a change of what a Mutex guards.
class Condition {
 public:
  Condition() = default;
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  /// Releases `mutex`, waits for notify, takes `mutex` again (always, however the wait ended). May wake without cause:
  /// check and repeat.
  Wake wait(Mutex& mutex, Cancellable cancellable = Cancellable::Yes, Nanos deadline = never);
  /// Wakes the longest waiter, or all. Whoever changed the state under the mutex may call them after unlocking it.
  void notify_one();
  void notify_all();

 private:
  SpinLock lock_;
  std::atomic<uint32_t> waiting_{0};
  WaitList waiters_;
};

/// Once set, it stays set until reset; all waiters go on.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void set();
  void reset() { set_.store(false, std::memory_order_release); }
  bool is_set() const { return set_.load(std::memory_order_acquire); }
  /// Wake::Unparked: it was set.
  Wake wait(Cancellable cancellable = Cancellable::Yes, Nanos deadline = never);

 private:
  SpinLock lock_;
  std::atomic<bool> set_{false};
  WaitList waiters_;
};

/// Waits until a number of jobs are done. Each is added before its end can come, as a rule by whoever starts it.
class WaitGroup {
 public:
  WaitGroup() = default;
  WaitGroup(const WaitGroup&) = delete;
  WaitGroup& operator=(const WaitGroup&) = delete;

  /// Adds jobs; not while somebody waits for a group that has none.
  void add(uint32_t n = 1) { left_.fetch_add(n, std::memory_order_relaxed); }
  /// One job is done; the last one wakes all waiters. The group may be destroyed as soon as wait() has returned.
  void done();
  /// Wake::Unparked: all that were added are done.
  Wake wait(Cancellable cancellable = Cancellable::Yes, Nanos deadline = never);

 private:
  SpinLock lock_;
  std::atomic<uint32_t> left_{0};
  WaitList waiters_;
};

}  // namespace vmrun::sched
