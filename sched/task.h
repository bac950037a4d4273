// The cell of a task: its state from spawn to end.
//
// Rules. A task is owned by whoever holds it: a run queue, the worker that runs it, or, parked, whoever unparks it.
//   park    Running -> Parked by its worker, after the switch away from it (its registers are saved by then);
//           Parked -> Running by the one unparker who thereby owns it and must queue it;
//           Running <-> Permit by unparkers and by the task itself. An unpark that comes early leaves a permit.
//   refs    one for the running task, one for each handle, timer or waker that is about to touch it.
//   cancel  set by anybody, cleared by the task. Whoever sets it unparks the task and asks its worker to stop it.
//   user    changed by the task alone, null in a cell that is free. It and `cancel`'s way back to None are changed under
//           user_lock, which is held around the preempt hook.
//   soon    whether the cell is in Core's list of tasks that are to be unparked soon.
//   hurry   No -> Waits when the task is to stop and is not running: Core counts those, and while there are any slices are
//           short. Waits -> Runs at its turn, No -> Runs where it runs already: its next yield returns at once, so that it
//           learns why before others have their slices. -> No at that yield, at its next wait and at its end.
// Cells are never given back to the system before the scheduler ends: the monitor may read one that has been reused.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include "sched/scheduler.h"
#include "sched/spin_lock.h"
#include "sched/timer.h"

namespace vmrun::sched {

struct Fiber;
class Worker;

enum class ParkState : uint32_t { Running, Permit, Parked };
enum class Hurry : uint8_t { No, Waits, Runs };

struct TaskCell {
  std::atomic<ParkState> park{ParkState::Running};
  std::atomic<uint32_t> refs{0};
  std::atomic<CancelReason> cancel{CancelReason::None};
  std::atomic<bool> done{false};
  Priority priority = Priority::Normal;
  bool woken = false;      // made ready by unpark and not run since: the owner's
  Fiber* fiber = nullptr;  // from its first run on, or from its spawn on
  TaskCell* next = nullptr;
  std::atomic<Worker*> worker{nullptr};  // that runs it or ran it last
  Nanos ready_at = 0;                    // when it was queued, in samples; else 0
  const SwitchHooks* hooks = nullptr;
  SpinLock user_lock;
  void* user = nullptr;
  std::atomic<bool> soon{false};
  std::atomic<Hurry> hurry_state{Hurry::No};
  TaskCell* soon_next = nullptr;
  std::atomic<uint64_t> id{0};
  Core* core = nullptr;

  SpinLock join_lock;  // guards joiners, and done's change to true
  WaitList joiners;

  TokenState* token = nullptr;  // holds a reference to it
  TaskCell* token_prev = nullptr;
  TaskCell* token_next = nullptr;
  TaskCell* cancel_next = nullptr;  // in the list of those that its token is about to cancel
  Timer deadline;

  // What it waits for, for reports.
  std::atomic<const char*> waits_for{nullptr};
  std::atomic<uint64_t> waits_which{0};
  std::atomic<const char*> name{nullptr};
  std::atomic<Nanos> born{0};  // by the coarse clock

  // Its time on processors, while Core::accounting_since says that it is counted: all but the stretch since `on_since`.
  std::atomic<Nanos> used{0};
  std::atomic<Nanos> on_since{0};
  std::atomic<Nanos> used_when_listed{0};

  // Wake-ups of other workers that it need not cause, see Worker::make_ready. Its worker's alone.
  uint32_t quiet_wakes = 0;
  uint32_t passed_on = 0;  // times in a row that it was left to another worker (Config::scatter): the owner's
  Nanos woke_at = 0;

  std::atomic<bool> failed{false};  // ended without having run
  EndHook end;
  TaskBody body;

  void wait_for(WaitsFor w) {
    waits_which.store(w.which, std::memory_order_relaxed);
    waits_for.store(w.what, std::memory_order_relaxed);
  }
  void set_user(void* to) {
    std::lock_guard lock(user_lock);
    user = to;
  }
  /// See Task::state. Any thread; report.cpp.
  std::string state() const;
  /// The name's first bytes, as long as the task has not ended: the name need not outlive it. Any thread; report.cpp.
  std::string short_name();
  void drop_name() {
    if (name.load(std::memory_order_relaxed) == nullptr) return;
    std::lock_guard lock(user_lock);
    name.store(nullptr, std::memory_order_relaxed);
  }
  void add_ref() { refs.fetch_add(1, std::memory_order_relaxed); }
  void drop_ref();
  /// Any thread. Makes the task runnable if it is parked, else leaves a permit.
  void unpark();
  /// Any thread that holds a reference.
  void request_cancel(CancelReason reason);
  /// Any thread that holds a reference: there is something that the task should learn soon. It need not wait for long
  /// behind others, however many are ready.
  void hurry();
  /// To another state than Waits. Returns whether there was any hurry.
  bool calm_down(Hurry to);
};

/// The tasks of a CancelToken.
struct TokenState {
  std::atomic<uint32_t> refs{1};
  std::atomic<bool> cancelled{false};
  SpinLock lock;
  TaskCell* first = nullptr;

  void drop_ref();
  /// Links the task, or says that it is to be cancelled at once.
  bool link(TaskCell* task);
  void unlink(TaskCell* task);
  void cancel();
};

}  // namespace vmrun::sched
