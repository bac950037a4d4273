// The heap of timers.
#include "sched/timer.h"

#include <algorithm>

#include "sched/check.h"
#include "sched/task.h"

namespace vmrun::sched {

namespace {
constexpr uint32_t arity = 4;  // half the levels of a binary heap, and the children of a node share a cache line
}

void TimerQueue::up(uint32_t index) {
  Timer* timer = heap_[index];
  while (index != 0) {
    const uint32_t parent = (index - 1) / arity;
    if (heap_[parent]->when <= timer->when) {
      break;
    }
    place(heap_[parent], index);
    index = parent;
  }
  place(timer, index);
}

void TimerQueue::down(uint32_t index) {
  Timer* timer = heap_[index];
  const auto size = static_cast<uint32_t>(heap_.size());
  for (;;) {
    const uint32_t first = index * arity + 1;
    if (first >= size) {
      break;
    }
    uint32_t least = first;
    for (uint32_t i = first + 1; i < first + arity && i < size; ++i) {
      if (heap_[i]->when < heap_[least]->when) {
        least = i;
      }
    }
    if (heap_[least]->when >= timer->when) {
      break;
    }
    place(heap_[least], index);
    index = least;
  }
  place(timer, index);
}

void TimerQueue::drop(uint32_t index) {
  heap_[index]->index = Timer::not_in_heap;
  Timer* last = heap_.back();
  heap_.pop_back();
  if (index < heap_.size()) {
    place(last, index);
    up(index);
    down(last->index);
  }
}

bool TimerQueue::add(Timer& timer) {
  std::lock_guard lock(mutex_);
  SCHED_ASSERT(timer.index == Timer::not_in_heap, "a timer is set twice");
  heap_.push_back(&timer);
  up(static_cast<uint32_t>(heap_.size() - 1));
  publish();
  return heap_[0] == &timer;
}

bool TimerQueue::remove(Timer& timer) {
  std::lock_guard lock(mutex_);
  if (timer.index == Timer::not_in_heap) {
    return false;
  }
  drop(timer.index);
  publish();
  return true;
}

uint32_t TimerQueue::take_due(Nanos at, Due* out, uint32_t max) {
  std::lock_guard lock(mutex_);
  uint32_t n = 0;
  while (n < max && !heap_.empty() && heap_[0]->when <= at) {
    Timer* timer = heap_[0];
    drop(0);
    out[n++] = {timer->task, timer->what, timer->when};
    timer->task->add_ref();
    timer->fired.store(true, std::memory_order_release);  // its owner may end it from here on, once it is removed
  }
  publish();
  return n;
}

void TimerQueue::grow(size_t n) {
  std::lock_guard lock(mutex_);
  heap_.reserve(std::max(n, 2 * heap_.capacity()));
  room_.store(heap_.capacity(), std::memory_order_relaxed);
}

size_t TimerQueue::size() const {
  std::lock_guard lock(mutex_);
  return heap_.size();
}

}  // namespace vmrun::sched
