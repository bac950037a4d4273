// Boost's callbacks.
#include "sched/algorithm.h"

#include "sched/worker.h"

namespace vmrun::sched {

void Algorithm::awakened(boost::fibers::context* left) noexcept { worker_.arrived(left); }

// Returns on the stack it was called on, but for the sanitizer the next one runs already: so it must not be mirrored.
SCHED_UNINSTRUMENTED boost::fibers::context* Algorithm::pick_next() noexcept {
  boost::fibers::context* next = worker_.pick_next();
  if (next != nullptr) {
    Strand& from = worker_.here();
    Strand& to = worker_.strand_of(next);
    // Neither the dispatcher nor the thread's own stack: a fiber that has ended.
    const bool for_good = !worker_.on_dispatcher() && !worker_.on_main();
    worker_.now_on(to);
    leave(from, to, for_good);
  }
  return next;
}

void Algorithm::suspend_until(std::chrono::steady_clock::time_point const&) noexcept { worker_.idle(); }

SCHED_UNINSTRUMENTED void Algorithm::notify() noexcept {
  worker_.finish_switch();
  Strand& from = worker_.here();
  worker_.now_on(worker_.main_strand());
  leave(from, worker_.main_strand(), true);
}

}  // namespace vmrun::sched
