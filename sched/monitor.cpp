// The monitor thread: ends slices, takes processors from blocked workers, repeats requests to stop cancelled tasks, unparks
// tasks for signal handlers, and fires timers and polls while every worker is busy. It sleeps for good when all processors
// are idle and nothing is due.
#include <algorithm>

#include "sched/core.h"
#include "sched/worker.h"

namespace vmrun::sched {

namespace {

// How often it looks: this at first and after it took a processor away, then doubling up to half a slice (a slice ends
// half of one late at most), or 5 ms, where its 3 µs of work no longer show.
constexpr Nanos shortest_look = 50'000;
constexpr Nanos longest_look = 5'000'000;
// A blocking call shorter than this is cheaper to wait for than a thread is to wake.
constexpr Nanos handoff_after = 50'000;
// A blocked worker keeps a processor that nobody needs for so long, then it counts as idle.
constexpr Nanos handoff_idle_after = 10'000'000;
// A slice while tasks that are to stop wait for their turn: ten times what a switch and its signal take. A guest of 4,000
// busy threads ended 12 s after its time limit in slices of 10 ms, with two workers.
constexpr Nanos hurried_slice = 50'000;
// It polls when nobody has for so long.
constexpr Nanos poll_after = 1'000'000;
// Looks at nothing but idle processors before it sleeps for good.
constexpr unsigned idle_looks = 16;

}  // namespace

void Core::poke_monitor() {
  monitor_word_.fetch_add(1, std::memory_order_release);
  futex_wake(monitor_word_);
}

void Core::unpark_soon(TaskCell* task) {
  if (task->soon.exchange(true, std::memory_order_acq_rel)) {
    return;  // it is in the list, or about to be: the monitor has it unparked after this
  }
  task->add_ref();
  TaskCell* first = soon_.load(std::memory_order_relaxed);
  do {
    task->soon_next = first;
  } while (!soon_.compare_exchange_weak(first, task, std::memory_order_release, std::memory_order_relaxed));
  poke_monitor();
}

void Core::unpark_those_soon() {
  TaskCell* task =
      soon_.load(std::memory_order_relaxed) != nullptr ? soon_.exchange(nullptr, std::memory_order_acquire) : nullptr;
  while (task != nullptr) {
    TaskCell* next = task->soon_next;
    // From here on it may be put in again. Exchanged, not stored: what the last caller wrote before must be seen.
    task->soon.exchange(false, std::memory_order_acq_rel);
    task->unpark();
    task->hurry();
    task->drop_ref();
    task = next;
  }
}

bool Core::watch(Processor& p, Nanos at, Nanos slice, Nanos& until) {
  const uint64_t state = p.state.load(std::memory_order_acquire);
  const uint32_t tick = p.tick.load(std::memory_order_relaxed);
  if (state != p.seen_state || tick != p.seen_tick) {
    p.seen_state = state;
    p.seen_tick = tick;
    p.seen_since = at;
    if (p.slice_tick.load(std::memory_order_acquire) == tick) {
      p.seen_since = std::min(at, p.slice_start.load(std::memory_order_relaxed));
    }
  }
  const Nanos held = at - p.seen_since;
  TaskCell* task = p.running.load(std::memory_order_acquire);
  const bool cancelled = task != nullptr && task->cancel.load(std::memory_order_relaxed) != CancelReason::None;
  switch (Processor::state_of(state)) {
    case Processor::Running: {
      const bool limited = config.preempt_alone || p.has_work() || !global_empty();
      const bool over = held >= slice && limited;
      if (task != nullptr && (over || cancelled)) {
        p.seen_since = over ? at : p.seen_since;
        request_preempt(task);
      }
      if (task != nullptr && limited) {
        until = std::min(until, p.seen_since + slice);
      }
      return false;
    }
    case Processor::Blocking: {
      if (cancelled) {
        request_preempt(task);
      }
      const bool needed = p.has_work() || !global_empty();
      if (held < (needed ? handoff_after : handoff_idle_after)) {
        if (needed) until = std::min(until, p.seen_since + handoff_after);
        return false;
      }
      uint64_t expected = state;
      if (!p.state.compare_exchange_strong(expected, Processor::Idle, std::memory_order_acq_rel)) {
        return false;
      }
      p.running.store(nullptr, std::memory_order_release);
      bump(&ThreadCounters::handoffs);
      one_more_held();
      hand_over(&p, false);
      return true;
    }
    case Processor::Idle: return false;
  }
  return false;
}

void Core::monitor_main() {
  set_exact_deadlines();
  const Nanos slice = std::chrono::duration_cast<std::chrono::nanoseconds>(config.slice).count();
  const Nanos longest = std::clamp(slice / 2, shortest_look, longest_look);
  Nanos period = shortest_look;
  unsigned idle_rounds = 0;
  uint64_t polls = 0;
  Nanos polled_at = 0;
  for (;;) {
    const uint32_t word = monitor_word_.load(std::memory_order_acquire);
    if (stopping.load(std::memory_order_acquire)) {
      return;
    }
    unpark_those_soon();
    run_timers();
    const Nanos at = now();
    bool events_awaited = false;
    if (poller_.load(std::memory_order_relaxed) != nullptr) {
      std::lock_guard lock(idle_lock_);
      events_awaited = events_awaited_locked();
    }
    bool neglected = false;
    if (const uint64_t n = polls_.load(std::memory_order_relaxed); n != polls || !events_awaited) {
      polls = n;
      polled_at = at;
    } else if (at - polled_at >= poll_after) {
      neglected = true;
      poll_now();  // in vain while the poll worker is inside
      polls = polls_.load(std::memory_order_relaxed);
      polled_at = at;
    }
    const bool hurries = hurrying_.load(std::memory_order_relaxed) != 0;
    Nanos slice_end = never;
    bool took = false;
    for (auto& p : processors) {
      took |= watch(*p, at, hurries ? std::min(slice, hurried_slice) : slice, slice_end);
    }
    period = took ? shortest_look : std::min(period * 2, longest);
    // Work that nobody was woken for: a guess was wrong (Worker::wakes_quietly), or a thread could not be made.
    const bool ready = work_anywhere();
    if (ready) {
      maybe_wake();
    }
    if (idle_rounds == idle_looks && config.on_deadlock != nullptr && stuck()) {
      config.on_deadlock(config.deadlock_context, report().c_str());
    }
    Nanos until;
    {
      std::lock_guard lock(idle_lock_);
      idle_rounds = idle_processors_.size() == processors.size() && !ready ? idle_rounds + 1 : 0;
      if (idle_rounds > idle_looks) {
        until = never;
        period = shortest_look;
      } else {
        until = std::max(std::min(at + period, slice_end), at + shortest_look);
      }
      if (events_awaited && poll_worker_ == nullptr) {
        if (neglected && !idle_workers_.empty()) {
          // Some work, but this one does not: let it wait for events.
          wake_worker_locked(*idle_workers_.back(), nullptr, false);
        }
        until = std::min(until, polled_at + poll_after);
      }
      if (keeper_ == nullptr) {
        until = std::min(until, timers.earliest());
      }
      monitor_until_ = until;
    }
    futex_wait(monitor_word_, word, until);
  }
}

}  // namespace vmrun::sched
