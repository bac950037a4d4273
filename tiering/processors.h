// Whether a processor has nothing to do, so that compiling beside a guest takes nothing from it.
#pragma once

#include <atomic>
#include <cstdint>

namespace vmrun::tiering {

/// How many threads other than ours want to run, by counts that are smoothed: a moment in which more of them do is not a busy
/// machine. Starts with one, the guest's. Any thread.
class SmoothedThreads {
 public:
  void count(unsigned threads);
  /// Whether so many processors have one left over. Half a thread more counts as none: what is smoothed comes near to a number,
  /// and never quite down to it.
  bool leaves_idle(unsigned processors) const;

 private:
  static constexpr uint32_t kUnits = 64;   // of a thread
  std::atomic<uint32_t> threads_{kUnits};  // in units
};

/// How many threads want to run on this machine: from the system's count at the moment, smoothed. Any thread.
class Processors {
 public:
  /// Whether more processors are there than threads that want one, `ours` of these left out: compile threads at work.
  /// Asks the system once in policy::kLoadNanoseconds at most, which takes it some 10 us. Where it does not say, a machine
  /// with more processors than one counts as idle.
  bool are_idle(unsigned ours);

 private:
  std::atomic<int64_t> asked_{0};  // when, in nanoseconds of the steady clock
  SmoothedThreads others_;
};

/// Processors that threads of this process may run on.
unsigned own_processors();

/// Threads of the whole machine that run or want to, the caller among them; 0 where the system does not say.
unsigned runnable_threads();

}  // namespace vmrun::tiering
