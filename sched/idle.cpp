// Idle processors and sleeping workers: who sleeps, who wakes whom. The protocol is described in core.h.
#include <algorithm>
#include <exception>

#include "sched/check.h"
#include "sched/core.h"
#include "sched/worker.h"

namespace vmrun::sched {

Processor* Core::take_idle_locked() {
  if (idle_processors_.empty()) {
    return nullptr;
  }
  Processor* p = idle_processors_.back();
  idle_processors_.pop_back();
  idle_count_.store(static_cast<uint32_t>(idle_processors_.size()), std::memory_order_seq_cst);
  if (monitor_until_ == never) {
    poke_monitor();
  }
  return p;
}

void Core::put_idle_locked(Processor* p) {
  p->running.store(nullptr, std::memory_order_release);
  p->state.store(Processor::Idle, std::memory_order_release);
  idle_processors_.push_back(p);
  idle_count_.store(static_cast<uint32_t>(idle_processors_.size()), std::memory_order_seq_cst);
}

Processor* Core::take_idle() {
  std::lock_guard lock(idle_lock_);
  return take_idle_locked();
}

void Core::put_idle(Processor* p) {
  std::lock_guard lock(idle_lock_);
  put_idle_locked(p);
}

void Core::wake_worker_locked(Worker& worker, Processor* p, bool spinning) {
  std::erase(idle_workers_, &worker);
  if (keeper_ == &worker) {
    keeper_ = nullptr;  // awake, it sees to the timers itself
  }
  worker.given_ = p;
  worker.given_spinning_ = spinning;
  worker.wake_word_.store(1, std::memory_order_release);
  if (poll_worker_ == &worker) {
    poll_worker_ = nullptr;
    poller_.load(std::memory_order_relaxed)->interrupt();
  } else {
    futex_wake(worker.wake_word_);
  }
}

void Core::start_worker_locked(Processor* p, bool spinning) {
  if (!idle_workers_.empty()) {
    // The one that slept last has the warmest caches; the keeper and the poll worker only if there is no other.
    Worker* worker = idle_workers_.back();
    for (size_t i = idle_workers_.size(); i-- != 0;) {
      if (idle_workers_[i] != keeper_ && idle_workers_[i] != poll_worker_) {
        worker = idle_workers_[i];
        break;
      }
    }
    wake_worker_locked(*worker, p, spinning);
    return;
  }
  // None is added once stop() has begun, which joins those that there are: all tasks have ended, and nothing is left to do.
  if (!stopping.load(std::memory_order_relaxed) && threads_.load(std::memory_order_relaxed) < config.max_threads) {
    try {
      add_worker_locked(p, spinning);
      return;
    } catch (const std::exception&) {
      // No thread is to be had: those that are do the work, and the monitor tries again.
      bump(&ThreadCounters::thread_failures);
    }
  }
  put_idle_locked(p);
  if (spinning) {
    spinning_.fetch_sub(1, std::memory_order_seq_cst);
  }
}

void Core::add_worker_locked(Processor* p, bool spinning) {
  if (!joined_.empty()) {
    joined_.back()->start(p, spinning);
    joined_.pop_back();
  } else {
    // Room first, for all lists that a worker may be put in.
    workers_.reserve(workers_.size() + 1);
    idle_workers_.reserve(workers_.capacity());
    joined_.reserve(workers_.capacity());
    auto worker = std::make_unique<Worker>(*this, static_cast<uint32_t>(workers_.size()));
    worker->start(p, spinning);
    workers_.push_back(std::move(worker));
  }
  threads_.fetch_add(1, std::memory_order_release);
}

void Core::one_more_held() {
  if (held_.fetch_add(1, std::memory_order_relaxed) + 1 == most_held_) {
    schedulers_short_of_threads.fetch_add(1, std::memory_order_relaxed);
  }
}

void Core::one_less_held() {
  if (held_.fetch_sub(1, std::memory_order_relaxed) == most_held_) {
    schedulers_short_of_threads.fetch_sub(1, std::memory_order_relaxed);
  }
}

void Core::need_thread() {
  if (threads_.load(std::memory_order_acquire) != 0) {
    return;
  }
  std::lock_guard lock(idle_lock_);
  if (threads_.load(std::memory_order_relaxed) != 0) {
    return;
  }
  // With a processor, as a searcher: it looks for the task that is about to be queued.
  Processor* p = take_idle_locked();
  spinning_.fetch_add(p != nullptr ? 1 : 0, std::memory_order_seq_cst);
  try {
    add_worker_locked(p, p != nullptr);
  } catch (...) {
    if (p != nullptr) {
      put_idle_locked(p);
      spinning_.fetch_sub(1, std::memory_order_seq_cst);
    }
    bump(&ThreadCounters::thread_failures);
    throw;
  }
}

void Core::thread_ended(Worker& worker) {
  std::lock_guard ended(ended_lock_);
  if (stopping.load(std::memory_order_acquire)) {
    return;  // stop() joins
  }
  if (Worker* before = std::exchange(ended_, &worker)) {
    before->join();
    std::lock_guard lock(idle_lock_);
    joined_.push_back(before);
  }
}

void Core::thread_failed(Worker& worker) {
  {
    std::lock_guard lock(idle_lock_);
    threads_.fetch_sub(1, std::memory_order_release);
    if (worker.p_ != nullptr) {
      put_idle_locked(std::exchange(worker.p_, nullptr));
    }
  }
  if (std::exchange(worker.spinning_, false)) {
    spinning_.fetch_sub(1, std::memory_order_seq_cst);
  }
  bump(&ThreadCounters::thread_failures);
  thread_ended(worker);
}

void Core::idle_long_locked(Worker& w) {
  w.keep_until_ = never;
  // Also one that ends: the others may have freed what is kept and be asleep for good by the time it could hand its own on.
  w.trimming_ = true;
  if (&w != poll_worker_ && threads_.load(std::memory_order_relaxed) > config.workers) {
    threads_.fetch_sub(1, std::memory_order_release);
    w.retiring_ = true;
  }
  std::erase(idle_workers_, &w);
  if (keeper_ == &w) {
    keeper_ = nullptr;
  }
  if (poll_worker_ == &w) {
    poll_worker_ = nullptr;
  }
}

void Core::wake_one() {
  uint32_t none = 0;
  if (!spinning_.compare_exchange_strong(none, 1, std::memory_order_seq_cst)) {
    return;
  }
  std::lock_guard lock(idle_lock_);
  Processor* p = take_idle_locked();
  if (p == nullptr) {
    spinning_.fetch_sub(1, std::memory_order_seq_cst);
    return;
  }
  start_worker_locked(p, true);
}

void Core::hand_over(Processor* p, bool spinning) {
  {
    std::lock_guard lock(idle_lock_);
    if (p->has_work() || !global_empty()) {
      start_worker_locked(p, spinning);
      return;
    }
    put_idle_locked(p);
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (work_anywhere()) {
    maybe_wake();
  }
}

bool Core::work_anywhere() const {
  if (!global_empty()) {
    return true;
  }
  for (const auto& p : processors) {
    if (p->has_work()) {
      return true;
    }
  }
  return false;
}

void Core::sleep(Worker& w) {
  Nanos deadline = never;
  bool polls = false;
  {
    std::lock_guard lock(idle_lock_);
    if (stopping.load(std::memory_order_relaxed)) {
      return;
    }
    w.wake_word_.store(0, std::memory_order_relaxed);
    if (w.keep_until_ == 0 || (w.keep_until_ == never && threads_.load(std::memory_order_relaxed) > config.workers)) {
      w.keep_until_ = now() + std::chrono::duration_cast<std::chrono::nanoseconds>(config.idle_keep).count();
    }
    idle_workers_.push_back(&w);
    const Nanos earliest = timers.earliest();
    if (earliest != never && (keeper_ == nullptr || earliest < keeper_until_)) {
      keeper_ = &w;
      keeper_until_ = deadline = earliest;
    }
    if (poll_worker_ == nullptr && poller_.load(std::memory_order_relaxed) != nullptr) {
      poll_worker_ = &w;
      polls = true;
    }
  }
  w.timers_dirty_ = true;  // for when it wakes
  int events = 0;
  for (;;) {
    bool in_time = true;
    const Nanos until = std::min(deadline, w.keep_until_);
    if (polls) {
      events = wait_in_poll(w, until);
      in_time = events == 0 && (until == never || now() < until);
      if (in_time) {
        std::lock_guard lock(idle_lock_);
        polls = poll_worker_ == &w;  // unless the poller was taken away
      }
    } else {
      in_time = futex_wait(w.wake_word_, 0, until);
    }
    if (w.wake_word_.load(std::memory_order_acquire) != 0) {
      break;
    }
    if (in_time) {
      continue;
    }
    std::lock_guard lock(idle_lock_);
    if (w.wake_word_.load(std::memory_order_acquire) != 0) {
      break;
    }
    if (events == 0 && until < deadline) {
      idle_long_locked(w);
      w.given_ = nullptr;
      w.given_spinning_ = false;
      break;
    }
    std::erase(idle_workers_, &w);
    if (keeper_ == &w) {
      keeper_ = nullptr;
    }
    if (poll_worker_ == &w) {
      poll_worker_ = nullptr;
    }
    w.given_ = take_idle_locked();
    w.given_spinning_ = false;
    break;
  }
  w.p_ = w.given_;
  w.spinning_ = w.given_spinning_;
  if (w.p_ != nullptr) {
    w.look_for_more_ |= events > 1;
    w.keep_until_ = 0;  // to be set anew when it sleeps
    return;
  }
  if (w.retiring_) {
    cover_timers();
    return;
  }
  // All processors are at work, or this worker was woken for its duties alone: what is ready is for the others, through
  // the global queue.
  run_timers();
  if (events != 0) {
    maybe_wake();
  }
}

void Core::cover_timers() {
  const Nanos earliest = timers.earliest();
  if (earliest == never) {
    return;
  }
  std::lock_guard lock(idle_lock_);
  if (keeper_ != nullptr) {
    if (earliest < keeper_until_) {
      wake_worker_locked(*keeper_, nullptr, false);
    }
  } else if (earliest < monitor_until_) {
    poke_monitor();
  }
}

bool Core::run_timers() {
  const Nanos earliest = timers.earliest();
  if (earliest == never || earliest > now()) {
    return false;
  }
  bool any = false;
  for (;;) {
    constexpr uint32_t batch = 64;
    TimerQueue::Due due[batch];
    const Nanos at = now();
    const uint32_t n = timers.take_due(at, due, batch);
    for (uint32_t i = 0; i < n; ++i) {
      bump(&ThreadCounters::timer_lateness, at - due[i].when);
      if (due[i].what == Timer::What::Wake) {
        due[i].task->unpark();
      } else {
        due[i].task->request_cancel(CancelReason::Deadline);
      }
      due[i].task->drop_ref();
    }
    bump(&ThreadCounters::timers_fired, n);
    any |= n != 0;
    if (n < batch) {
      return any;
    }
  }
}

}  // namespace vmrun::sched
