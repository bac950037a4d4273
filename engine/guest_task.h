// Guests on fibers: what a task of the scheduler needs to call into a store.
//
// The vCPU follows its task from thread to thread. The scheduler's monitor stops guests by signal (jit/stop/preempt.h), in
// compiled code at any instruction; a cancelled task's guest traps with TrapCode::Interrupted instead of going on, and the
// task's own code then asks sched::take_cancel() why.
#pragma once

#include "sched/scheduler.h"
#include "vmrun/store.h"

namespace vmrun {

/// `config` with what worker threads need to run guests.
sched::Config guest_scheduler_config(sched::Config config = {});
/// Lets `scheduler` stop guests. Before its first spawn.
void let_scheduler_stop_guests(sched::Scheduler& scheduler);

/// Inside a task, around its calls into `store`. The store is the task's until then. Guests use what the task's stack has
/// left beyond the host's reserve (vm/runtime/native_stack.h).
class GuestTask {
 public:
  explicit GuestTask(Store& store);
  ~GuestTask();
  GuestTask(const GuestTask&) = delete;
  GuestTask& operator=(const GuestTask&) = delete;

 private:
  static void resume(void* self) noexcept;
  static void suspend(void* self) noexcept;
  static const sched::SwitchHooks kHooks;

  vm::Store& store_;
  vm::Vcpu* suspended_ = nullptr;  // what ran when the task was left
};

}  // namespace vmrun
