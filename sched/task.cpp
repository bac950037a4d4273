// Waking and cancelling tasks; tokens.
#include "sched/task.h"

#include "sched/core.h"
#include "sched/worker.h"

namespace vmrun::sched {

void TaskCell::drop_ref() {
  if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    core->free_cell(this);
  }
}

void TaskCell::unpark() {
  ParkState state = park.load(std::memory_order_acquire);
  for (;;) {
    if (state == ParkState::Parked) {
      if (park.compare_exchange_weak(state, ParkState::Running, std::memory_order_acq_rel)) {
        woken = true;
        core->bump(&ThreadCounters::unparks);
        core->make_ready(this);
        return;
      }
    } else if (park.compare_exchange_weak(state, ParkState::Permit, std::memory_order_acq_rel)) {
      // Written even where a permit is already: the task then sees what this caller wrote before.
      return;
    }
  }
}

void TaskCell::request_cancel(CancelReason reason) {
  if (done.load(std::memory_order_acquire)) {
    return;
  }
  auto none = CancelReason::None;
  if (!cancel.compare_exchange_strong(none, reason, std::memory_order_seq_cst)) {
    return;
  }
  core->bump(&ThreadCounters::cancels);
  unpark();
  hurry();
  core->request_preempt(this);
}

void TaskCell::hurry() {
  const Worker* on = worker.load(std::memory_order_acquire);
  if (on != nullptr && on->current() == this) {
    auto none = Hurry::No;
    hurry_state.compare_exchange_strong(none, Hurry::Runs, std::memory_order_acq_rel);
    return;
  }
  if (done.load(std::memory_order_acquire)) {
    return;
  }
  if (hurry_state.exchange(Hurry::Waits, std::memory_order_acq_rel) != Hurry::Waits) {
    core->one_hurries();
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);  // either this sees that it has ended, or Core::finish the state
  if (done.load(std::memory_order_relaxed)) {
    calm_down(Hurry::No);
  }
}

bool TaskCell::calm_down(Hurry to) {
  if (hurry_state.load(std::memory_order_relaxed) == Hurry::No) {
    return false;
  }
  const Hurry before = hurry_state.exchange(to, std::memory_order_acq_rel);
  if (before == Hurry::Waits) {
    core->one_hurries_no_more();
  }
  return before != Hurry::No;
}

void TokenState::drop_ref() {
  if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    delete this;
  }
}

bool TokenState::link(TaskCell* task) {
  std::lock_guard guard(lock);
  task->token_prev = nullptr;
  task->token_next = first;
  if (first != nullptr) {
    first->token_prev = task;
  }
  first = task;
  return !cancelled.load(std::memory_order_relaxed);
}

void TokenState::unlink(TaskCell* task) {
  std::lock_guard guard(lock);
  (task->token_prev != nullptr ? task->token_prev->token_next : first) = task->token_next;
  if (task->token_next != nullptr) {
    task->token_next->token_prev = task->token_prev;
  }
}

CancelToken CancelToken::create() {
  CancelToken token;
  token.state_ = new TokenState;
  return token;
}

CancelToken::CancelToken(const CancelToken& other) : state_(other.state_) {
  if (state_ != nullptr) {
    state_->refs.fetch_add(1, std::memory_order_relaxed);
  }
}

CancelToken::~CancelToken() {
  if (state_ != nullptr) {
    state_->drop_ref();
  }
}

bool CancelToken::cancelled() const { return state_ != nullptr && state_->cancelled.load(std::memory_order_acquire); }

void CancelToken::cancel() const {
  if (state_ == nullptr) {
    return;
  }
  state_->cancel();
}

void TokenState::cancel() {
  // Waking takes other locks: gather the tasks first. A linked task holds its own reference, so one more may be taken;
  // and none is linked twice, so the first call, which alone gathers, has `cancel_next` to itself.
  TaskCell* tasks = nullptr;
  {
    std::lock_guard guard(lock);
    if (cancelled.exchange(true, std::memory_order_acq_rel)) {
      return;
    }
    for (TaskCell* t = first; t != nullptr; t = t->token_next) {
      t->add_ref();
      t->cancel_next = tasks;
      tasks = t;
    }
  }
  while (tasks != nullptr) {
    TaskCell* t = tasks;
    tasks = t->cancel_next;
    t->request_cancel(CancelReason::Requested);
    t->drop_ref();
  }
}

}  // namespace vmrun::sched
