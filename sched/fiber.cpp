// The making of fibers by Boost. Built without sanitizers: parts of these templates run on one stack and return on
// another.
#include "sched/fiber.h"

#include <boost/context/stack_context.hpp>
#include <boost/fiber/context.hpp>
#include <memory>

namespace vmrun::sched {

namespace {

/// Boost's allocator concept over a stack that the fiber has already.
class OwnStack {
 public:
  using traits_type = boost::context::stack_traits;
  explicit OwnStack(Fiber* fiber) : fiber_(fiber) {}
  boost::context::stack_context allocate() const {
    boost::context::stack_context stack;
    stack.size = fiber_->stack.size();
    stack.sp = fiber_->stack.high;
    return stack;
  }
  void deallocate(boost::context::stack_context&) const noexcept { release_fiber(fiber_); }

 private:
  Fiber* fiber_;
};

}  // namespace

Fiber* create_fiber(const std::shared_ptr<StackPool>& pool) {
  auto owner = std::make_unique<Fiber>();
  Fiber* fiber = owner.get();
  fiber->stack = pool->take();
  fiber->pool = pool;
  fiber->has_annex = pool->has_annex(fiber->stack);
  fiber->strand.create(fiber->stack.low, fiber->stack.size());
  // The context lies at the stack's top. It has one reference, which its end drops.
  auto context =
      boost::fibers::make_worker_context(boost::fibers::launch::post, OwnStack(fiber), [fiber] { fiber_main(fiber); });
  fiber->context = context.get();
  return owner.release();
}

}  // namespace vmrun::sched
