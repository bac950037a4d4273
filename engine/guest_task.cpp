// Guests on fibers: see guest_task.h.
#include "engine/guest_task.h"

#include "jit/stop/preempt.h"
#include "vm/runtime/fault.h"
#include "vm/runtime/native_stack.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/store.h"

namespace vmrun {
namespace {

void prepare_thread(void*) { vm::fault_prepare_thread(); }

/// Serves vm::Request::yield.
void give_way(vm::Vcpu& cx) {
  if (!sched::on_task()) return;
  if (sched::preempted() != sched::CancelReason::None) cx.interrupt.store(true, std::memory_order_relaxed);
}

void stop_guest(void*, pthread_t worker, uint64_t) noexcept { jit::preempt_thread(worker); }

}  // namespace

sched::Config guest_scheduler_config(sched::Config config) {
  config.thread_started = prepare_thread;
  return config;
}

void let_scheduler_stop_guests(sched::Scheduler& scheduler) {
  jit::preempt_install();
  vm::set_request_server(vm::Request::yield, give_way);
  scheduler.set_preempt(stop_guest, nullptr);
}

const sched::SwitchHooks GuestTask::kHooks{resume, suspend};

GuestTask::GuestTask(Store& store) : store_(store.impl()) {
  const sched::StackBounds stack = sched::stack_bounds();
  store_.set_native_stack(stack.low, stack.size());
  sched::set_switch_hooks(&kHooks, this);
}

GuestTask::~GuestTask() {
  sched::set_switch_hooks(nullptr, nullptr);
  store_.set_native_stack(nullptr, 0);
}

void GuestTask::resume(void* self) noexcept {
  auto& task = *static_cast<GuestTask*>(self);
  if (task.suspended_ != nullptr) vm::set_running(task.suspended_);
}

void GuestTask::suspend(void* self) noexcept { static_cast<GuestTask*>(self)->suspended_ = vm::set_running(nullptr); }

}  // namespace vmrun
