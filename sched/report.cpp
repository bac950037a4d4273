// What the scheduler says about itself: statistics, the tasks and what they wait for, deadlocks.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "sched/core.h"
#include "sched/worker.h"

namespace vmrun::sched {

Statistics Core::statistics() {
  Statistics s;
  s.processors = static_cast<unsigned>(processors.size());
  s.live = live.load(std::memory_order_acquire);
  s.ready = global_size_.load(std::memory_order_relaxed);
  for (const auto& p : processors) {
    s.ready += p->ready();
  }
  s.fibers = stacks->in_use();
  s.stack_mappings = stacks->mappings();
  s.timers = timers.size();
  std::lock_guard lock(idle_lock_);
  s.threads = threads_.load(std::memory_order_relaxed);
  s.idle_threads = idle_workers_.size();
  s.idle_processors = static_cast<unsigned>(idle_processors_.size());
  for (const auto& worker : workers_) {
    s.blocked_threads += worker->blocked_.load(std::memory_order_relaxed) != nullptr ? 1 : 0;
  }
  return s;
}

std::string TaskCell::short_name() {
  char text[128] = {};
  {
    std::lock_guard lock(user_lock);
    if (const char* const now = name.load(std::memory_order_relaxed)) std::snprintf(text, sizeof text, "%s", now);
  }
  return text;
}

std::string TaskCell::state() const {
  if (done.load(std::memory_order_acquire)) {
    return "has ended";
  }
  const char* what = waits_for.load(std::memory_order_relaxed);
  // One that was unparked and has not had its turn since waits for nothing any more.
  if (what == nullptr || park.load(std::memory_order_acquire) != ParkState::Parked) {
    const Worker* on = worker.load(std::memory_order_acquire);
    if (on == nullptr || on->current() != this) {
      return "is ready";
    }
    return on->blocked() ? "is in a call of the system" : "runs";
  }
  std::string text = std::string("waits for ") + what;
  const uint64_t which = waits_which.load(std::memory_order_relaxed);
  if (which != WaitsFor::none) {
    char number[32];
    const bool is_address = which > UINT32_MAX;
    std::snprintf(number, sizeof number, is_address ? " %#" PRIx64 : " %" PRIu64, which);
    text += number;
  }
  return text;
}

void Core::account(bool on) {
  Nanos none = 0;
  if (on) {
    accounting_since.compare_exchange_strong(none, now(), std::memory_order_relaxed);
  } else {
    accounting_since.store(0, std::memory_order_relaxed);
  }
}

Nanos Core::used_by(const TaskCell& task, Nanos at) const {
  Nanos used = task.used.load(std::memory_order_relaxed);
  const Nanos counting = accounting_since.load(std::memory_order_relaxed);
  const Worker* on = task.worker.load(std::memory_order_acquire);
  if (counting != 0 && on != nullptr && on->current() == &task && !on->blocked()) {
    used += std::max<Nanos>(at - std::max(task.on_since.load(std::memory_order_relaxed), counting), 0);
  }
  return used;
}

std::vector<TaskState> Core::tasks(const TaskQuery& query) {
  struct Found {
    TaskCell* task;
    uint64_t id, bytes;
    Nanos used, recent;
    uint64_t rank;  // the highest come first
  };
  using Order = TaskQuery::Order;
  std::vector<Found> found;
  const size_t live_tasks = live.load(std::memory_order_relaxed);
  found.reserve(query.order == Order::Any ? std::min(query.most, live_tasks) : live_tasks);
  const Nanos at = now();
  std::lock_guard lock(cells_lock_);
  for (const auto& chunk : cell_chunks_) {
    for (size_t i = 0; i < cells_a_chunk; ++i) {
      if (query.order == Order::Any && found.size() == query.most) break;
      TaskCell& task = chunk[i];
      const uint64_t id = task.id.load(std::memory_order_relaxed);
      if (id == 0 || task.done.load(std::memory_order_acquire)) {
        continue;
      }
      Found one{&task, id, 0, used_by(task, at), 0, 0};
      one.recent = std::max<Nanos>(one.used - task.used_when_listed.exchange(one.used, std::memory_order_relaxed), 0);
      if (query.bytes != nullptr) {
        std::lock_guard user_lock(task.user_lock);
        if (task.user != nullptr) one.bytes = query.bytes(task.user);
      }
      switch (query.order) {
        case Order::Any: break;
        case Order::Used: one.rank = static_cast<uint64_t>(one.recent); break;
        case Order::Bytes: one.rank = one.bytes; break;
        case Order::Id: one.rank = UINT64_MAX - id; break;
      }
      found.push_back(one);
    }
  }
  if (query.recent_of_all != nullptr) {
    Nanos sum = 0;
    for (const Found& one : found) sum += one.recent;
    *query.recent_of_all = std::chrono::nanoseconds(sum);
  }
  const size_t count = std::min(query.most, found.size());
  if (query.order != Order::Any) {
    std::partial_sort(found.begin(), found.begin() + static_cast<ptrdiff_t>(count), found.end(),
                      [](const Found& a, const Found& b) { return std::pair(b.rank, a.id) < std::pair(a.rank, b.id); });
  }
  found.resize(count);
  std::vector<TaskState> out;
  out.reserve(count);
  for (const Found& one : found) {
    TaskCell& task = *one.task;
    if (task.id.load(std::memory_order_relaxed) != one.id || task.done.load(std::memory_order_acquire)) continue;
    const Nanos age = std::max<Nanos>(at - task.born.load(std::memory_order_relaxed), 0);
    out.push_back({one.id, task.short_name(), task.state(), std::chrono::nanoseconds(age),
                   std::chrono::nanoseconds(one.used), std::chrono::nanoseconds(one.recent), one.bytes});
  }
  return out;
}

std::string Core::report() {
  std::string text;
  std::lock_guard lock(cells_lock_);
  for (const auto& chunk : cell_chunks_) {
    for (size_t i = 0; i < cells_a_chunk; ++i) {
      TaskCell& task = chunk[i];
      const uint64_t id = task.id.load(std::memory_order_relaxed);
      if (id == 0 || task.done.load(std::memory_order_acquire)) {
        continue;
      }
      char line[160];
      const std::string name = task.short_name();
      std::snprintf(line, sizeof line, "task %" PRIu64 "%s%.64s ", id, name.empty() ? "" : " ", name.c_str());
      text += line;
      text += task.state();
      if (task.cancel.load(std::memory_order_relaxed) != CancelReason::None) {
        text += ", cancelled";
      }
      text += "\n";
    }
  }
  return text;
}

bool Core::stuck() {
  std::lock_guard lock(idle_lock_);
  if (live.load(std::memory_order_acquire) == 0 || idle_processors_.size() != processors.size() || work_anywhere() ||
      timers.earliest() != never || events_awaited_locked()) {
    return false;
  }
  for (const auto& worker : workers_) {
    if (worker->blocked_.load(std::memory_order_acquire) != nullptr) {
      return false;
    }
  }
  return true;
}

}  // namespace vmrun::sched
