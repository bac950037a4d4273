// Compiles that wait, the most beneficial first, and none for ever (tiering/policy.h).
//
// Threads: any thread pushes, compile threads pop; one mutex guards the heap and is held for some hundred nanoseconds.
// A job may stand in the heap twice, when its heat rose: whoever takes it looks at the block's state, and the second
// one finds that there is nothing left to do. The jobs of a module that died stay until they are popped and are dropped
// then, so that they hold its record but touch nothing of the module.
//
// A task is what a thread takes at a time: one unit for the optimising compiler, and for the baseline compiler, which is
// through with most functions faster than a thread goes to the queue and back, several functions of one module.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "tiering/events.h"
#include "vm/blocks/block.h"

namespace vmrun::tiering {

class ModuleTiers;

/// Job::unit of a share in compiling a whole module (ModuleTiers::compile_all).
inline constexpr uint32_t kEveryFunction = 0xfffffffe;

struct Job {
  double priority = 0;  // policy.h; the highest is taken first
  std::shared_ptr<ModuleTiers> module;
  uint32_t func_index = 0;
  uint32_t unit = 0;  // as in jit::CompileRequest, or kEveryFunction
  vm::Tier tier = vm::Tier::baseline;
  uint32_t bytes = 0;  // of the function
  CompileWhy why = {};
  std::function<void()> errand = {};  // instead of all that: something to be done on a compile thread
};

/// Jobs of one module, the most beneficial first.
using Task = std::vector<Job>;

class Queue {
 public:
  void push(Job job);
  /// The best job; waits for one. If it is a function for the baseline compiler, then with it the best others of the same
  /// module, policy::kTaskBytes of them at most. Empty once the queue is closed.
  Task pop();
  /// Says that the task popped last on this thread is over.
  void done();
  /// Wakes everybody for good; what waits is dropped.
  void close();
  /// Waits until no job waits or runs.
  void wait_idle();
  /// How many jobs wait; racy.
  size_t waiting() const { return waiting_.load(std::memory_order_relaxed); }
  /// How many threads are at a task; racy.
  unsigned running() const { return running_.load(std::memory_order_relaxed); }

 private:
  /// Under the mutex.
  void set_waiting(size_t jobs);

  std::mutex mutex_;
  std::condition_variable more_, idle_;
  std::vector<Job> heap_;
  std::atomic<size_t> waiting_{0};
  std::atomic<unsigned> running_{0};
  bool closed_ = false;
};

}  // namespace vmrun::tiering
