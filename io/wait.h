// Waiting for descriptors: who waits (a Waiter), where (a Node in a descriptor's list), until when (Until), and what ends
// many waits at once (Stop).
//
// Rules: a Waiter and its nodes live in the frame of the call that waits. A node is linked, unlinked and read under the
// lock of its descriptor. Whoever signals a waiter does so under the lock of the descriptor or the Stop that has it,
// and the waiter takes that lock before its frame goes: so a signal never meets memory that is gone. The task is made
// ready after the lock is released, through a handle of its own (Unparks).
#pragma once

#include <poll.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "sched/scheduler.h"
#include "sched/spin_lock.h"

namespace vmrun::io {

using sched::Nanos;
using sched::never;

class Waiter;

/// A switch that ends all waits it was given to, with -ECANCELED, and later ones at once. It outlives them.
class Stop {
 public:
  Stop() = default;
  ~Stop();
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;
  /// From any thread.
  void stop() noexcept;
  bool stopped() const noexcept { return stopped_.load(std::memory_order_acquire); }

 private:
  friend class Waiter;
  sched::SpinLock lock_;
  std::atomic<bool> stopped_{false};
  Waiter* first_ = nullptr;
};

/// How long a call waits.
struct Until {
  /// Of sched::Clock; 0: the call does not wait, and gives -EAGAIN. When it passes, the call gives -ETIMEDOUT.
  Nanos deadline = never;
  /// Whether cancelling the task ends it, with -ECANCELED.
  sched::Cancellable cancellable = sched::Cancellable::Yes;
  Stop* stop = nullptr;
  /// A flag beside it, of a task's call: whoever sets it unparks the task, and the call then gives -ECANCELED.
  const std::atomic<uint8_t>* interrupted = nullptr;

  /// Whether the Stop or the flag is set.
  bool is_over() const noexcept {
    return (stop != nullptr && stop->stopped()) ||
           (interrupted != nullptr && interrupted->load(std::memory_order_acquire) != 0);
  }
  /// The same with another deadline.
  Until by(Nanos other) const noexcept {
    Until until = *this;
    until.deadline = other;
    return until;
  }
  static Until at(sched::Clock::time_point t) { return {.deadline = sched::nanos(t)}; }
  static Until after(sched::Clock::duration d) { return at(sched::Clock::now() + d); }
  static Until now() { return {.deadline = 0}; }
};

/// Tasks to be made ready once a lock is released.
class Unparks {
 public:
  static constexpr size_t capacity = 16;
  bool full() const noexcept { return count_ == capacity; }
  void add(const sched::Task& task) noexcept { tasks_[count_++] = task; }
  /// Makes them ready; how many they were.
  int flush() noexcept {
    const auto n = static_cast<int>(count_);
    while (count_ != 0) {
      tasks_[--count_].unpark();
      tasks_[count_] = {};
    }
    return n;
  }

 private:
  sched::Task tasks_[capacity];
  size_t count_ = 0;
};

/// The task or thread that waits in one call.
class Waiter {
 public:
  explicit Waiter(const Until& until);
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  bool is_task() const noexcept { return static_cast<bool>(task_); }
  const sched::Task& task() const noexcept { return task_; }
  /// Under a lock that the waiter takes before it goes. A thread is woken at once, a task when `unparks` are flushed.
  void signal(Unparks& unparks) noexcept;
  bool signalled() const noexcept { return signalled_.load(std::memory_order_acquire); }

  /// Suspends the task until it is signalled (also by the Stop) or interrupted. `waits_for` is for reports.
  sched::Wake wait(sched::WaitsFor waits_for = {"its deadline"}) noexcept;
  /// Holds the thread until it is signalled or one of `fds` is ready; `fds` has room for one more behind `count`. In
  /// `ready` how many are, or a negated errno value.
  sched::Wake wait(pollfd* fds, size_t count, int64_t& ready) noexcept;
  /// What a wait that ended so gives, unless what was waited for has come: -ETIMEDOUT or -ECANCELED.
  static int64_t error_of(sched::Wake how) noexcept;

 private:
  friend class Stop;
  const Until until_;
  sched::Task task_;
  std::atomic<bool> signalled_{false};
  int event_ = -1;  // a thread's eventfd
  Waiter* stop_prev_ = nullptr;
  Waiter* stop_next_ = nullptr;
  bool stop_linked_ = false;  // under the Stop's lock
};

/// A place in the list of a descriptor's direction.
struct Node {
  Waiter* waiter = nullptr;
  /// Takes what comes, so one is woken for each event; otherwise it only looks, and every event wakes it.
  bool consumes = true;
  bool linked = false;
  bool fired = false;   ///< was taken out of the list by an event, or because the descriptor is being closed
  bool closed = false;  ///< the latter
  Node* prev = nullptr;
  Node* next = nullptr;
};

/// Nodes, first come first; under the descriptor's lock.
struct NodeList {
  Node* first = nullptr;
  Node* last = nullptr;
  size_t lookers = 0;  // nodes that do not consume

  /// `front`: before those that wait already.
  void push(Node& node, bool front) noexcept;
  void unlink(Node& node) noexcept;
};

}  // namespace vmrun::io
