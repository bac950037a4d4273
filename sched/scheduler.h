// Tasks on fibers, spread over a few worker threads: the public face of sched/, which stands alone.
//
// A task is a callable with a fiber's stack. It runs until it ends, yields, waits, or is made to yield (by a settable
// hook that stops the code it runs), and may go on on another thread after any of these. So across every call that may
// suspend: keep no address of a thread-local (errno is one), hold no OS mutex. Exceptions in flight go along (in_flight.h).
#pragma once

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sched/cancel.h"
#include "sched/counters.h"
#include "sched/futex.h"
#include "sched/stack.h"
#include "sched/task_body.h"
#include "sched/wait_list.h"

namespace vmrun::sched {

class Core;
class Poller;
class Worker;

enum class Priority : uint8_t { High, Normal, Low };
inline constexpr size_t priority_count = 3;

/// Called on the worker thread, on the task's stack, whenever the task starts or goes on (`resume`) and before it is
/// left or ends (`suspend`): they make a thread-local follow the task. Neither may suspend.
struct SwitchHooks {
  void (*resume)(void* user) noexcept = nullptr;
  void (*suspend)(void* user) noexcept = nullptr;
};

/// Called once when a task has ended: Task::done() is true, and what it was spawned with is destroyed. Also of a task that
/// failed. On a worker's thread, in no task. It must be quick and wait for nobody.
struct EndHook {
  void (*ended)(void* context) noexcept = nullptr;
  void* context = nullptr;
};

struct SpawnOptions {
  Priority priority = Priority::Normal;
  CancelToken token{};
  /// Cancels the task with CancelReason::Deadline.
  std::optional<Clock::time_point> deadline{};
  /// For reports. Outlives the task (usually a literal).
  const char* name = nullptr;
  /// Outlives the task (usually static).
  const SwitchHooks* hooks = nullptr;
  void* user = nullptr;
  EndHook end{};
  /// It has its stack from now on, not from its first turn on: where there is no memory for one, the spawn fails and not
  /// the task. By a task of the same scheduler.
  bool with_stack = false;
};

/// A task that is to be stopped.
struct Preemption {
  pthread_t worker;     ///< the thread that runs it, or did so a moment ago; it lives
  uint64_t task_id;     ///< Task::id
  void* user;           ///< what was given with its SwitchHooks
  CancelReason reason;  ///< why it is to end, if it is: not None until the task takes the cancellation
};

/// Asks for a task to be stopped: the code it runs shall call preempted() soon. May be called by any thread, also
/// repeatedly, and when the task is in a blocking region. While it runs, the task is kept from changing its user, from
/// taking its cancellation, and from ending. It must be quick and wait for nobody.
using PreemptHook = void (*)(void* context, const Preemption& what) noexcept;

/// Called when no task can go on by itself: all wait, for no deadline, no event from outside and no blocking call. Only
/// another thread could wake one. `report` is Scheduler::report(). On the monitor's thread, some 50 ms after the last task
/// suspended, once until a task runs again. It may cancel tasks and must not spawn or wait.
using DeadlockHook = void (*)(void* context, const char* report) noexcept;

struct Config {
  /// Tasks that may run at the same time; 0: one for each core of the machine.
  unsigned workers = 0;
  /// Threads at most, those in blocking regions included (threads_to_hold).
  unsigned max_threads = 1024;
  /// Usable bytes of a fiber's stack: address space, committed as it is used.
  size_t stack_size = 256 * 1024;
  /// Room above each stack, which lend_annex() gives out. It lies in pages that the stack uses, too: none at first.
  AnnexShape annex{};
  /// Where stacks come from, if not from slabs of the scheduler's own; there is no annex then.
  std::shared_ptr<StackSource> stack_source{};
  /// How long a task runs while others wait. The monitor sees it up to half a slice late. Long enough that the switch
  /// (a signal, some 5 µs) does not count, as in Go.
  Clock::duration slice = std::chrono::milliseconds(10);
  /// Stop tasks at the end of a slice even if nobody waits (tests of preemption).
  bool preempt_alone = false;
  /// A task that has waited, or yielded, goes on on another worker than before, wherever one is to be had in some 100 µs (for
  /// tests: what must not outlive a switch then shows). See also scatter_all().
  bool scatter = false;
  /// Tasks a processor's own queue holds (each priority); more go to the global queue. Go's figure.
  unsigned local_queue = 256;
  /// Fibers of ended tasks kept for reuse, with what their stacks have committed.
  unsigned idle_fibers = 1024;
  /// After so long without work a worker thread gives back the kept fibers with their stacks, and threads beyond
  /// `workers` (which blocking regions called for) end.
  Clock::duration idle_keep = std::chrono::seconds(1);
  /// Bind whoever holds a processor to one core of the machine, of those that the making thread may run on.
  bool pin = false;
  /// When the last task ends, all threads end by themselves, as if by join(). Spawning then throws std::system_error
  /// (operation_canceled).
  bool auto_shutdown = false;
  DeadlockHook on_deadlock = nullptr;
  void* deadlock_context = nullptr;
  /// Called by each worker thread when it starts and before it ends (an alternate signal stack, for example).
  void (*thread_started)(void* context) = nullptr;
  void (*thread_stopped)(void* context) = nullptr;
  /// Called by a worker thread that has been without work for idle_keep, when it has given back what was kept: others may
  /// want to do the same. It must not wait for tasks.
  void (*idled)(void* context) = nullptr;
  void* thread_context = nullptr;
};

/// For tests: schedulers made from now on scatter their tasks, whatever their Config says.
void scatter_all(bool on);

/// What there is at one moment; parts are approximate while tasks run.
struct Statistics {
  size_t live = 0;               ///< tasks that have not ended
  size_t ready = 0;              ///< tasks in run queues
  size_t timers = 0;             ///< sleeps and deadlines
  size_t threads = 0;            ///< worker threads
  size_t idle_threads = 0;       ///< those that sleep
  size_t blocked_threads = 0;    ///< those in blocking regions
  unsigned processors = 0;       ///< tasks that may run at the same time
  unsigned idle_processors = 0;  ///< not used at the moment
  size_t fibers = 0;             ///< stacks in use by fibers, running or kept
  size_t stack_mappings = 0;     ///< mappings of the process that stacks take
};

/// A task at one moment.
struct TaskState {
  uint64_t id;
  std::string name;        ///< as it was spawned with
  std::string state;       ///< Task::state
  Clock::duration age;     ///< since its spawn, to some milliseconds
  Clock::duration used;    ///< what it held a processor for while that was counted (Scheduler::account)
  Clock::duration recent;  ///< the part of it since the last query
  uint64_t bytes;          ///< what TaskQuery::bytes says
};

/// Which tasks are wanted.
struct TaskQuery {
  enum class Order : uint8_t {
    Any,
    Used,   ///< those first that have used most since the last query
    Bytes,  ///< those of most bytes
    Id,     ///< the oldest
  };
  size_t most = 0;
  Order order = Order::Any;
  /// For a task with a user (SwitchHooks), which cannot change meanwhile. Quick, waits for nobody. May be null.
  uint64_t (*bytes)(void* user) = nullptr;
  /// Gets TaskState::recent of all tasks together, those included that are not among the first. May be null.
  Clock::duration* recent_of_all = nullptr;
};

/// A handle to a task, which runs whether or not a handle exists. No handle outlives the scheduler.
class Task {
 public:
  Task() = default;
  Task(const Task& other);
  Task(Task&& other) noexcept : cell_(std::exchange(other.cell_, nullptr)) {}
  Task& operator=(Task other) noexcept {
    std::swap(cell_, other.cell_);
    return *this;
  }
  ~Task();

  explicit operator bool() const { return cell_ != nullptr; }
  /// Unique for the life of its scheduler.
  uint64_t id() const;
  bool done() const;
  /// Whether it has ended without having run, because no memory was left for its stack when its turn came. Its
  /// callable was destroyed uncalled.
  bool failed() const;
  /// What it does at the moment, for people: "has ended", "runs", "is in a call of the system", "is ready",
  /// "waits for task 5".
  std::string state() const;

  /// Waits for its end: from a task (its cancellation ends the wait) or from any thread.
  Wake join() const;
  Wake join_until(Clock::time_point deadline) const;

  /// Cancels it: every cancellable wait it is in or comes to ends at once, and code it runs is stopped by the preempt
  /// hook until it has seen the cancellation (take_cancel). It still runs to its end.
  void cancel() const;
  /// Ends the park() it is in, or its next one.
  void unpark() const;
  /// The same, a moment later. Async-signal-safe.
  void unpark_soon() const;

 private:
  friend class Core;
  friend Task self();
  explicit Task(TaskCell* cell) : cell_(cell) {}  // takes over a reference
  TaskCell* cell_ = nullptr;
};

/// Starts another task on the scheduler of the running one, as Scheduler::spawn does. By a task.
template <class F>
Task spawn_beside(F&& f, const SpawnOptions& options = {});

class Scheduler {
 public:
  explicit Scheduler(const Config& config = {});
  /// join()s.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Starts a task that calls `f()`. Callable from tasks and from any thread. Throws std::bad_alloc when there is no
  /// memory for the task or for a stack, std::system_error when the first worker thread cannot be made, and what the
  /// making of the callable throws; then nothing was started. Threads beyond the first that cannot be made are done
  /// without: tasks wait for the others.
  template <class F>
  Task spawn(F&& f, const SpawnOptions& options = {}) {
    return spawn_on(*core_, std::forward<F>(f), options);
  }

  /// Waits, from a thread that is no worker, until no task is left.
  void wait_idle();
  /// wait_idle(), then ends all threads. Afterwards nothing may be spawned.
  void join();

  /// Before the first spawn.
  void set_preempt(PreemptHook hook, void* context);

  /// Makes `poller` (sched/poller.h) the source of events from outside, before the first task that needs it. It is not
  /// owned and has to live until join() has returned, or until set_poller(nullptr) has: after that nobody is inside it.
  /// One at a time. Callable from any thread, but not from inside the poller.
  void set_poller(Poller* poller);

  /// Sums since the beginning. Any thread.
  Counters counters() const;
  Statistics statistics() const;
  /// A line for each task that has not ended: its number (Task::id), its name if it has one, and whether it runs, is
  /// ready, or for what it waits (a kind, and the object's address or the task's number). Any thread. Throws
  /// std::bad_alloc.
  std::string report() const;
  /// Tasks that have not ended, `query.most` of them, in the order that is asked for. Any thread. Throws std::bad_alloc.
  std::vector<TaskState> tasks(const TaskQuery& query) const;
  /// Counts from now on what each task holds a processor for, which takes two looks at the clock for each switch; or no
  /// longer. Off at first. Any thread.
  void account(bool on);
  /// Whether no task can go on by itself, as DeadlockHook describes; false when there is none.
  bool stuck() const;
  unsigned workers() const;
  /// Stacks in use by fibers, running or kept.
  size_t fibers() const;
  /// Worker threads that live.
  size_t threads() const;
  /// Tasks that have not ended.
  size_t live() const;

 private:
  template <class F>
  friend Task spawn_beside(F&& f, const SpawnOptions& options);

  template <class F>
  static Task spawn_on(Core& core, F&& f, const SpawnOptions& options) {
    TaskCell* cell = prepare(core, options);
    try {
      body(cell).emplace(std::forward<F>(f));
    } catch (...) {
      discard(core, cell);
      throw;
    }
    return launch(core, cell, options);
  }
  static TaskCell* prepare(Core& core, const SpawnOptions& options);
  static TaskBody& body(TaskCell* cell);
  static Task launch(Core& core, TaskCell* cell, const SpawnOptions& options);
  static void discard(Core& core, TaskCell* cell);
  static Core& core_of_task();

  std::unique_ptr<Core> core_;
};

// What a task does about itself. All but on_task() and self() must be called by a task.

/// Whether the caller is a task.
bool on_task();
/// The running task, or an empty handle.
Task self();

template <class F>
Task spawn_beside(F&& f, const SpawnOptions& options) {
  return Scheduler::spawn_on(Scheduler::core_of_task(), std::forward<F>(f), options);
}

/// Lets others run. Returns why the task is to end, if it is.
CancelReason yield();
/// What stopped code calls: a yield that is counted as preemption and goes behind all others, on any worker.
CancelReason preempted();
/// Whether the running task was asked to give way: for code that polls.
bool preempt_requested();

/// Waits for Task::unpark, which may come (or have come) for another reason: check and repeat.
/// `waits_for` is for reports.
Wake park(Cancellable cancellable = Cancellable::Yes, WaitsFor waits_for = {"unpark"});
Wake park_until(Clock::time_point deadline, Cancellable cancellable = Cancellable::Yes,
                WaitsFor waits_for = {"its deadline"});
/// TimedOut, or Cancelled.
Wake sleep_until(Clock::time_point deadline, Cancellable cancellable = Cancellable::Yes);
Wake sleep_for(Clock::duration time, Cancellable cancellable = Cancellable::Yes);

/// Why the running task is cancelled, if it is.
CancelReason cancel_reason();
/// Whether a task runs here that is cancelled.
bool is_cancelled();
/// As cancel_reason, and ends the cancellation: waits work again, for cleaning up.
CancelReason take_cancel();

/// The stack the running task is on. The whole usable part, frames so far included.
StackBounds stack_bounds();

/// The annex of a stack (Config::annex), lent to one at a time. What was written to it stays there for the next one.
struct Annex {
  std::byte* base = nullptr;  ///< the stack's high end; null: there is none, or it is lent already
  AnnexShape shape{};
  void* handle = nullptr;
};
/// That of the running task's stack.
Annex lend_annex();
/// Gives it back: on any thread, when the task has ended and when the scheduler has. The stack is kept as long.
void return_annex(void* handle) noexcept;

void set_switch_hooks(const SwitchHooks* hooks, void* user);
void* switch_user();
/// The same, or null where no task runs.
void* user_here();

/// Around calls that may block the thread: others take over its processor meanwhile. Inside, only Task::unpark and
/// Task::cancel may be called. enter never suspends; exit may.
enum class Blocking : uint8_t {
  Maybe,   ///< the monitor takes the processor when the call turns out long
  Surely,  ///< the processor is given away at once
};
void enter_blocking(Blocking how = Blocking::Maybe);
void exit_blocking();
/// The same for whoever calls: the worker to leave it with, or null, and nothing was done, where no task runs. The thread is
/// the same until then.
Worker* try_enter_blocking();
/// Whether the task was asked to give way, as preempt_requested() says.
bool exit_blocking(Worker& worker);

/// How many more threads calls in blocking regions may hold, so that enough of Config::max_threads are left to run tasks
/// with. A call that may hold one for long is not made, or made elsewhere, where it is 0; nobody enforces that. Without end
/// on a thread that runs no task, and where max_threads is at most three times the workers.
size_t threads_to_hold();
/// Schedulers of the process for which that is 0.
inline std::atomic<uint32_t> schedulers_short_of_threads{0};

}  // namespace vmrun::sched
