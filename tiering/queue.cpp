// The queue of compiles: see queue.h.
#include "tiering/queue.h"

#include <algorithm>

#include "jit/code/code.h"
#include "vm/base/tally.h"
#include "vm/blocks/policy.h"

namespace vmrun::tiering {
namespace {

bool less_urgent(const Job& a, const Job& b) { return a.priority < b.priority; }

bool is_baseline_function(const Job& job) { return job.tier == vm::Tier::baseline && job.unit == jit::kWholeFunction; }

/// Moves what may be compiled along with the first job of `task` from `heap`. False: nothing was moved.
bool add_companions(std::vector<Job>& heap, Task& task) {
  if (!is_baseline_function(task[0])) return false;
  std::vector<Job*> others;
  for (Job& job : heap) {
    if (is_baseline_function(job) && job.module == task[0].module) others.push_back(&job);
  }
  std::sort(others.begin(), others.end(), [](const Job* a, const Job* b) { return less_urgent(*b, *a); });
  uint32_t bytes = task[0].bytes;
  for (Job* job : others) {
    if (job->bytes > policy::kTaskBytes - std::min(bytes, policy::kTaskBytes)) continue;
    bytes += job->bytes;
    task.push_back(std::move(*job));  // leaves it without a module
  }
  return std::erase_if(heap, [](const Job& job) { return job.module == nullptr && !job.errand; }) != 0;
}

}  // namespace

void Queue::set_waiting(size_t jobs) {
  vm::count(vm::tally.compiles_waiting, uint64_t{jobs} - waiting_.exchange(jobs, std::memory_order_relaxed));
}

void Queue::push(Job job) {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    heap_.push_back(std::move(job));
    std::push_heap(heap_.begin(), heap_.end(), less_urgent);
    set_waiting(heap_.size());
  }
  more_.notify_one();
}

Task Queue::pop() {
  std::unique_lock lock(mutex_);
  more_.wait(lock, [this] { return closed_ || !heap_.empty(); });
  if (closed_) return {};
  std::pop_heap(heap_.begin(), heap_.end(), less_urgent);
  Task task;
  task.push_back(std::move(heap_.back()));
  heap_.pop_back();
  if (add_companions(heap_, task)) std::make_heap(heap_.begin(), heap_.end(), less_urgent);
  set_waiting(heap_.size());
  ++running_;
  vm::count(vm::tally.compiles_running);
  return task;
}

void Queue::done() {
  std::lock_guard lock(mutex_);
  --running_;
  vm::uncount(vm::tally.compiles_running);
  if (running_ == 0 && heap_.empty()) idle_.notify_all();
}

void Queue::close() {
  std::vector<Job> dropped;  // destroyed without the lock: the last reference to a module's record may be among them
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(heap_);
    set_waiting(0);
  }
  more_.notify_all();
  idle_.notify_all();
}

void Queue::wait_idle() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return closed_ || (heap_.empty() && running_ == 0); });
}

}  // namespace vmrun::tiering
