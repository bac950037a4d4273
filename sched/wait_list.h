// Where fibers and threads wait for an event: the lists inside joins, mutexes, conditions and events.
//
// Rules: a list is guarded by the lock beside it (a SpinLock of its owner), held to link and unlink nodes and for
// nothing that takes another lock or calls the kernel. A node lives in the waiter's frame. Whoever signals unlinks the node under the lock, reads what it needs from it, then stores
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

/// What a task waits for, for reports: words for the kind, of static life, and the address of the object or its number (of a
/// task, of a descriptor).
struct WaitsFor {
  static constexpr uint64_t none = UINT64_MAX;

  const char* what = nullptr;
  uint64_t which = none;
};

class WaitList {
 public:
  /// One waiter: a task or a thread, whoever makes it.
  struct Node {
    Node();
    Node* prev = nullptr;
    Node* next = nullptr;
    TaskCell* task = nullptr;  // null: a thread
    bool linked = false;
    // For the list's owner: what goes with the signal.
    bool handed = false;
    Nanos since = 0;
    void* slot = nullptr;
    std::atomic<uint32_t> signalled{0};
  };

  bool empty() const { return first_ == nullptr; }

  /// Under the lock: links a node of the caller's, which then calls wait().
  void push(Node& node);
  void push_front(Node& node);
  /// Without the lock, which is given for giving up: waits until the linked node is signalled. It is then not linked.
  Wake wait(Node& node, SpinLock& lock, Cancellable cancellable, Nanos deadline, WaitsFor waits_for);

  /// Links the caller, releases `lock` and waits until signalled. Never holds `lock` when it returns.
  Wake wait(std::unique_lock<SpinLock>& lock, Cancellable cancellable, Nanos deadline, WaitsFor waits_for);

  /// Under the lock: takes out the longest waiter and returns it for signal(), or null.
  Node* pop();
  /// Takes out all of them, linked by next_of().
  Node* pop_all();
  static Node* next_of(Node* node);
  /// Wakes a node taken out; the lock need not be held.
  static void signal(Node* node);

 private:
  void unlink(Node* node);

  Node* first_ = nullptr;
  Node* last_ = nullptr;
};

}  // namespace vmrun::sched
