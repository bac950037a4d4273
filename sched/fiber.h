// One fiber of Boost.Fiber with its stack. It runs task after task: see fiber_main().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "sched/sanitizer.h"
#include "sched/stack.h"

namespace boost::fibers {
class context;
}

namespace vmrun::sched {

struct TaskCell;

struct Fiber {
  boost::fibers::context* context = nullptr;
  TaskCell* task = nullptr;  // what to run next, or runs
  Fiber* next = nullptr;     // in a list of idle fibers
  bool end = false;          // resumed to end, not to run
  std::shared_ptr<StackPool> pool;
  StackBounds stack;
  bool has_annex = false;
  std::atomic<bool> annex_lent{false};
  std::atomic<uint32_t> holders{1};  // the fiber, and whoever has its annex; the last one gives the stack back
  Strand strand;
};

/// Makes a fiber that will call fiber_main. Throws std::bad_alloc.
Fiber* create_fiber(const std::shared_ptr<StackPool>& pool);

/// Runs on the fiber until it is to end; Boost then frees it by release_fiber.
void fiber_main(Fiber* fiber);
void release_fiber(Fiber* fiber) noexcept;
/// One of its holders has done with it.
void drop_fiber(Fiber* fiber) noexcept;

}  // namespace vmrun::sched
