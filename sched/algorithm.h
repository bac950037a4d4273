// Our scheduling algorithm as Boost.Fiber sees it: one object for each worker thread.
//
// How Boost is used: its dispatcher fiber runs the thread's loop (pick_next, suspend_until), frees ended fibers, and is
// the only fiber its own lists know. A switch `to->resume(from)` calls awakened(from) on the stack switched to, once
// `from` is saved: that is the moment to queue or park it. Sleep queues, remote queues, wait queues and
// fiber-specific storage of Boost are never used. Facts of 1.81 this rests on: resume() and attach_worker_context() are
// public; attach only links and sets the context's scheduler; unlinking an unlinked context does nothing.
#pragma once

#include <boost/fiber/algo/algorithm.hpp>

namespace vmrun::sched {

class Worker;

class Algorithm final : public boost::fibers::algo::algorithm {
 public:
  explicit Algorithm(Worker& worker) : worker_(worker) {}

  void awakened(boost::fibers::context* left) noexcept override;
  boost::fibers::context* pick_next() noexcept override;
  bool has_ready_fibers() const noexcept override { return false; }
  void suspend_until(std::chrono::steady_clock::time_point const&) noexcept override;
  /// Boost calls it on the dispatcher when the thread ends, just before the last switch to the thread's own stack.
  void notify() noexcept override;

 private:
  Worker& worker_;
};

}  // namespace vmrun::sched
