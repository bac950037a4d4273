// Mutex, Condition, Event.
#include "sched/sync.h"

#include <utility>

#include "sched/check.h"

namespace vmrun::sched {

void Mutex::lock() {
  std::unique_lock lock(lock_);
  if (!held_) {
    held_ = true;
    return;
  }
  waiters_.wait(lock, Cancellable::No);  // unlock() passes it on, held
}

bool Mutex::try_lock() {
  std::lock_guard lock(lock_);
  return !std::exchange(held_, true);
}

void Mutex::unlock() {
  std::unique_lock lock(lock_);
  SCHED_ASSERT(held_, "unlock of a free mutex");
  WaitList::Node* next = waiters_.pop();
  held_ = next != nullptr;
  lock.unlock();
  if (next != nullptr) {
    WaitList::signal(next);
  }
}

Wake Condition::wait(Mutex& mutex, Cancellable cancellable, Nanos deadline) {
  std::unique_lock lock(lock_);
  mutex.unlock();  // whoever changes the state from here on finds this waiter listed: notify needs lock_
  const Wake result = waiters_.wait(lock, cancellable, deadline);
  mutex.lock();
  return result;
}

void Condition::notify_one() {
  std::unique_lock lock(lock_);
  WaitList::Node* node = waiters_.pop();
  lock.unlock();
  if (node != nullptr) {
    WaitList::signal(node);
  }
}

void Condition::notify_all() {
  std::unique_lock lock(lock_);
  WaitList::Node* node = waiters_.pop_all();
  lock.unlock();
  while (node != nullptr) {
    WaitList::Node* next = WaitList::next_of(node);
    WaitList::signal(node);
    node = next;
  }
}

void Event::set() {
  std::unique_lock lock(lock_);
  set_.store(true, std::memory_order_release);
  WaitList::Node* node = waiters_.pop_all();
  lock.unlock();
  while (node != nullptr) {
    WaitList::Node* next = WaitList::next_of(node);
    WaitList::signal(node);
    node = next;
  }
}

Wake Event::wait(Cancellable cancellable, Nanos deadline) {
  std::unique_lock lock(lock_);
  if (set_.load(std::memory_order_relaxed)) {
    return Wake::Unparked;
  }
  return waiters_.wait(lock, cancellable, deadline);
}

}  // namespace vmrun::sched
