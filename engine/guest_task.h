// Guests on fibers: what a task of the scheduler needs to call into a store.
//
// The vCPU follows its task from thread to thread. The scheduler's monitor stops guests by signal (jit/stop/preempt.h), in
// compiled code at any instruction; a cancelled task's guest traps with TrapCode::Interrupted instead of going on, and the
// task's own code then asks sched::take_cancel() why. The same signal ends a system call that holds the thread of a
// cancelled task (vm/runtime/stoppable.h).
//
// An interrupt of the store (vm::ask_interrupt) unparks the task, and whoever waits for the guest then looks at
// `interrupted`.
#pragma once

#include <atomic>
#include <memory>

#include "io/reactor.h"
#include "sched/scheduler.h"
#include "vmrun/store.h"

namespace vmrun {

/// `config` with what worker threads need to run guests, and room for a guest beside each stack of config.stack_size
/// bytes.
sched::Config guest_scheduler_config(sched::Config config = {});
/// Lets `scheduler` stop guests, and guests on fibers suspend in memory.atomic.wait. Before its first spawn.
void let_scheduler_stop_guests(sched::Scheduler& scheduler);

/// Inside a task, around its calls into `store`. The store is the task's until then. Guests use what the task's stack has
/// left beyond the host's reserve (vm/runtime/native_stack.h). A store without an instance yet takes its VM stack and its
/// first small memory from the room beside the task's stack (vm/runtime/room.h), for as long as it lives.
class GuestTask {
 public:
  /// `reactor` is what the guest's system calls wait with; null: they hold their thread.
  explicit GuestTask(Store& store, std::shared_ptr<io::Reactor> reactor = nullptr);
  ~GuestTask();
  GuestTask(const GuestTask&) = delete;
  GuestTask& operator=(const GuestTask&) = delete;

  /// That of the running task, or null.
  static GuestTask* current();
  const std::shared_ptr<io::Reactor>& reactor() const { return reactor_; }
  /// Whether guests of `store` are what it calls.
  bool runs(const Store& store) const { return &store.impl() == &store_; }
  const sched::Task& task() const { return task_; }
  /// Of the store's program. Any thread, while the scheduler keeps the task from ending.
  uint64_t memory_bytes() const;
  /// Whether the guest is to end: a wait of its ends when this is set, too. The task is unparked afterwards.
  const std::atomic<uint8_t>& interrupted() const;
  /// Calls of the guest's program that hold a thread; null: it has no other thread.
  std::atomic<uint32_t>* holding() const;
  /// In a host function: makes the guest trap with TrapCode::Interrupted when it goes on, because its task was cancelled
  /// while it waited.
  void interrupt_guest();
  /// Ends a system call of the guest that holds its thread, and has it look why its task is to end. On any thread, while
  /// the scheduler keeps the task from ending. The stop signal to its thread comes afterwards.
  void end_calls() noexcept;

 private:
  static void resume(void* self) noexcept;
  static void suspend(void* self) noexcept;
  static const sched::SwitchHooks kHooks;

  static void wake(void* self);

  vm::Store& store_;
  const std::shared_ptr<io::Reactor> reactor_;
  sched::Task task_ = sched::self();
  // What ran when the task was left.
  vm::Vcpu* suspended_ = nullptr;
  vm::RunClock* clocks_ = nullptr;
};

}  // namespace vmrun
