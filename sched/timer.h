// Timers of sleeping tasks and of deadlines: a heap of four children a node under one mutex.
//
// Rules: a Timer belongs to its owner (a sleeper's frame, a task's cell) and is in the heap from add() until it fires
// or is removed; firing takes a reference to the task first and wakes it after the mutex is released. `earliest()` may
// be read without the mutex. Who sleeps until the earliest timer is the business of core.h and idle.cpp.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "sched/futex.h"

namespace vmrun::sched {

struct TaskCell;

struct Timer {
  enum class What : uint8_t {
    Wake,      ///< unpark the task
    Deadline,  ///< cancel the task
  };
  static constexpr uint32_t not_in_heap = UINT32_MAX;

  Nanos when = never;
  TaskCell* task = nullptr;
  uint32_t index = not_in_heap;
  What what = What::Wake;
  std::atomic<bool> fired{false};
};

class TimerQueue {
 public:
  /// Adds a timer that is not in the heap; true when it is now the earliest.
  bool add(Timer& timer);
  /// Takes it out; afterwards it will not fire. False when it was not there (any more).
  bool remove(Timer& timer);
  /// When the earliest timer is due, or `never`.
  Nanos earliest() const { return earliest_.load(std::memory_order_seq_cst); }
  /// Takes out up to `max` timers due at `at`, each with a reference to its task that passes to the caller.
  struct Due {
    TaskCell* task;
    Timer::What what;
    Nanos when;
  };
  uint32_t take_due(Nanos at, Due* out, uint32_t max);
  size_t size() const;
  /// Makes room for `n` timers in all, so that add() cannot fail. Throws std::bad_alloc.
  void reserve(size_t n) {
    if (room_.load(std::memory_order_relaxed) < n) {
      grow(n);
    }
  }

 private:
  void place(Timer* timer, uint32_t index) {
    heap_[index] = timer;
    timer->index = index;
  }
  void up(uint32_t index);
  void down(uint32_t index);
  void drop(uint32_t index);
  void publish() { earliest_.store(heap_.empty() ? never : heap_[0]->when, std::memory_order_seq_cst); }

  void grow(size_t n);

  mutable std::mutex mutex_;
  std::vector<Timer*> heap_;
  std::atomic<Nanos> earliest_{never};
  std::atomic<size_t> room_{0};
};

}  // namespace vmrun::sched
