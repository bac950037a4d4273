// A processor: the right to run tasks, with its own run queues. There are as many as tasks may run at the same time;
// a worker thread needs one to run tasks.
//
// Rules: the holder alone pushes and picks; thieves take from the queues and, at last, from run_next. `state` says who
// holds it: only Blocking -> anything is raced for, by compare-and-swap, between the blocked worker and whoever takes
// it away. `tick` and `running` are for the monitor.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "sched/run_queue.h"
#include "sched/task.h"

namespace vmrun::sched {

/// Queues of runnable tasks, in the order in which they are looked at. Within each, first in, first out.
enum class Lane : uint8_t {
  High,    ///< of priority High
  Woken,   ///< of normal priority, made ready by a timer, an event or another task since they ran
  Normal,  ///< new, yielding and preempted ones
  Low,     ///< of priority Low
};
inline constexpr size_t lane_count = 4;

inline Lane lane_of(const TaskCell& task) {
  if (task.priority == Priority::Normal) {
    return task.woken ? Lane::Woken : Lane::Normal;
  }
  return task.priority == Priority::High ? Lane::High : Lane::Low;
}

class Processor {
 public:
  enum State : uint64_t { Idle = 0, Running = 1, Blocking = 2 };

  explicit Processor(uint32_t capacity)
      : queues{RunQueue(capacity), RunQueue(capacity), RunQueue(capacity), RunQueue(capacity)} {}

  static uint64_t held(uint32_t worker, State state) { return (uint64_t{worker} << 2) | state; }
  static State state_of(uint64_t held) { return static_cast<State>(held & 3); }

  RunQueue& queue(Lane lane) { return queues[static_cast<size_t>(lane)]; }
  /// Approximate for anyone but the holder.
  bool has_work() const {
    if (run_next.load(std::memory_order_acquire) != nullptr) {
      return true;
    }
    for (const RunQueue& q : queues) {
      if (!q.empty()) {
        return true;
      }
    }
    return false;
  }

  /// Tasks queued here; approximate.
  size_t ready() const {
    size_t n = run_next.load(std::memory_order_relaxed) != nullptr ? 1 : 0;
    for (const RunQueue& q : queues) {
      n += q.size();
    }
    return n;
  }

  int cpu = -1;  // of the machine, if its holder is to run there
  std::atomic<uint64_t> state{Idle};
  /// A task of normal priority to run before those of the normal queue: made runnable last, with what it needs still
  /// in the caches.
  std::atomic<TaskCell*> run_next{nullptr};
  std::array<RunQueue, lane_count> queues;

  std::atomic<TaskCell*> running{nullptr};  // released, so that the monitor finds a whole cell
  std::atomic<uint32_t> tick{0};            // changes whenever a task starts or goes on
  std::atomic<bool> preempt{false};         // the running task was asked to give way
  // When the task that `slice_tick` names began to run, where the worker has looked at the clock.
  std::atomic<uint32_t> slice_tick{0};
  std::atomic<Nanos> slice_start{0};

  // The monitor's own notes.
  uint32_t seen_tick = 0;
  uint64_t seen_state = 0;
  Nanos seen_since = 0;
};

}  // namespace vmrun::sched
