// What the scheduler counts.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace vmrun::sched {

/// One row per counter: name, meaning.
#define SCHED_COUNTERS(X)                                                                    \
  X(spawns, "tasks spawned")                                                                 \
  X(finished, "tasks that have ended")                                                       \
  X(switches, "times a task was put on a thread")                                            \
  X(yields, "times a task gave way by itself")                                               \
  X(preemptions, "times a task gave way because its slice was over or it was to be stopped") \
  X(preempt_requests, "times the monitor or a canceller asked a worker to stop its task")    \
  X(parks, "times a task suspended itself")                                                  \
  X(unparks, "suspended tasks made runnable")                                                \
  X(steals, "times a worker took tasks from another processor's queue")                      \
  X(stolen, "tasks so taken")                                                                \
  X(global_picks, "tasks taken from the global queue")                                       \
  X(migrations, "times a task went on on another thread than before")                        \
  X(sleeps, "waits with a deadline")                                                         \
  X(timers_fired, "deadlines that passed")                                                   \
  X(cancels, "tasks cancelled")                                                              \
  X(blocking_calls, "regions in which a worker's thread may block")                          \
  X(handoffs, "processors taken from blocked workers")                                       \
  X(idles, "times a worker thread went to sleep")                                            \
  X(fibers, "fibers made")                                                                   \
  X(threads, "worker threads started")

struct Counters {
#define X(name, text) uint64_t name = 0;
  SCHED_COUNTERS(X)
#undef X
  /// Sampled waits in run queues: bucket i counts those from 2^i to 2^(i+1) - 1 ns (bucket 0 from 0).
  std::array<uint64_t, 40> queue_latency{};
};

/// The counters of one thread: written by it alone, read by anybody.
struct ThreadCounters {
#define X(name, text) std::atomic<uint64_t> name{0};
  SCHED_COUNTERS(X)
#undef X
  std::array<std::atomic<uint64_t>, 40> queue_latency{};

  void add_to(Counters& sum) const {
#define X(name, text) sum.name += name.load(std::memory_order_relaxed);
    SCHED_COUNTERS(X)
#undef X
    for (size_t i = 0; i < queue_latency.size(); ++i) {
      sum.queue_latency[i] += queue_latency[i].load(std::memory_order_relaxed);
    }
  }
};

/// Adds to a counter that only this thread writes: no locked instruction.
inline void count(std::atomic<uint64_t>& counter, uint64_t n = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

}  // namespace vmrun::sched
