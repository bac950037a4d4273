// One fiber of Boost.Fiber with its stack. It runs task after task: see fiber_main().
#pragma once

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
  StackPool* pool = nullptr;
  StackBounds stack;
  Strand strand;
};

/// Makes a fiber that will call fiber_main. Throws std::bad_alloc.
Fiber* create_fiber(StackPool& pool);

/// Runs on the fiber until it is to end; Boost then frees it by release_fiber.
void fiber_main(Fiber* fiber);
void release_fiber(Fiber* fiber) noexcept;

}  // namespace vmrun::sched
