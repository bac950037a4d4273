// The queue of compiles: see queue.h.
#include "tiering/queue.h"

#include <algorithm>

namespace vmrun::tiering {
namespace {

bool less_urgent(const Job& a, const Job& b) { return a.priority < b.priority; }

}  // namespace

void Queue::push(Job job) {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    heap_.push_back(std::move(job));
    std::push_heap(heap_.begin(), heap_.end(), less_urgent);
    waiting_.store(heap_.size(), std::memory_order_relaxed);
  }
  more_.notify_one();
}

std::optional<Job> Queue::pop() {
  std::unique_lock lock(mutex_);
  more_.wait(lock, [this] { return closed_ || !heap_.empty(); });
  if (closed_) return std::nullopt;
  std::pop_heap(heap_.begin(), heap_.end(), less_urgent);
  Job job = std::move(heap_.back());
  heap_.pop_back();
  waiting_.store(heap_.size(), std::memory_order_relaxed);
  ++running_;
  return job;
}

void Queue::done() {
  std::lock_guard lock(mutex_);
  --running_;
  if (running_ == 0 && heap_.empty()) idle_.notify_all();
}

void Queue::close() {
  std::vector<Job> dropped;  // destroyed without the lock: the last reference to a module's record may be among them
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(heap_);
    waiting_.store(0, std::memory_order_relaxed);
  }
  more_.notify_all();
  idle_.notify_all();
}

void Queue::wait_idle() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return closed_ || (heap_.empty() && running_ == 0); });
}

}  // namespace vmrun::tiering
