// Waiting, for fibers and threads alike.
#include "sched/wait_list.h"

#include "sched/check.h"
#include "sched/core.h"
#include "sched/worker.h"

namespace vmrun::sched {

WaitList::Node::Node() {
  Worker* worker = current_worker();
  SCHED_ASSERT(worker == nullptr || worker->processor() != nullptr, "a wait in a blocking region or a switch hook");
  task = worker != nullptr ? worker->current() : nullptr;
}

void WaitList::push(Node& node) {
  node.prev = last_;
  node.next = nullptr;
  node.linked = true;
  (last_ != nullptr ? last_->next : first_) = &node;
  last_ = &node;
}

void WaitList::push_front(Node& node) {
  node.prev = nullptr;
  node.next = first_;
  node.linked = true;
  (first_ != nullptr ? first_->prev : last_) = &node;
  first_ = &node;
}

void WaitList::unlink(Node* node) {
  (node->prev != nullptr ? node->prev->next : first_) = node->next;
  (node->next != nullptr ? node->next->prev : last_) = node->prev;
  node->linked = false;
}

WaitList::Node* WaitList::pop() {
  Node* node = first_;
  if (node != nullptr) {
    unlink(node);
    node->next = nullptr;
  }
  return node;
}

WaitList::Node* WaitList::pop_all() {
  Node* first = first_;
  for (Node* node = first; node != nullptr; node = node->next) {
    node->linked = false;
  }
  first_ = last_ = nullptr;
  return first;
}

WaitList::Node* WaitList::next_of(Node* node) { return node->next; }

void WaitList::signal(Node* node) {
  TaskCell* task = node->task;
  if (task == nullptr) {
    node->signalled.store(1, std::memory_order_release);
    futex_wake(node->signalled);
    return;
  }
  task->add_ref();  // from the store on, the waiter may run to its end
  node->signalled.store(1, std::memory_order_release);
  task->unpark();
  task->drop_ref();
}

Wake WaitList::wait(std::unique_lock<SpinLock>& lock, Cancellable cancellable, Nanos deadline, WaitsFor waits_for) {
  Node node;
  push(node);
  lock.unlock();
  return wait(node, *lock.mutex(), cancellable, deadline, waits_for);
}

Wake WaitList::wait(Node& node, SpinLock& lock, Cancellable cancellable, Nanos deadline, WaitsFor waits_for) {
  TaskCell* const task = node.task;
  auto signalled = [&] { return node.signalled.load(std::memory_order_acquire) != 0; };

  if (task == nullptr) {
    while (!signalled()) {
      if (futex_wait(node.signalled, 0, deadline) || signalled()) {
        continue;
      }
      lock.lock();
      if (node.linked) {
        unlink(&node);
        lock.unlock();
        return Wake::TimedOut;
      }
      lock.unlock();
      deadline = never;  // it is being signalled
    }
    return Wake::Unparked;
  }

  Timer timer;
  if (deadline != never) {
    timer.when = deadline;
    timer.task = task;
    current_worker()->start_timer(timer);
  }
  task->wait_for(waits_for);
  Wake result = Wake::Unparked;
  bool stray = false;
  while (!signalled()) {
    if (cancellable == Cancellable::Yes && task->cancel.load(std::memory_order_acquire) != CancelReason::None) {
      result = Wake::Cancelled;
    } else if (timer.fired.load(std::memory_order_acquire)) {
      result = Wake::TimedOut;
    } else {
      current_worker()->park();
      stray |= !signalled();
      continue;
    }
    lock.lock();
    if (node.linked) {
      unlink(&node);
      lock.unlock();
      break;
    }
    lock.unlock();
    result = Wake::Unparked;
    while (!signalled()) {
      current_worker()->park();  // it is being signalled
    }
  }
  if (deadline != never && !timer.fired.load(std::memory_order_acquire)) {
    task->core->timers.remove(timer);
  }
  task->wait_for({});
  if (stray) {
    task->unpark();  // perhaps a permit meant for another wait: hand it on
  }
  return result;
}

}  // namespace vmrun::sched
