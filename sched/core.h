// What the workers of one scheduler share: processors, the global queue, idle lists, timers, cells and fibers.
//
// Rules. Locks are OS mutexes, held for a few dozen instructions and never across a suspension; none is taken while
// another is held, except that `idle_lock_` may be held while reading the timers' earliest (no lock), and a task's
// user_lock while its worker's signal lock is taken; tasks() takes a task's user_lock under `cells_lock_`.
//
// Sleeping and waking, after Go's scheduler:
//   Whoever makes a task runnable first queues it, then looks (after a full fence): is a processor idle and nobody
//   searching? Then it starts one worker as a searcher ("spinning"). A searcher that finds work, if it was the last
//   one, starts the next in turn: workers wake one at a time. A worker that finds nothing gives its processor back,
//   stops searching, and after a full fence looks through all queues once more: so either it sees the task or the other
//   sees the idle processor. At most half as many search as are busy.
//
// Timers: at any time some thread sleeps until the earliest timer or is awake and will look: an idle worker (the
// keeper) or, when none is idle, the monitor. Whoever adds an earlier one or ends the keeper's sleep sees to that
// (cover_timers()).
//
// Events from outside (poller.h): one idle worker (the poll worker, as a rule also the keeper) sleeps in poll() instead
// of on its futex and is woken by interrupt(). `poll_lock_` is held by whoever is inside poll(); everybody else but the
// next poll worker only tries it. Nobody calls the poller but under this lock or `idle_lock_`: so it can be taken away.
// Tasks that a poll or a timer makes ready start no searcher one by one: whoever looked runs the first itself and then
// sees whether there are more.
//
// Tried and dropped: one timer thread only (two thread wake-ups for each sleep); clock reads at every pick (20 ns).
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "sched/fiber.h"
#include "sched/poller.h"
#include "sched/processor.h"
#include "sched/stack.h"
#include "sched/task.h"
#include "sched/timer.h"

namespace vmrun::sched {

class Worker;

class Core {
 public:
  explicit Core(const Config& config);
  ~Core();

  // Tasks: core.cpp.
  TaskCell* prepare(const SpawnOptions& options);
  Task launch(TaskCell* cell, const SpawnOptions& options);
  /// The task has run to its end on the calling worker.
  void finish(TaskCell* task);
  /// Queues a runnable task that the caller owns, from any thread.
  void make_ready(TaskCell* task);
  void push_global(TaskCell* task);
  void push_global_list(TaskCell* first, TaskCell* last, Lane lane, size_t n);
  /// A task of the global queue's lanes from `from` to `to`, in this order; moves the processor's share of what else is
  /// there to its own queues.
  TaskCell* take_global(Processor& p, Lane from = Lane::High, Lane to = Lane::Low);
  bool global_empty() const { return global_size_.load(std::memory_order_relaxed) == 0; }
  /// Whether the global queue holds what goes before preempted tasks.
  bool urgent() const { return urgent_size_.load(std::memory_order_relaxed) != 0; }
  void free_cell(TaskCell* cell) noexcept;
  /// Takes back what prepare() gave.
  void discard(TaskCell* cell);
  void wait_idle();
  void stop();
  void set_preempt(PreemptHook hook, void* context);
  /// Asks the worker that runs `task` to stop it.
  void request_preempt(TaskCell* task);
  /// Has the monitor unpark `task`, to which the caller has a reference, and hurry it. Async-signal-safe.
  void unpark_soon(TaskCell* task);
  /// See TaskCell::hurry.
  void one_hurries() {
    hurrying_.fetch_add(1, std::memory_order_relaxed);
    poke_monitor();
  }
  void one_hurries_no_more() { hurrying_.fetch_sub(1, std::memory_order_relaxed); }
  Counters counters();
  /// Adds to a counter of the calling thread.
  void bump(std::atomic<uint64_t> ThreadCounters::* which, uint64_t n = 1);
  void bump(AtomicHistogram ThreadCounters::* which, Nanos value);

  // Fibers kept for reuse: core.cpp.
  Fiber* take_fiber();
  void keep_fiber(Fiber* fiber);
  /// Throws std::bad_alloc when there is nothing for a new task to run on.
  void need_stack(bool worker_has_one);

  // Idle processors and workers: idle.cpp.
  /// Makes the first worker thread, if there is none. Throws std::system_error or std::bad_alloc.
  void need_thread();
  size_t threads() const { return threads_.load(std::memory_order_acquire); }
  /// Called last by a worker thread that ends before the scheduler does.
  void thread_ended(Worker& worker);
  /// The worker's thread could not begin: its processor goes back.
  void thread_failed(Worker& worker);
  /// After a task was queued: starts a searcher if one is needed.
  void wake_one();
  void maybe_wake() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (idle_count_.load(std::memory_order_relaxed) != 0 && spinning_.load(std::memory_order_relaxed) == 0) {
      wake_one();
    }
  }
  void put_idle(Processor* p);
  Processor* take_idle();
  /// Gives the processor to another worker thread, or to the idle ones when none is needed or to be had.
  void hand_over(Processor* p, bool spinning);
  bool work_anywhere() const;
  /// A thread in a blocking region has lost its processor, so that another thread is needed; and it has left the region.
  void one_more_held();
  void one_less_held();
  size_t threads_to_hold() const {
    const uint32_t held = held_.load(std::memory_order_relaxed);
    return most_held_ == UINT32_MAX ? SIZE_MAX : held < most_held_ ? most_held_ - held : 0;
  }
  /// Sleeps until the worker is given a processor, a timer is due, or all ends.
  void sleep(Worker& worker);
  /// Sees to it that somebody wakes for the earliest timer.
  void cover_timers();
  /// Wakes what is due; false when nothing was.
  bool run_timers();

  // Events from outside: poll.cpp.
  void set_poller(Poller* poller);
  /// Polls without waiting, if something is waited for and nobody else polls; true when a task was made ready.
  bool poll_now();

  // report.cpp.
  Statistics statistics();
  std::vector<TaskState> tasks(const TaskQuery& query);
  void account(bool on);
  Nanos used_by(const TaskCell& task, Nanos at) const;
  /// Counts what the running task has used of its processor up to now; a new stretch begins.
  void end_stretch(TaskCell& task) const {
    const Nanos counting = accounting_since.load(std::memory_order_relaxed);
    if (counting == 0) return;
    const Nanos at = now();
    const Nanos since = std::max(task.on_since.load(std::memory_order_relaxed), counting);
    task.used.store(task.used.load(std::memory_order_relaxed) + std::max<Nanos>(at - since, 0),
                    std::memory_order_relaxed);
    task.on_since.store(at, std::memory_order_relaxed);
  }
  void begin_stretch(TaskCell& task) const {
    if (accounting_since.load(std::memory_order_relaxed) != 0) task.on_since.store(now(), std::memory_order_relaxed);
  }
  std::string report();
  bool stuck();

  // Monitor: monitor.cpp.
  void monitor_main();

  Config config;
  TimerQueue timers;
  const std::shared_ptr<StackPool> stacks;  // lives as long as somebody has an annex
  std::vector<std::unique_ptr<Processor>> processors;
  std::atomic<uint32_t> spinning_{0};
  std::atomic<uint32_t> idle_count_{0};
  std::atomic<bool> stopping{false};
  std::atomic<size_t> live{0};
  std::atomic<uint64_t> next_id{1};
  /// Since when the time of tasks on processors is counted; 0: it is not. A stretch that began before counts from then on.
  std::atomic<Nanos> accounting_since{0};

 private:
  friend class Worker;
  struct List {
    TaskCell* first = nullptr;
    TaskCell* last = nullptr;
    size_t size = 0;
  };

  Processor* take_idle_locked();
  void put_idle_locked(Processor* p);
  void start_worker_locked(Processor* p, bool spinning);
  /// Makes a worker thread. Throws std::system_error or std::bad_alloc; then nothing has changed.
  void add_worker_locked(Processor* p, bool spinning);
  /// A worker has slept for Config::idle_keep: it frees the kept fibers, and ends if there are more threads than
  /// needed.
  void idle_long_locked(Worker& worker);
  void wake_worker_locked(Worker& worker, Processor* p, bool spinning);
  /// Async-signal-safe.
  void poke_monitor();
  /// Unparks those that unpark_soon was called for.
  void unpark_those_soon();
  /// Looks after one processor; true when its worker lost it. Lowers `until` to when it should be looked at again.
  bool watch(Processor& p, Nanos at, Nanos slice, Nanos& until);
  /// Whether there is a poller and something that it waits for.
  bool events_awaited_locked() const;
  /// Waits in poll() as the poll worker; returns how many tasks it made ready.
  int wait_in_poll(Worker& worker, Nanos deadline);

  std::mutex global_lock_;
  List global_[lane_count];
  std::atomic<size_t> global_size_{0};
  std::atomic<size_t> urgent_size_{0};

  std::mutex idle_lock_;
  std::vector<Processor*> idle_processors_;
  std::vector<Worker*> idle_workers_;
  std::vector<std::unique_ptr<Worker>> workers_;
  Worker* keeper_ = nullptr;
  Nanos keeper_until_ = never;
  Nanos monitor_until_ = 0;

  std::atomic<Poller*> poller_{nullptr};
  SpinLock poll_lock_;
  std::atomic<uint64_t> polls_{0};  // written under poll_lock_
  Worker* poll_worker_ = nullptr;   // under idle_lock_
  std::atomic<uint32_t> monitor_word_{0};
  std::atomic<TaskCell*> soon_{nullptr};  // linked by soon_next, each with a reference
  std::atomic<size_t> hurrying_{0};       // tasks that are to stop and wait for their turn

  static constexpr size_t cells_a_chunk = 64;
  void one_less();
  /// Tells all threads to end.
  void stop_locked();
  bool stopped_ = false;

  std::atomic<uint32_t> made_ready_outside_{0};  // tasks, by threads that are no workers
  std::mutex cells_lock_;
  TaskCell* free_cells_ = nullptr;
  std::vector<std::unique_ptr<TaskCell[]>> cell_chunks_;
  /// A list of `n` cells; fewer, but one at least, without memory for more. Throws std::bad_alloc.
  TaskCell* take_cells(size_t n, size_t& got);

  std::mutex fibers_lock_;
  Fiber* idle_fibers_ = nullptr;
  std::atomic<size_t> idle_fiber_count_{0};

  std::atomic<uint32_t> held_{0};  // threads in blocking regions without a processor
  uint32_t most_held_ = UINT32_MAX;

  // Workers whose threads have ended. One that ends joins the one before, so at most one ended thread is not joined.
  std::atomic<size_t> threads_{0};
  std::mutex ended_lock_;  // may be held while idle_lock_ is taken
  Worker* ended_ = nullptr;
  std::vector<Worker*> joined_;  // under idle_lock_

  std::mutex done_lock_;
  std::condition_variable done_;

  std::atomic<PreemptHook> preempt_hook_{nullptr};
  void* preempt_context_ = nullptr;
  ThreadCounters external_;
  std::thread monitor_;
};

}  // namespace vmrun::sched
