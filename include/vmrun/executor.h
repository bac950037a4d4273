// Executor: many guests on a few threads. A task is a piece of the program with a stack of its own; when the guest that it
// runs waits (for a descriptor, a clock, a peer, another task) the task is suspended and its thread runs another one.
//
//   auto executor = Executor::create();
//   for (...) {
//     auto task = executor->spawn(*store, [&] { result = instance.func("_start")->call(); });
//     ...
//   }
//   executor->wait_idle();
//
// A task that computes is made to give way after a slice of time, also out of a loop in compiled code, and can be
// cancelled at any time or by a deadline. Tasks may go on on another thread after each of these, so a host function that
// may suspend keeps no address of a thread-local variable (errno is one) and holds no lock of the operating system. It may
// be in a catch block: what is caught goes along.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "vmrun/base/durations.h"
#include "vmrun/base/result.h"
#include "vmrun/completions.h"
#include "vmrun/fwd.h"
#include "vmrun/sync.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// A stack that a hook has given: [low, low + size), which grows down.
struct HostStack {
  /// A multiple of 16, as `size` is.
  std::byte* low = nullptr;
  /// At least what was asked for.
  size_t size = 0;
  /// The embedder's own.
  void* handle = nullptr;
};

/// Stacks of tasks in memory of the embedder's own. Both are called by any thread, several at once, in no task; they
/// must be quick and call nothing of the executor. They live, with what they own, until the last stack is given back.
/// Stacks of ended tasks are kept for others, at the longest until the executor is gone. There are no guards below such
/// stacks but the embedder's own: guests check how deep they are, and host functions have what Store::set_native_stack
/// says. What is given is looked at (alignment, size, that no two overlap, that both ends can be written). A task whose
/// stack does not fit, or is not there, fails (Task::failed) and the log says why (VMRUN_LOG=memory); so does one whose
/// hook throws.
struct StackHooks {
  /// Nothing: there is none.
  std::function<std::optional<HostStack>(size_t bytes)> allocate = {};
  /// None: nothing is to be done.
  std::function<void(const HostStack& stack)> release = {};
};

struct ExecutorConfig {
  /// Tasks that run at the same time, each on its thread; 0: one for each processor of the machine.
  unsigned workers = 0;
  /// Threads at most, those included that hold a call of the system which cannot be waited for otherwise. Where it is more
  /// than three times `workers`, calls of guests leave two a worker to run tasks, and fail with errno again beyond that.
  unsigned max_threads = 4096;
  /// Binds each worker to a processor, of those that the calling thread may run on.
  bool pin = false;
  /// How long a task runs while others wait.
  std::chrono::nanoseconds slice = std::chrono::milliseconds(10);
  /// Bytes of a task's stack: address space, which takes memory as it is used. At least Store::kMinNativeStack.
  size_t stack_bytes = size_t{1} << 20;
  /// Where stacks come from, if not from the executor.
  std::optional<StackHooks> stack_hooks = {};
  /// How waiting is done: "auto", "epoll" or "uring" (io_uring for files that prove slow).
  std::string io = "auto";
};

enum class TaskPriority : uint8_t { High, Normal, Low };

struct TaskOptions {
  TaskPriority priority = TaskPriority::Normal;
  /// Cancels the task so long after its spawn.
  std::optional<std::chrono::nanoseconds> timeout{};
  /// For Executor::report and tasks. Outlives the task.
  const char* name = nullptr;
  /// Cancels the task together with all others that have the token.
  CancelToken cancel{};
  /// Called once when the task has ended, whether it ran or not, on a thread of the executor and in no task. Task::done()
  /// is true then, and the store is the caller's again; join() may return a moment before. It must be quick, must not wait and must not throw.
  std::function<void()> on_end{};
  /// Gets `token` when the task has ended, for an event loop; outlives the task. After on_end.
  Completions* completions = nullptr;
  uint64_t token = 0;
};

/// Why a task is to end.
enum class StopReason : uint8_t { None, Cancelled, Timeout };

/// A handle to a task, which runs whether or not a handle exists. Copies mean the same task. Any thread. No handle
/// outlives the executor. An empty one is done.
class Task {
 public:
  Task();
  ~Task();
  Task(const Task& other);
  Task& operator=(const Task& other);
  Task(Task&& other) noexcept;
  Task& operator=(Task&& other) noexcept;

  explicit operator bool() const { return impl_ != nullptr; }
  bool done() const;
  /// Whether it has ended without having run, because there was no memory for its stack.
  bool failed() const;
  /// What it does at the moment, for people: "runs", "is ready", "waits for input on descriptor 5", "is in a call of the
  /// system", "has ended". Descriptors are numbered as in this process.
  std::string state() const;
  /// Waits for its end: suspends a task, holds any other thread. False when the caller's own task was cancelled, and at
  /// once when the task itself asks, which would wait for ever.
  bool join() const;
  /// The same, for so long at most: whether the task has ended. The task itself does not wait.
  bool join_for(std::chrono::nanoseconds time) const;
  /// Every wait that it is in or comes to ends at once, and a guest that it runs traps with TrapCode::Interrupted, until
  /// take_stop() in the task. That is so of the guest's WASI calls that hold its thread, too (opening a FIFO, say); a
  /// call of the system that a host function of the embedder's makes runs to its end first.
  void cancel() const;

  struct Impl;

 private:
  friend class Executor;
  explicit Task(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// What tasks do with descriptors.
struct IoStats {
  size_t descriptors = 0;  ///< that the executor waits for, or has waited for and that are still open
  size_t waiting = 0;      ///< waits of tasks for a descriptor to be ready, now
  size_t transfers = 0;    ///< reads and writes of slow files that the system is at, now
  /// Calls that have ended, since the beginning.
  uint64_t reads = 0, writes = 0, accepts = 0, connects = 0, receives = 0, sends = 0, syncs = 0, waits = 0;
};

/// What there is at one moment; approximate while tasks run.
struct ExecutorStats {
  size_t tasks = 0;                                                 ///< that have not ended
  size_t ready = 0;                                                 ///< that could run
  size_t threads = 0;                                               ///< worker threads
  size_t blocked_threads = 0;                                       ///< those that a call of the system holds
  size_t idle_threads = 0;                                          ///< those that sleep until there is work
  unsigned workers = 0;                                             ///< tasks that may run at the same time
  unsigned idle_workers = 0;                                        ///< how many more could now
  size_t stacks = 0;                                                ///< in use or kept
  uint64_t spawned = 0, switches = 0, preemptions = 0, steals = 0;  ///< since the beginning
  uint64_t parks = 0;                                               ///< times a task suspended itself
  uint64_t finished = 0;                                            ///< tasks that have ended
  uint64_t yields = 0;                                              ///< times a task gave way by itself
  uint64_t stolen = 0;                                              ///< tasks that workers took from each other
  uint64_t migrations = 0;                                          ///< times a task went on on another thread
  /// From the time a task could run until it ran: one in 64 is measured.
  Durations queue_latency;
  /// From a deadline until it was seen to have passed.
  Durations timer_lateness;
  IoStats io;
};

/// A task at one moment.
struct TaskInfo {
  uint64_t id = 0;                    ///< unique in its executor
  std::string name;                   ///< TaskOptions::name
  std::string state;                  ///< Task::state
  std::chrono::nanoseconds age{};     ///< since its spawn, to some milliseconds
  std::chrono::nanoseconds used{};    ///< what it held a processor for while that was counted (Executor::account)
  std::chrono::nanoseconds recent{};  ///< the part of it since the last time that anybody asked for tasks
  uint64_t memory_bytes = 0;          ///< of its store's linear memories, siblings' included
};

/// Which tasks come first where there are more than wanted.
enum class TaskOrder : uint8_t {
  Any,
  Recent,  ///< those of most TaskInfo::recent
  Memory,  ///< those of most memory
  Oldest,
};

/// Runs tasks. Its functions may be called from any thread. Those that wait (the destructor, wait_idle) do not belong in its
/// own tasks nor in what is called at their ends, for which they wait: they end the program there.
class Executor {
 public:
  /// Errors: Usage (an unknown `io`, a stack that is too small), Io (the system has nothing to wait with).
  static Result<Executor> create(const ExecutorConfig& config = {});
  /// Waits until all tasks have ended.
  ~Executor();
  Executor(Executor&&) noexcept;
  Executor& operator=(Executor&&) noexcept;

  /// Starts a task that calls `f()`, which must not throw. From tasks and from any thread. Errors: Limit (no memory for
  /// the task, no thread).
  template <class F>
  Result<Task> spawn(F&& f, const TaskOptions& options = {}) {
    return start(nullptr, shared(std::forward<F>(f)), options);
  }
  /// Starts a task that calls `f()`, which may call guests of `store`. The store is the task's alone until it has ended:
  /// nobody else calls into it, and it outlives the task. Errors: Limit, as above; Usage (another task has the store). Store::interrupt ends what the guest does or waits for, as it
  /// does elsewhere, and leaves the task alone, which may call its guest again; Task::cancel is for the task as a whole.
  /// A store that has no instance yet gets its guests' stack, and a dense memory, beside the task's own stack: where guests
  /// are many, make their instances in their tasks.
  template <class F>
  Result<Task> spawn(Store& store, F&& f, const TaskOptions& options = {}) {
    return start(&store, shared(std::forward<F>(f)), options);
  }

  /// Holds the thread until no task is left.
  void wait_idle();
  /// Tasks that have not ended.
  size_t live() const;
  ExecutorStats stats() const;
  /// A line for each task that has not ended: its name, whether it runs or is ready, or for what it waits.
  std::string report() const;
  /// Tasks that have not ended, `most` of them at most, in that order. Looks at all tasks, some 50 ns for each, during which
  /// no other thread can spawn.
  /// `recent_of_all` gets TaskInfo::recent of all tasks together, if the order is not Any.
  std::vector<TaskInfo> tasks(size_t most = 1000, TaskOrder order = TaskOrder::Any,
                              std::chrono::nanoseconds* recent_of_all = nullptr) const;
  /// Counts from now on what each task holds a processor for (TaskInfo::used), or no longer; off at first. Counting takes two looks
  /// at the clock for each switch. What the system does with the thread meanwhile is not seen: where it runs others,
  /// that time counts too.
  void account(bool on);
  /// How waiting is done: "epoll" or "uring".
  const char* io() const;

  struct Impl;
  Impl& impl() const { return *impl_; }

 private:
  explicit Executor(std::unique_ptr<Impl> impl);
  /// `f` as something that can be copied, though it can perhaps only be moved.
  template <class F>
  static std::function<void()> shared(F&& f) {
    if constexpr (std::is_copy_constructible_v<std::decay_t<F>>) {
      return std::function<void()>(std::forward<F>(f));
    } else {
      return [kept = std::make_shared<std::decay_t<F>>(std::forward<F>(f))] { (*kept)(); };
    }
  }
  Result<Task> start(Store* store, std::function<void()> f, const TaskOptions& options);
  std::unique_ptr<Impl> impl_;
};

/// What a task does about itself.
namespace this_task {

/// Whether the caller is a task.
bool is_one();
/// Lets others run.
void yield();
/// Suspends the task; holds any other thread. False when the task was cancelled meanwhile.
bool sleep_for(std::chrono::nanoseconds time);
/// Until `fd` can be read (or written) without waiting, or has ended, or so much time has passed (nothing: for ever).
/// Suspends a task that a store was spawned with, holds the thread of any other caller. Errors: Io (of the system; Limit when the time
/// has passed; Usage when the task was cancelled).
enum class Ready : uint8_t { Read, Write };
Result<void> wait_fd(int fd, Ready direction, std::optional<std::chrono::nanoseconds> time = std::nullopt);
/// Why the task is to end, if it is.
StopReason stop_reason();
/// The same, and ends the cancellation: waits work again, for cleaning up.
StopReason take_stop();

}  // namespace this_task

}  // namespace vmrun
#pragma GCC visibility pop
