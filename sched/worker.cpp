// The life of a worker thread and its switches. Finding work: pick.cpp.
#include "sched/worker.h"

#include <algorithm>
#include <bit>
#include <boost/fiber/operations.hpp>

#include "sched/algorithm.h"
#include "sched/check.h"
#include "sched/cpus.h"
#include "sched/in_flight.h"

namespace vmrun::sched {

namespace {

thread_local Worker* this_worker = nullptr;

// A task that has suspended so soon after it woke another is expected to do so again, for so many wake-ups.
constexpr Nanos quiet_within = 5'000;
constexpr uint32_t quiet_wakes_max = 1024;

}  // namespace

// Not inlined, so that no caller keeps the thread-local's address across a switch.
__attribute__((noinline)) Worker* current_worker() noexcept {
  asm volatile("");
  return this_worker;
}

Worker::Worker(Core& core, uint32_t index) : core_(core), random_(index * 2654435761u + 1), index_(index) {}

void Worker::start(Processor* p, bool spinning) {
  p_ = p;
  spinning_ = spinning;
  retiring_ = trimming_ = false;
  keep_until_ = 0;
  dispatcher_ = main_ = nullptr;
  here_ = &main_strand_;
  switch_pending_ = false;
  thread_ = std::thread([this] { main(); });
}

void Worker::main() {
  this_worker = this;
  in_flight_ = &in_flight_here();
  {
    std::lock_guard lock(signal_lock_);
    pthread_ = pthread_self();
    has_thread_ = true;
  }
  set_exact_deadlines();
  count(counters.threads);
  cpu_ = -1;
  if (p_ != nullptr) {
    hold(*p_);
  }

  pthread_attr_t attributes;
  void* low = nullptr;
  size_t size = 0;
  if (pthread_getattr_np(pthread_, &attributes) == 0) {
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
  }
  main_strand_.adopt_thread(low, size);

  if (core_.config.thread_started != nullptr) {
    core_.config.thread_started(core_.config.thread_context);
  }
  bool began = true;
  try {
    boost::fibers::use_scheduling_algorithm<Algorithm>(*this);
    main_ = boost::fibers::context::active();
    boost_ = main_->get_scheduler();
  } catch (const std::bad_alloc&) {
    began = false;
  }
  if (began) {
    main_->suspend();  // to the dispatcher, until the thread is to end
    finish_switch();
  }
  if (core_.config.thread_stopped != nullptr) {
    core_.config.thread_stopped(core_.config.thread_context);
  }
  {
    std::lock_guard lock(signal_lock_);
    has_thread_ = false;
  }
  if (!began) {
    core_.thread_failed(*this);
  } else if (retiring_) {
    count(counters.threads_ended);
    core_.thread_ended(*this);
  }
  // Boost's thread-local scheduler ends after this, by way of pick_next and notify.
}

Strand& Worker::strand_of(boost::fibers::context* context) {
  if (context == dispatcher_) {
    return dispatcher_strand_;
  }
  return context == main_ ? main_strand_ : left_fiber_->strand;
}

// Called by Boost for every switch that keeps what it leaves, and first of all for the dispatcher when it is made.
void Worker::arrived(boost::fibers::context* left) {
  finish_switch();
  if (dispatcher_ == nullptr) {
    dispatcher_ = left;
    // Its stack is Boost's, its context at the stack's top.
    const auto* top = reinterpret_cast<const std::byte*>(left);
    const size_t size = boost::context::stack_traits::default_size() - 4096;
    dispatcher_strand_.create(top - size, size);
    return;
  }
  TaskCell* task = left_;
  switch (std::exchange(after_, After::Nothing)) {
    case After::Nothing: break;
    case After::Yield:
      if (p_ != nullptr) {
        sample(task);
        push_local(task);
        break;
      }
      [[fallthrough]];
    case After::Global:
      core_.push_global(task);
      blocked_.store(nullptr, std::memory_order_release);  // where it comes from a blocking region
      core_.maybe_wake();
      break;
    case After::Park: {
      auto state = ParkState::Running;
      if (!task->park.compare_exchange_strong(state, ParkState::Parked, std::memory_order_acq_rel)) {
        // A permit came meanwhile. Exchanged, not stored: what the last unparker wrote must be seen.
        task->park.exchange(ParkState::Running, std::memory_order_acq_rel);
        make_ready(task, false);
      }
      break;
    }
    case After::Recycle:
      if (!keep_fiber(left_fiber_)) {
        core_.keep_fiber(left_fiber_);
      }
      break;
  }
}

void Worker::hold(Processor& p) {
  p.state.store(Processor::held(index_, Processor::Running), std::memory_order_release);
  if (p.cpu != cpu_) {
    cpu_ = p.cpu;
    if (!run_on_cpu(p.cpu)) {
      count(counters.pin_failures);
    }
  }
}

void Worker::adopt(Fiber* fiber) {
  if (fiber->context->get_scheduler() != boost_) {
    boost_->attach_worker_context(fiber->context);
    // Not to stay in its list: another thread could then not take the fiber without this one's help.
    fiber->context->worker_unlink();
  }
}

void Worker::enter(TaskCell* task) {
  current_.store(task, std::memory_order_relaxed);
  Worker* last = task->worker.load(std::memory_order_relaxed);
  if (last != this) {
    if (last != nullptr) {
      count(counters.migrations);
    }
    task->worker.store(this, std::memory_order_release);
  }
  core_.begin_stretch(*task);
  p_->running.store(task, std::memory_order_release);
  p_->tick.store(p_->tick.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  p_->preempt.store(false, std::memory_order_relaxed);
  task->woken = false;
  task->calm_down(Hurry::Runs);
  count(counters.switches);
  if (task->ready_at != 0) {
    counters.queue_latency.add_alone(now() - task->ready_at);
    task->ready_at = 0;
  }
}

Fiber* Worker::bind(TaskCell* task) {
  enter(task);
  adopt(task->fiber);
  return task->fiber;
}

bool Worker::startable(TaskCell* task) {
  if (task->fiber != nullptr) {
    return true;
  }
  try {
    task->fiber = take_fiber();
    task->fiber->task = task;
    return true;
  } catch (const std::bad_alloc&) {
    count(counters.fiber_failures);
    task->failed.store(true, std::memory_order_relaxed);  // published by `done`
    task->body.discard();
    core_.finish(task);
    return false;
  }
}

TaskCell* Worker::pick_startable() {
  TaskCell* task = pick_or_global();
  while (task != nullptr && !startable(task)) {
    task = pick_or_global();
  }
  return task;
}

void Worker::switch_to(Fiber& from, Fiber* next) {
  Strand& to = next != nullptr ? next->strand : dispatcher_strand_;
  boost::fibers::context* context = next != nullptr ? next->context : dispatcher_;
  if (next == nullptr) {
    current_.store(nullptr, std::memory_order_relaxed);
    if (p_ != nullptr) {
      p_->running.store(nullptr, std::memory_order_release);
    }
  }
  left_fiber_ = &from;
  now_on(to);
  leave(from.strand, to);
  context->resume(from.context);
}

void Worker::leave_task(TaskCell* task, After after, TaskCell* next) {
  core_.end_stretch(*task);
  const SwitchHooks* hooks = task->hooks;
  if (hooks != nullptr && hooks->suspend != nullptr) {
    hooks->suspend(task->user);
  }
  Fiber* fiber = task->fiber;
  const InFlight exceptions = take_in_flight(*in_flight_);
  after_ = after;
  left_ = task;
  Fiber* to = next != nullptr ? bind(next) : nullptr;
  if (next != nullptr) {
    wake_for_more();
    cover_dirty_timers();
  }
  switch_to(*fiber, to);
  // Perhaps another thread's from here on: `this` is stale.
  if (exceptions.any()) put_in_flight(exceptions);
  hooks = task->hooks;
  if (hooks != nullptr && hooks->resume != nullptr) {
    hooks->resume(task->user);
  }
}

CancelReason Worker::yield(bool preempted) {
  TaskCell* task = current();
  if (task->calm_down(Hurry::No)) {
    p_->preempt.store(false, std::memory_order_relaxed);
    return task->cancel.load(std::memory_order_acquire);
  }
  count(preempted ? counters.preemptions : counters.yields);
  p_->preempt.store(false, std::memory_order_relaxed);
  TaskCell* next = pick_startable();
  // Its slice is over: those that wait for another worker come first, or they would share that one for ever.
  if (next == nullptr && preempted && p_ != nullptr) next = steal(1, false);
  if (next != nullptr && !startable(next)) next = nullptr;
  if (next != nullptr) {
    if (preempted) {
      // It costs nothing that counts here, and the monitor then ends slices to the point.
      p_->slice_start.store(now(), std::memory_order_relaxed);
      p_->slice_tick.store(p_->tick.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
    leave_task(task, preempted ? After::Global : After::Yield, next);
  } else {
    cover_dirty_timers();
  }
  return task->cancel.load(std::memory_order_acquire);
}

void Worker::park() {
  TaskCell* task = current();
  auto permit = ParkState::Permit;
  if (task->park.load(std::memory_order_acquire) == ParkState::Permit &&
      task->park.compare_exchange_strong(permit, ParkState::Running, std::memory_order_acq_rel)) {
    return;
  }
  task->calm_down(Hurry::No);
  count(counters.parks);
  if (task->woke_at != 0) {
    task->quiet_wakes = now() - std::exchange(task->woke_at, 0) < quiet_within ? quiet_wakes_max : 0;
  }
  leave_task(task, After::Park, pick_startable());
}

void Worker::enter_blocking(Blocking how) {
  Processor* p = std::exchange(p_, nullptr);
  SCHED_ASSERT(p != nullptr, "blocking regions do not nest");
  core_.end_stretch(*current());
  count(counters.blocking_calls);
  cover_dirty_timers();
  blocked_.store(p, std::memory_order_release);
  p->state.store(Processor::held(index_, Processor::Blocking), std::memory_order_release);
  if (how == Blocking::Surely) {
    uint64_t mine = Processor::held(index_, Processor::Blocking);
    if (p->state.compare_exchange_strong(mine, Processor::Idle, std::memory_order_acq_rel)) {
      count(counters.handoffs);
      core_.one_more_held();
      p->running.store(nullptr, std::memory_order_release);
      core_.hand_over(p, false);
    }
  }
}

bool Worker::exit_blocking() {
  Processor* p = blocked_.load(std::memory_order_relaxed);
  SCHED_ASSERT(p != nullptr, "exit_blocking without enter_blocking");
  uint64_t mine = Processor::held(index_, Processor::Blocking);
  TaskCell* task = current();
  if (!p->state.compare_exchange_strong(mine, Processor::held(index_, Processor::Running), std::memory_order_acq_rel)) {
    core_.one_less_held();
    core_.begin_stretch(*task);  // the time without a processor is not its own
    p = core_.take_idle();
    if (p == nullptr) {
      task->woken = true;
      leave_task(task, After::Global, nullptr);  // others have all processors: wait in line
      return false;
    }
    hold(*p);
    p->running.store(task, std::memory_order_release);
  }
  blocked_.store(nullptr, std::memory_order_release);
  p_ = p;
  p->tick.store(p->tick.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  return p->preempt.load(std::memory_order_relaxed);
}

bool Worker::next_for(Fiber* fiber) {
  Worker* w = current_worker();
  if (w->idle_fiber_count_ >= 64 && !w->core_.stopping.load(std::memory_order_relaxed)) {
    // Enough of them: this one ends, unless the scheduler's store has room.
    std::lock_guard lock(w->core_.fibers_lock_);
    if (w->core_.idle_fiber_count_.load(std::memory_order_relaxed) >= w->core_.config.idle_fibers) {
      w->current_.store(nullptr, std::memory_order_relaxed);
      w->p_->running.store(nullptr, std::memory_order_release);
      w->left_fiber_ = fiber;
      return false;
    }
  }
  TaskCell* next = w->pick_or_global();
  if (next != nullptr) {
    w->wake_for_more();
    w->cover_dirty_timers();
  }
  if (next != nullptr && next->fiber == nullptr) {
    w->enter(next);
    next->fiber = fiber;
    fiber->task = next;
    return true;
  }
  w->after_ = After::Recycle;
  w->switch_to(*fiber, next != nullptr ? w->bind(next) : nullptr);
  return !fiber->end;
}

void fiber_main(Fiber* fiber) {
  while (!fiber->end) {
    TaskCell* task = fiber->task;
    if (task->hooks != nullptr && task->hooks->resume != nullptr) {
      task->hooks->resume(task->user);
    }
    task->body.run();
    if (task->hooks != nullptr && task->hooks->suspend != nullptr) {
      task->hooks->suspend(task->user);
    }
    fiber->task = nullptr;
    task->fiber = nullptr;
    current_worker()->core().finish(task);
    if (!Worker::next_for(fiber)) {
      break;
    }
  }
}

void release_fiber(Fiber* fiber) noexcept {
  fiber->strand.destroy();
  drop_fiber(fiber);
}

void drop_fiber(Fiber* fiber) noexcept {
  if (fiber->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    fiber->pool->give(fiber->stack);
    delete fiber;
  }
}

Fiber* Worker::take_fiber() {
  if (Fiber* fiber = idle_fibers_) {
    idle_fibers_ = fiber->next;
    --idle_fiber_count_;
    return fiber;
  }
  if (Fiber* fiber = core_.take_fiber()) {
    return fiber;
  }
  Fiber* fiber = create_fiber(core_.stacks);
  count(counters.fibers);
  return fiber;
}

bool Worker::keep_fiber(Fiber* fiber) {
  if (idle_fiber_count_ >= 64) {
    return false;
  }
  fiber->next = idle_fibers_;
  idle_fibers_ = fiber;
  ++idle_fiber_count_;
  return true;
}

}  // namespace vmrun::sched
