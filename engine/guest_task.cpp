// Guests on fibers: see guest_task.h.
#include "engine/guest_task.h"

#include <algorithm>
#include <utility>

#include "interp/interp.h"
#include "jit/stop/guest_samples.h"
#include "jit/stop/preempt.h"
#include "vm/runtime/fault.h"
#include "vm/runtime/memory.h"
#include "vm/runtime/native_stack.h"
#include "vm/runtime/room.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/store.h"
#include "vm/runtime/wait.h"

namespace vmrun {
namespace {

/// What the thread keeps for guests is made now: later it would have to wait for a compile thread that loads the optimising
/// compiler, some milliseconds.
void prepare_thread(void*) {
  vm::fault_prepare_thread();
  jit::guest_samples_prepare_thread();
  interp::prepare_thread();
}

/// By the guest's own thread, which polls afterwards.
void interrupt_once(vm::Vcpu& cx) {
  cx.interrupt.fetch_or(static_cast<uint8_t>(vm::Interrupt::once), std::memory_order_relaxed);
}

/// Serves vm::Request::yield.
void give_way(vm::Vcpu& cx) {
  if (!sched::on_task()) return;
  if (sched::preempted() != sched::CancelReason::None) interrupt_once(cx);
}

// memory.atomic.wait on fibers.
void* waiting_fiber() { return GuestTask::current(); }
bool park_fiber(std::chrono::steady_clock::time_point deadline) {
  return sched::park_until(deadline, sched::Cancellable::Yes, {"memory.atomic.notify"}) != sched::Wake::Cancelled;
}
void unpark_fiber(void* fiber) { static_cast<GuestTask*>(fiber)->task().unpark(); }
constexpr vm::WaitFibers kWaitFibers{waiting_fiber, park_fiber, unpark_fiber};

/// The room beside the running task's stack, if nobody has it and the store may use no more VM stack than there is in it.
vm::Room room_of_task(const vm::Store& store, size_t native_bytes) {
  const sched::Annex annex = sched::lend_annex();
  if (annex.base == nullptr) return {};
  vm::Room room(annex.base, {annex.shape.shared, annex.shape.guard, annex.shape.size}, &sched::return_annex,
                annex.handle);
  const uint64_t left = native_bytes - vm::host_reserve(native_bytes);
  if (std::min(store.limits().stack_bytes, left) > room.shape().stack_bytes()) return {};
  return room;
}

void stop_guest(void*, const sched::Preemption& what) noexcept {
  if (what.reason != sched::CancelReason::None && what.user != nullptr) static_cast<GuestTask*>(what.user)->end_calls();
  jit::preempt_thread(what.worker);
}

}  // namespace

sched::Config guest_scheduler_config(sched::Config config) {
  config.thread_started = prepare_thread;
  config.idled = [](void*) { vm::MemoryPool::trim_all(); };
  const vm::RoomShape room = vm::RoomShape::beside(config.stack_size);
  config.annex = {.shared = room.shared, .size = room.size, .guard = room.guard};
  return config;
}

void let_scheduler_stop_guests(sched::Scheduler& scheduler) {
  jit::preempt_install();
  vm::set_request_server(vm::Request::yield, give_way);
  vm::set_wait_fibers(&kWaitFibers);
  scheduler.set_preempt(stop_guest, nullptr);
}

const sched::SwitchHooks GuestTask::kHooks{resume, suspend};

GuestTask* GuestTask::current() { return static_cast<GuestTask*>(sched::user_here()); }

const std::atomic<uint8_t>& GuestTask::interrupted() const { return store_.vcpu().interrupt; }

std::atomic<uint32_t>* GuestTask::holding() const { return store_.group != nullptr ? &store_.group->holding : nullptr; }

uint64_t GuestTask::memory_bytes() const { return store_.memory_bytes(); }

void GuestTask::interrupt_guest() { interrupt_once(store_.vcpu()); }

void GuestTask::end_calls() noexcept {
  store_.vcpu().requests.fetch_or(static_cast<uint8_t>(vm::Request::yield) | vm::kEndCalls, std::memory_order_seq_cst);
}

void GuestTask::wake(void* self) { static_cast<GuestTask*>(self)->task_.unpark_soon(); }

GuestTask::GuestTask(Store& store, std::shared_ptr<io::Reactor> reactor)
    : store_(store.impl()), reactor_(std::move(reactor)) {
  const sched::StackBounds stack = sched::stack_bounds();
  store_.set_native_stack(stack.low, stack.size());
  if (!store_.has_stack()) {
    if (vm::Room room = room_of_task(store_, stack.size())) store_.take_room(std::move(room));
  }
  sched::set_switch_hooks(&kHooks, this);
  store_.waker().set(wake, this);
}

GuestTask::~GuestTask() {
  store_.waker().clear();
  sched::set_switch_hooks(nullptr, nullptr);
  store_.set_native_stack(nullptr, 0);
}

void GuestTask::resume(void* self) noexcept {
  auto& task = *static_cast<GuestTask*>(self);
  if (task.suspended_ != nullptr) vm::set_running(task.suspended_);
  if (task.clocks_ != nullptr) vm::resume_runs(task.clocks_);
}

void GuestTask::suspend(void* self) noexcept {
  auto& task = *static_cast<GuestTask*>(self);
  task.clocks_ = vm::pause_runs();
  task.suspended_ = vm::set_running(nullptr);
}

}  // namespace vmrun
