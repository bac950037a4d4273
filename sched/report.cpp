// What the scheduler says about itself: statistics, the tasks and what they wait for, deadlocks.
#include <cinttypes>
#include <cstdio>
#include <string>

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

std::vector<TaskState> Core::tasks(size_t most) {
  std::vector<TaskState> out;
  std::lock_guard lock(cells_lock_);
  for (const auto& chunk : cell_chunks_) {
    for (size_t i = 0; i < cells_a_chunk; ++i) {
      if (out.size() == most) {
        return out;
      }
      const TaskCell& task = chunk[i];
      const uint64_t id = task.id.load(std::memory_order_relaxed);
      if (id == 0 || task.done.load(std::memory_order_acquire)) {
        continue;
      }
      const char* name = task.name.load(std::memory_order_relaxed);
      out.push_back({id, name != nullptr ? name : "", task.state()});
    }
  }
  return out;
}

std::string Core::report() {
  std::string text;
  std::lock_guard lock(cells_lock_);
  for (const auto& chunk : cell_chunks_) {
    for (size_t i = 0; i < cells_a_chunk; ++i) {
      const TaskCell& task = chunk[i];
      const uint64_t id = task.id.load(std::memory_order_relaxed);
      if (id == 0 || task.done.load(std::memory_order_acquire)) {
        continue;
      }
      char line[160];
      const char* name = task.name.load(std::memory_order_relaxed);
      std::snprintf(line, sizeof line, "task %" PRIu64 "%s%.64s ", id, name != nullptr ? " " : "",
                    name != nullptr ? name : "");
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
