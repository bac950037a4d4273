// How a worker finds its next task, and what it does when there is none.
#include <chrono>
#include <thread>

#include "sched/check.h"
#include "sched/worker.h"

namespace vmrun::sched {

namespace {

// Every so many picks the global queue comes first, so that a busy local queue cannot starve it. Go's figure; prime, so
// that it falls into step with no pattern of the program's.
constexpr uint32_t global_every = 61;
// Once in as many picks the lowest priority comes first, for the same reason.
constexpr uint32_t low_first_at = 30;
// Picks of run_next in a row before the queues have their turn: two tasks that wake each other would starve the others.
constexpr uint32_t next_streak_max = 16;
// The same for what goes before run_next and the normal queue: tasks of high priority and those that were woken.
constexpr uint32_t urgent_streak_max = 16;
// Rounds over all victims before giving up, some 10 µs: what a sleep and a wake-up of the thread would cost. With 4 as in
// Go, a producer of short tasks woke the thread for each of them (11 µs a task). run_next is taken only in the last
// round, for its owner is about to run it.
constexpr int steal_rounds = 64;
constexpr int pauses_a_round = 4;
// Of so many wake-ups one is measured; odd, for tasks that take turns.
constexpr uint32_t measured_every = 31;

}  // namespace

void Worker::push_local(TaskCell* task) {
  const Lane lane = lane_of(*task);
  RunQueue& queue = p_->queue(lane);
  if (queue.push(task)) {
    return;
  }
  // Full: half of it and the new one go to the global queue in one piece.
  TaskCell* first = nullptr;
  TaskCell* last = nullptr;
  size_t n = 0;
  auto append = [&](TaskCell* t) {
    t->next = nullptr;
    (first == nullptr ? first : last->next) = t;
    last = t;
    ++n;
  };
  for (uint32_t i = queue.capacity() / 2; i != 0; --i) {
    TaskCell* t = queue.pop();
    if (t == nullptr) {
      break;
    }
    append(t);
  }
  append(task);
  core_.push_global_list(first, last, lane, n);
}

void Worker::make_ready(TaskCell* task, bool next) {
  if (p_ == nullptr) {
    core_.push_global(task);
    if (!gathering_) {
      core_.maybe_wake();
    }
    return;
  }
  sample(task);
  if (gathering_) {
    push_local(task);
    return;
  }
  const bool woken = task->woken;
  if (next && task->priority == Priority::Normal) {
    task = p_->run_next.exchange(task, std::memory_order_acq_rel);
  }
  if (task != nullptr) {
    push_local(task);
  } else if (woken && current() != nullptr && wakes_quietly(*current())) {
    return;
  }
  core_.maybe_wake();
}

// A task that wakes another and then suspends needs no other worker: the one that it woke runs here next. To wake a
// worker for that costs more than the switch, and its search finds nothing. So a task whose last wake-ups were soon
// followed by its suspension starts no searcher; some are measured, and the monitor mends what was guessed wrong.
bool Worker::wakes_quietly(TaskCell& waker) {
  // Those that would wake a thread are no measure: the machine may take the core for it from this one.
  if (ready_count_ % measured_every == 0) {
    waker.woke_at = now();
  }
  if (waker.quiet_wakes == 0 || core_.idle_count_.load(std::memory_order_relaxed) == 0) {
    return false;
  }
  --waker.quiet_wakes;
  count(counters.quiet_wakes);
  return true;
}

TaskCell* Worker::pick_urgent() {
  TaskCell* task = p_->queue(Lane::High).pop();
  if (task == nullptr && core_.urgent()) {
    task = core_.take_global(*p_, Lane::High, Lane::Woken);
    if (task != nullptr) {
      count(counters.global_picks);
    }
  }
  return task != nullptr ? task : p_->queue(Lane::Woken).pop();
}

TaskCell* Worker::pick() {
  Processor& p = *p_;
  const uint32_t turn = ++tick_ % global_every;
  if (turn == 0) {
    gather([this] { return core_.poll_now(); });
    if (!core_.global_empty()) {
      TaskCell* task = core_.take_global(p, Lane::Normal);
      if (task != nullptr) {
        count(counters.global_picks);
        return task;
      }
    }
  }
  if (urgent_streak_ < urgent_streak_max) {
    if (TaskCell* task = pick_urgent()) {
      ++urgent_streak_;
      return task;
    }
  }
  urgent_streak_ = 0;
  if (p.run_next.load(std::memory_order_relaxed) != nullptr) {
    if (TaskCell* task = p.run_next.exchange(nullptr, std::memory_order_acq_rel)) {
      if (++next_streak_ < next_streak_max) {
        return task;
      }
      push_local(task);
    }
  }
  next_streak_ = 0;
  if (turn == low_first_at) {
    if (TaskCell* task = p.queue(Lane::Low).pop()) {
      return task;
    }
    if (!core_.global_empty()) {
      if (TaskCell* task = core_.take_global(p, Lane::Low)) {
        count(counters.global_picks);
        return task;
      }
    }
  }
  if (TaskCell* task = p.queue(Lane::Normal).pop()) {
    return task;
  }
  if (TaskCell* task = pick_urgent()) {  // after a streak, with nothing else to run
    return task;
  }
  // A preempted task is not to wait behind those of low priority.
  if (!core_.global_empty()) {
    if (TaskCell* task = core_.take_global(p, Lane::High, Lane::Normal)) {
      count(counters.global_picks);
      return task;
    }
  }
  return p.queue(Lane::Low).pop();
}

TaskCell* Worker::pick_any() {
  TaskCell* task = pick();
  if (task == nullptr && !core_.global_empty()) {
    task = core_.take_global(*p_);
    if (task != nullptr) {
      count(counters.global_picks);
    }
  }
  return task;
}

TaskCell* Worker::pick_or_global() {
  if (p_ == nullptr) {
    return nullptr;
  }
  TaskCell* task = pick_any();
  if (core_.config.scatter) [[unlikely]] {
    return elsewhere(task);
  }
  return task;
}

TaskCell* Worker::elsewhere(TaskCell* task) {
  constexpr uint32_t tries = 10;
  while (task != nullptr && task->worker.load(std::memory_order_relaxed) == this && task->passed_on != tries) {
    ++task->passed_on;
    core_.push_global(task);
    core_.maybe_wake();
    std::this_thread::sleep_for(std::chrono::microseconds(10));
    task = pick_any();
  }
  if (task != nullptr) {
    task->passed_on = 0;
  }
  return task;
}

TaskCell* Worker::steal(int rounds, bool take_next) {
  auto& all = core_.processors;
  const auto n = static_cast<uint32_t>(all.size());
  for (int round = 0; round < rounds; ++round) {
    const uint32_t from = random() % n;
    for (uint32_t i = 0; i < n; ++i) {
      Processor* victim = all[(from + i) % n].get();
      if (victim == p_) {
        continue;
      }
      uint32_t taken = 0;
      TaskCell* task = nullptr;
      for (size_t q = 0; q < lane_count && task == nullptr; ++q) {
        task = p_->queues[q].steal_from(victim->queues[q], taken);
      }
      if (task == nullptr && take_next && round == rounds - 1 &&
          victim->run_next.load(std::memory_order_relaxed) != nullptr) {
        task = victim->run_next.exchange(nullptr, std::memory_order_acq_rel);
        taken += task != nullptr ? 1 : 0;
      }
      if (task != nullptr) {
        count(counters.steals);
        count(counters.stolen, taken);
        return task;
      }
    }
    for (int i = 0; i < pauses_a_round; ++i) {
      pause_cpu();
    }
  }
  return nullptr;
}

void Worker::wake_for_more() {
  if (look_for_more_) {
    look_for_more_ = false;
    if (p_->has_work() || !core_.global_empty()) {
      core_.maybe_wake();
    }
  }
}

void Worker::stop_spinning() {
  if (!spinning_) {
    return;
  }
  spinning_ = false;
  if (core_.spinning_.fetch_sub(1, std::memory_order_seq_cst) == 1) {
    core_.maybe_wake();  // the last searcher found something: there may be more
  }
}

TaskCell* Worker::find_work() {
  for (;;) {
    if (TaskCell* task = pick_or_global()) {
      return task;
    }
    if (gather([this] { return core_.run_timers(); }) || gather([this] { return core_.poll_now(); })) {
      continue;
    }
    if (core_.processors.size() == 1) {
      return nullptr;
    }
    if (!spinning_) {
      const uint32_t busy =
          static_cast<uint32_t>(core_.processors.size()) - core_.idle_count_.load(std::memory_order_relaxed);
      if (2 * core_.spinning_.load(std::memory_order_relaxed) >= busy) {
        return nullptr;
      }
      spinning_ = true;
      core_.spinning_.fetch_add(1, std::memory_order_seq_cst);
    }
    return steal(steal_rounds, true);
  }
}

boost::fibers::context* Worker::pick_next() {
  finish_switch();
  if (!on_dispatcher()) {
    return dispatcher_;  // the thread's start and end, or a fiber's end
  }
  if (core_.stopping.load(std::memory_order_acquire)) {
    // Idle fibers run once more, to end.
    if (Fiber* fiber = idle_fiber_count_ != 0 ? take_fiber() : core_.take_fiber()) {
      fiber->end = true;
      adopt(fiber);
      left_fiber_ = fiber;
      return fiber->context;
    }
    return main_;
  }
  if (trimming_) {
    if (Fiber* fiber = idle_fiber_count_ != 0 ? take_fiber() : core_.take_fiber()) {
      fiber->end = true;
      adopt(fiber);
      left_fiber_ = fiber;
      return fiber->context;
    }
    trimming_ = false;
    if (core_.config.idled != nullptr) {
      core_.config.idled(core_.config.thread_context);
    }
  }
  if (retiring_) {
    return main_;
  }
  TaskCell* task = p_ != nullptr ? find_work() : nullptr;
  while (task != nullptr && !startable(task)) {
    task = find_work();
  }
  if (task == nullptr) {
    return nullptr;
  }
  stop_spinning();
  wake_for_more();
  cover_dirty_timers();
  Fiber* fiber = bind(task);
  left_fiber_ = fiber;  // for strand_of
  return fiber->context;
}

void Worker::idle() {
  if (p_ != nullptr) {
    core_.put_idle(std::exchange(p_, nullptr));
    if (spinning_) {
      spinning_ = false;
      core_.spinning_.fetch_sub(1, std::memory_order_seq_cst);
    }
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (core_.work_anywhere()) {
      p_ = core_.take_idle();
      if (p_ != nullptr) {
        hold(*p_);
        spinning_ = true;
        core_.spinning_.fetch_add(1, std::memory_order_seq_cst);
        return;
      }
    }
  }
  timers_dirty_ = false;  // sleep() sees to all timers
  count(counters.idles);
  core_.sleep(*this);
  if (p_ != nullptr) {
    hold(*p_);
  }
}

TaskCell* Worker::take_cell() {
  if (free_cells_ == nullptr) {
    free_cells_ = core_.take_cells(32, free_cell_count_);
  }
  TaskCell* cell = free_cells_;
  free_cells_ = cell->next;
  --free_cell_count_;
  return cell;
}

void Worker::free_cell(TaskCell* cell) {
  cell->next = free_cells_;
  free_cells_ = cell;
  if (++free_cell_count_ <= 128) {
    return;
  }
  std::lock_guard lock(core_.cells_lock_);
  for (int i = 0; i < 64; ++i) {
    TaskCell* given = free_cells_;
    free_cells_ = given->next;
    given->next = core_.free_cells_;
    core_.free_cells_ = given;
  }
  free_cell_count_ -= 64;
}

uint64_t Worker::take_id() {
  if (next_id_ == last_id_) {
    next_id_ = core_.next_id.fetch_add(1024, std::memory_order_relaxed);
    last_id_ = next_id_ + 1024;
  }
  return next_id_++;
}

}  // namespace vmrun::sched
