// The bounded queue of runnable tasks that each processor has, one for each priority.
//
// Rules: only the owner pushes and moves `tail_`; owner and thieves move `head_` by compare-and-swap, so a slot is read
// before it is won and the value is dropped when the race is lost (slots are atomic for that reason alone). Thieves
// take half, oldest first. First in, first out also for the owner: a yielding task goes behind all others. A deque
// whose owner works last in, first out was not taken: it starves the oldest under yields.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>

#include "sched/check.h"

namespace vmrun::sched {

struct TaskCell;

class RunQueue {
 public:
  /// `capacity` is rounded up to a power of two, at least 2.
  explicit RunQueue(uint32_t capacity)
      : mask_(std::bit_ceil(capacity < 2 ? 2u : capacity) - 1), ring_(new std::atomic<TaskCell*>[mask_ + 1]) {}

  uint32_t capacity() const { return mask_ + 1; }
  /// Approximate for anyone but the owner.
  uint32_t size() const {
    const uint32_t head = head_.load(std::memory_order_acquire);
    return tail_.load(std::memory_order_acquire) - head;
  }
  bool empty() const { return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire); }

  /// Owner: false when full.
  bool push(TaskCell* task) {
    const uint32_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) > mask_) {
      return false;
    }
    ring_[tail & mask_].store(task, std::memory_order_relaxed);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  /// Owner: the oldest, or null.
  TaskCell* pop() {
    uint32_t head = head_.load(std::memory_order_acquire);
    const uint32_t tail = tail_.load(std::memory_order_relaxed);
    while (head != tail) {
      TaskCell* task = ring_[head & mask_].load(std::memory_order_relaxed);
      if (head_.compare_exchange_weak(head, head + 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
        return task;
      }
    }
    return nullptr;
  }

  /// Thief, into a queue of its own with at least half of `victim`'s capacity free: takes half of what is there,
  /// rounded up. Returns the oldest and leaves the others in this queue; adds their number to `taken`.
  TaskCell* steal_from(RunQueue& victim, uint32_t& taken) {
    const uint32_t tail = tail_.load(std::memory_order_relaxed);
    for (;;) {
      uint32_t head = victim.head_.load(std::memory_order_acquire);
      uint32_t n = victim.tail_.load(std::memory_order_acquire) - head;
      n -= n / 2;
      if (n == 0) {
        return nullptr;
      }
      if (n > (victim.mask_ + 1) / 2) {
        continue;  // head and tail were read across a change
      }
      TaskCell* first = victim.ring_[head & victim.mask_].load(std::memory_order_relaxed);
      for (uint32_t i = 1; i < n; ++i) {
        TaskCell* task = victim.ring_[(head + i) & victim.mask_].load(std::memory_order_relaxed);
        ring_[(tail + i - 1) & mask_].store(task, std::memory_order_relaxed);
      }
      if (victim.head_.compare_exchange_strong(head, head + n, std::memory_order_acq_rel, std::memory_order_relaxed)) {
        taken += n;
        if (n > 1) {
          tail_.store(tail + n - 1, std::memory_order_release);
        }
        return first;
      }
    }
  }

 private:
  alignas(64) std::atomic<uint32_t> head_{0};
  alignas(64) std::atomic<uint32_t> tail_{0};
  const uint32_t mask_;
  std::unique_ptr<std::atomic<TaskCell*>[]> ring_;
};

}  // namespace vmrun::sched
