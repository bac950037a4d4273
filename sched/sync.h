// A mutex, condition and event that suspend the task that waits, not its thread. Threads may use them as well.
#pragma once

#include <atomic>

#include "sched/wait_list.h"

namespace vmrun::sched {

/// First come, first served: unlock() passes the mutex to the longest waiter. Cancellation does not end lock().
class Mutex {
 public:
  void lock();
  bool try_lock();
  void unlock();

 private:
  SpinLock lock_;
  bool held_ = false;
  WaitList waiters_;
};

class Condition {
 public:
  /// Releases `mutex`, waits for notify, takes `mutex` again (always). May wake without cause.
  Wake wait(Mutex& mutex, Cancellable cancellable = Cancellable::Yes, Nanos deadline = never);
  void notify_one();
  void notify_all();

 private:
  SpinLock lock_;
  WaitList waiters_;
};

/// Once set, it stays set until reset; all waiters go on.
class Event {
 public:
  void set();
  void reset() { set_.store(false, std::memory_order_release); }
  bool is_set() const { return set_.load(std::memory_order_acquire); }
  Wake wait(Cancellable cancellable = Cancellable::Yes, Nanos deadline = never);

 private:
  SpinLock lock_;
  std::atomic<bool> set_{false};
  WaitList waiters_;
};

}  // namespace vmrun::sched
