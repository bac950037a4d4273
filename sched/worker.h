// A worker thread: takes tasks from a processor's queues and switches to their fibers.
//
// Rules. Everything here belongs to the thread, except what is marked. The code runs on two kinds of stack: tasks'
// fibers (which may go on as another worker after every switch: no Worker* is kept across one) and the dispatcher,
// Boost's own fiber of this thread, which searches, sleeps and frees ended fibers. A task that suspends switches
// straight to the next task when the queues have one, else to the dispatcher. What is to become of a fiber that was
// left is noted in `after_` before the switch and done after it, on the stack that was switched to (arrived()), because
// only then may another worker resume it.
#pragma once

#include <pthread.h>

#include <atomic>
#include <boost/fiber/context.hpp>
#include <boost/fiber/scheduler.hpp>
#include <cstdint>
#include <thread>

#include "sched/core.h"
#include "sched/in_flight.h"

namespace vmrun::sched {

class Worker {
 public:
  Worker(Core& core, uint32_t index);

  /// Begins its life, or another one once the thread before was joined. Throws std::system_error.
  void start(Processor* p, bool spinning);
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  pthread_t pthread() const { return pthread_; }

  Core& core() { return core_; }
  Processor* processor() { return p_; }
  TaskCell* current() const { return current_.load(std::memory_order_relaxed); }
  /// Whether it is in a blocking region.
  bool blocked() const { return blocked_.load(std::memory_order_relaxed) != nullptr; }

  // On a task's fiber.
  CancelReason yield(bool preempted);
  /// Suspends the running task until unparked. May return early.
  void park();
  void enter_blocking(Blocking how);
  /// Whether the task was asked to give way meanwhile. It may be on another worker afterwards.
  bool exit_blocking();
  /// The running fiber's task has ended: binds it to a next task that has no fiber yet, or leaves it for another fiber.
  /// Returns when the fiber has something to run; false when it is to end.
  static bool next_for(Fiber* fiber);
  /// Adds a timer of the running task, which is about to suspend.
  void start_timer(Timer& timer) {
    count(counters.sleeps);
    timers_dirty_ |= core_.timers.add(timer);
  }

  /// Queues a runnable task, on this worker's processor if it holds one; `next`: to be run next.
  void make_ready(TaskCell* task, bool next);

  // On the dispatcher, and from Boost's callbacks.
  boost::fibers::context* pick_next();
  void arrived(boost::fibers::context* left);
  void idle();
  Strand& here() { return *here_; }
  void now_on(Strand& strand) {
    here_ = &strand;
    switch_pending_ = true;
  }
  Strand& strand_of(boost::fibers::context* context);
  void finish_switch() {
    if (switch_pending_) {
      switch_pending_ = false;
      arrive(*here_);
    }
  }
  Strand& main_strand() { return main_strand_; }
  bool on_dispatcher() const { return here_ == &dispatcher_strand_; }
  bool on_main() const { return here_ == &main_strand_; }

  TaskCell* take_cell();
  void free_cell(TaskCell* cell);
  uint64_t take_id();
  /// Gives a task a fiber before its first run. False: there is no memory for one, and the task has ended.
  bool startable(TaskCell* task);

  ThreadCounters counters;

 private:
  friend class Core;
  enum class After : uint8_t { Nothing, Yield, Global, Park, Recycle };

  void main();
  /// Leaves the running task's fiber; comes back when the task goes on, perhaps as another worker.
  void leave_task(TaskCell* task, After after, TaskCell* next);
  void switch_to(Fiber& from, Fiber* next);
  /// Makes the task current; its fiber is the result.
  Fiber* bind(TaskCell* task);
  void enter(TaskCell* task);
  /// The worker holds `p` now: says so, and moves to its core of the machine.
  void hold(Processor& p);
  void adopt(Fiber* fiber);
  TaskCell* pick();
  TaskCell* pick_any();
  TaskCell* pick_or_global();
  /// Config::scatter: `task`, or another if it ran here last and another worker takes it.
  TaskCell* elsewhere(TaskCell* task);
  /// The same, of tasks that can be run.
  TaskCell* pick_startable();
  TaskCell* find_work();
  TaskCell* steal(int rounds, bool take_next);
  void stop_spinning();
  void push_local(TaskCell* task);
  bool wakes_quietly(TaskCell& waker);
  TaskCell* pick_urgent();
  /// Calls `look`, which may make tasks ready; then starts a searcher if they are more than this worker runs next.
  template <class Look>
  bool gather(Look look) {
    gathering_ = true;
    const bool any = look();
    gathering_ = false;
    look_for_more_ |= any;
    return any;
  }
  void wake_for_more();
  void sample(TaskCell* task) { task->ready_at = (++ready_count_ & 63) == 0 ? now() : 0; }
  void cover_dirty_timers() {
    if (timers_dirty_) {
      timers_dirty_ = false;
      core_.cover_timers();
    }
  }
  Fiber* take_fiber();
  bool keep_fiber(Fiber* fiber);
  uint32_t random() {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 17;
    random_ ^= random_ << 5;
    return random_;
  }

  Core& core_;
  Processor* p_ = nullptr;
  std::atomic<TaskCell*> current_{nullptr};  // read by others too
  boost::fibers::scheduler* boost_ = nullptr;
  boost::fibers::context* dispatcher_ = nullptr;
  boost::fibers::context* main_ = nullptr;
  TaskCell* left_ = nullptr;
  Fiber* left_fiber_ = nullptr;
  InFlight* in_flight_ = nullptr;  // of the thread
  After after_ = After::Nothing;
  bool spinning_ = false;
  bool retiring_ = false;  // the thread is about to end
  bool trimming_ = false;  // kept fibers are being freed
  Nanos keep_until_ = 0;   // when it has been idle for long; 0: not idle
  bool timers_dirty_ = false;
  bool gathering_ = false;      // inside a poll or a look at the timers: tasks made ready wake nobody
  bool look_for_more_ = false;  // tasks were made ready meanwhile
  bool switch_pending_ = false;
  uint32_t tick_ = 0;
  uint32_t next_streak_ = 0;
  uint32_t urgent_streak_ = 0;
  uint32_t ready_count_ = 0;
  uint32_t random_;
  const uint32_t index_;
  std::atomic<Processor*> blocked_{nullptr};  // in a blocking region; read by others too
  int cpu_ = -1;                              // that the thread is bound to
  uint64_t next_id_ = 0, last_id_ = 0;
  TaskCell* free_cells_ = nullptr;
  size_t free_cell_count_ = 0;
  Fiber* idle_fibers_ = nullptr;
  size_t idle_fiber_count_ = 0;
  Strand main_strand_, dispatcher_strand_;
  Strand* here_ = &main_strand_;

  // Shared: under the core's idle lock, then through wake_word_.
  std::atomic<uint32_t> wake_word_{0};
  Processor* given_ = nullptr;
  bool given_spinning_ = false;

  // For signals to the thread: it lives as long as has_thread_.
  SpinLock signal_lock_;
  bool has_thread_ = false;
  pthread_t pthread_{};
  std::thread thread_;
};

/// The calling thread's worker, or null. A call at every use: its answer is stale after a suspension.
Worker* current_worker() noexcept;

}  // namespace vmrun::sched
