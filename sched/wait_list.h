// Where fibers and threads wait for an event: the lists inside joins, mutexes, conditions and events.
//
// Rules: a list is guarded by the lock beside it (a SpinLock of its owner), held to link and unlink nodes. A node lives
// in the waiter's frame. Whoever signals unlinks the node under the lock, reads what it needs from it, then stores
// `signalled`: after that store the node may be gone. A waiter that gives up (cancelled, late) takes the lock to see
// whether it is still linked; if not, it has been signalled and says so. Fibers are woken by unpark(), threads by
// futex.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "sched/futex.h"
#include "sched/spin_lock.h"

namespace vmrun::sched {

struct TaskCell;

/// How a wait ended.
enum class Wake : uint8_t {
  Unparked,   ///< by what was waited for
  TimedOut,   ///< by the deadline
  Cancelled,  ///< by cancellation of the waiting task
};

/// Whether cancelling the task ends the wait.
enum class Cancellable : bool { No, Yes };

class WaitList {
 public:
  bool empty() const { return first_ == nullptr; }

  /// Links the caller, releases `lock` and waits until signalled. Never holds `lock` when it returns.
  Wake wait(std::unique_lock<SpinLock>& lock, Cancellable cancellable, Nanos deadline = never);

  /// Under the lock: takes out the longest waiter and returns it for signal(), or null.
  struct Node;
  Node* pop();
  /// Takes out all of them, linked by next_of().
  Node* pop_all();
  static Node* next_of(Node* node);
  /// Wakes a node taken out; the lock need not be held.
  static void signal(Node* node);

 private:
  void push(Node* node);
  void unlink(Node* node);

  Node* first_ = nullptr;
  Node* last_ = nullptr;
};

}  // namespace vmrun::sched
