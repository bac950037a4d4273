// The public calls.
#include "sched/scheduler.h"

#include <boost/fiber/context.hpp>

#include "sched/check.h"
#include "sched/core.h"
#include "sched/worker.h"

namespace vmrun::sched {

namespace {

Worker& worker_of_task(const char* what) {
  Worker* w = current_worker();
  SCHED_ASSERT(w != nullptr && w->current() != nullptr, what);
  return *w;
}

}  // namespace

Task::Task(const Task& other) : cell_(other.cell_) {
  if (cell_ != nullptr) {
    cell_->add_ref();
  }
}

Task::~Task() {
  if (cell_ != nullptr) {
    cell_->drop_ref();
  }
}

uint64_t Task::id() const { return cell_->id.load(std::memory_order_relaxed); }
std::string Task::state() const { return cell_->state(); }
bool Task::failed() const { return cell_->failed.load(std::memory_order_acquire); }
bool Task::done() const { return cell_->done.load(std::memory_order_acquire); }
void Task::cancel() const { cell_->request_cancel(CancelReason::Requested); }
void Task::unpark() const { cell_->unpark(); }
void Task::unpark_soon() const { cell_->core->unpark_soon(cell_); }

namespace {

Wake join_cell(TaskCell* cell, Nanos deadline) {
  std::unique_lock lock(cell->join_lock);
  if (cell->done.load(std::memory_order_relaxed)) {
    return Wake::Unparked;
  }
  return cell->joiners.wait(lock, Cancellable::Yes, deadline, {"task", cell->id.load(std::memory_order_relaxed)});
}

}  // namespace

Wake Task::join() const { return join_cell(cell_, never); }
Wake Task::join_until(Clock::time_point deadline) const { return join_cell(cell_, nanos(deadline)); }

Scheduler::Scheduler(const Config& config) : core_(std::make_unique<Core>(config)) {}
Scheduler::~Scheduler() { core_->stop(); }
TaskCell* Scheduler::prepare(Core& core, const SpawnOptions& options) { return core.prepare(options); }
TaskBody& Scheduler::body(TaskCell* cell) { return cell->body; }
Task Scheduler::launch(Core& core, TaskCell* cell, const SpawnOptions& options) { return core.launch(cell, options); }
void Scheduler::discard(Core& core, TaskCell* cell) { core.discard(cell); }
Core& Scheduler::core_of_task() { return *worker_of_task("spawn_beside outside a task").current()->core; }
void Scheduler::wait_idle() { core_->wait_idle(); }
void Scheduler::join() { core_->stop(); }
void Scheduler::set_preempt(PreemptHook hook, void* context) { core_->set_preempt(hook, context); }
void Scheduler::set_poller(Poller* poller) { core_->set_poller(poller); }
Statistics Scheduler::statistics() const { return core_->statistics(); }
std::vector<TaskState> Scheduler::tasks(const TaskQuery& query) const { return core_->tasks(query); }
void Scheduler::account(bool on) { core_->account(on); }
std::string Scheduler::report() const { return core_->report(); }
bool Scheduler::stuck() const { return core_->stuck(); }
Counters Scheduler::counters() const { return core_->counters(); }
unsigned Scheduler::workers() const { return core_->config.workers; }
size_t Scheduler::fibers() const { return core_->stacks->in_use(); }
size_t Scheduler::threads() const { return core_->threads(); }
size_t Scheduler::live() const { return core_->live.load(std::memory_order_acquire); }

bool on_task() {
  Worker* w = current_worker();
  return w != nullptr && w->current() != nullptr;
}

Task self() {
  Worker* w = current_worker();
  if (w == nullptr || w->current() == nullptr) {
    return {};
  }
  w->current()->add_ref();
  return Task(w->current());
}

CancelReason yield() { return worker_of_task("yield outside a task").yield(false); }
CancelReason preempted() { return worker_of_task("preempted outside a task").yield(true); }

bool preempt_requested() {
  Worker* w = current_worker();
  return w != nullptr && w->processor() != nullptr && w->processor()->preempt.load(std::memory_order_relaxed);
}

CancelReason cancel_reason() {
  return worker_of_task("cancel_reason outside a task").current()->cancel.load(std::memory_order_acquire);
}

bool is_cancelled() {
  Worker* w = current_worker();
  TaskCell* task = w != nullptr ? w->current() : nullptr;
  return task != nullptr && task->cancel.load(std::memory_order_acquire) != CancelReason::None;
}

CancelReason take_cancel() {
  TaskCell* task = worker_of_task("take_cancel outside a task").current();
  std::lock_guard lock(task->user_lock);
  return task->cancel.exchange(CancelReason::None, std::memory_order_acq_rel);
}

Wake park(Cancellable cancellable, WaitsFor waits_for) {
  Worker& w = worker_of_task("park outside a task");
  TaskCell* task = w.current();
  auto cancelled = [&] {
    return cancellable == Cancellable::Yes && task->cancel.load(std::memory_order_acquire) != CancelReason::None;
  };
  if (cancelled()) {
    return Wake::Cancelled;
  }
  task->wait_for(waits_for);
  w.park();
  task->wait_for({});
  return cancelled() ? Wake::Cancelled : Wake::Unparked;
}

Wake park_until(Clock::time_point deadline, Cancellable cancellable, WaitsFor waits_for) {
  Worker& w = worker_of_task("park_until outside a task");
  TaskCell* task = w.current();
  auto cancelled = [&] {
    return cancellable == Cancellable::Yes && task->cancel.load(std::memory_order_acquire) != CancelReason::None;
  };
  if (cancelled()) {
    return Wake::Cancelled;
  }
  Timer timer;
  timer.when = nanos(deadline);
  timer.task = task;
  w.start_timer(timer);
  task->wait_for(waits_for);
  w.park();
  task->wait_for({});
  const bool fired = timer.fired.load(std::memory_order_acquire);
  if (!fired) {
    task->core->timers.remove(timer);
  }
  return cancelled() ? Wake::Cancelled : fired ? Wake::TimedOut : Wake::Unparked;
}

Wake sleep_until(Clock::time_point deadline, Cancellable cancellable) {
  bool stray = false;
  Wake result;
  while ((result = park_until(deadline, cancellable)) == Wake::Unparked) {
    stray = true;
  }
  if (stray) {
    current_worker()->current()->unpark();  // meant for another wait
  }
  return result;
}

Wake sleep_for(Clock::duration time, Cancellable cancellable) { return sleep_until(Clock::now() + time, cancellable); }

StackBounds stack_bounds() {
  Fiber* fiber = worker_of_task("stack_bounds outside a task").current()->fiber;
  return {fiber->stack.low, reinterpret_cast<std::byte*>(fiber->context)};
}

Annex lend_annex() {
  Fiber* fiber = worker_of_task("lend_annex outside a task").current()->fiber;
  if (!fiber->has_annex || fiber->annex_lent.exchange(true, std::memory_order_acquire)) {
    return {};
  }
  fiber->holders.fetch_add(1, std::memory_order_relaxed);
  return {fiber->stack.high, fiber->pool->annex(), fiber};
}

void return_annex(void* handle) noexcept {
  auto* fiber = static_cast<Fiber*>(handle);
  fiber->annex_lent.store(false, std::memory_order_release);
  drop_fiber(fiber);
}

void set_switch_hooks(const SwitchHooks* hooks, void* user) {
  TaskCell* task = worker_of_task("set_switch_hooks outside a task").current();
  task->hooks = hooks;
  task->set_user(user);
}

void* switch_user() { return worker_of_task("switch_user outside a task").current()->user; }

void* user_here() {
  Worker* w = current_worker();
  TaskCell* task = w != nullptr ? w->current() : nullptr;
  return task != nullptr ? task->user : nullptr;
}

void enter_blocking(Blocking how) { worker_of_task("enter_blocking outside a task").enter_blocking(how); }
void exit_blocking() { worker_of_task("exit_blocking outside a task").exit_blocking(); }

Worker* try_enter_blocking() {
  Worker* w = current_worker();
  if (w == nullptr || w->current() == nullptr) {
    return nullptr;
  }
  w->enter_blocking(Blocking::Maybe);
  return w;
}

bool exit_blocking(Worker& worker) { return worker.exit_blocking(); }

size_t threads_to_hold() {
  Worker* w = current_worker();
  return w != nullptr && w->current() != nullptr ? w->core().threads_to_hold() : SIZE_MAX;
}

}  // namespace vmrun::sched
