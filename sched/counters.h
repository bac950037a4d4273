// What the scheduler counts.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
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
  X(quiet_wakes, "unparks that started no searcher, for the waker was about to suspend")     \
  X(fibers, "fibers made")                                                                   \
  X(fiber_failures, "tasks that ended without having run, for want of a stack")              \
  X(threads, "worker threads started")                                                       \
  X(thread_failures, "worker threads that could not be started")                             \
  X(pin_failures, "times the system refused to bind a thread to a core")                     \
  X(threads_ended, "worker threads that ended because they were not needed")

/// How often durations were in which range: bucket i counts those from 2^i to 2^(i+1) - 1 ns, bucket 0 also 0.
struct Histogram {
  static constexpr size_t buckets = 40;
  std::array<uint64_t, buckets> counts{};
  uint64_t sum = 0;  ///< of all, in nanoseconds

  static size_t bucket_of(int64_t ns) {
    return ns <= 1 ? 0
                   : std::min<size_t>(static_cast<size_t>(std::bit_width(static_cast<uint64_t>(ns))) - 1, buckets - 1);
  }
  uint64_t total() const {
    uint64_t all = 0;
    for (uint64_t n : counts) all += n;
    return all;
  }
  /// Nanoseconds that the given share of all (0 to 1) did not exceed, rounded up to the end of a range; 0 for none.
  int64_t percentile(double share) const {
    const uint64_t all = total();
    uint64_t seen = 0;
    for (size_t i = 0; i < buckets; ++i) {
      seen += counts[i];
      if (seen != 0 && static_cast<double>(seen) >= share * static_cast<double>(all)) return (int64_t{2} << i) - 1;
    }
    return 0;
  }
};

/// The same, written by threads.
struct AtomicHistogram {
  std::array<std::atomic<uint64_t>, Histogram::buckets> counts{};
  std::atomic<uint64_t> sum{0};
  /// By any thread.
  void add(int64_t ns) {
    counts[Histogram::bucket_of(ns)].fetch_add(1, std::memory_order_relaxed);
    sum.fetch_add(static_cast<uint64_t>(std::max<int64_t>(ns, 0)), std::memory_order_relaxed);
  }
  /// By the only thread that writes: no locked instruction.
  void add_alone(int64_t ns) {
    const auto add = [](std::atomic<uint64_t>& counter, uint64_t n) {
      counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    };
    add(counts[Histogram::bucket_of(ns)], 1);
    add(sum, static_cast<uint64_t>(std::max<int64_t>(ns, 0)));
  }
  void add_to(Histogram& all) const {
    for (size_t i = 0; i < counts.size(); ++i) all.counts[i] += counts[i].load(std::memory_order_relaxed);
    all.sum += sum.load(std::memory_order_relaxed);
  }
};

struct Counters {
#define X(name, text) uint64_t name = 0;
  SCHED_COUNTERS(X)
#undef X
  /// From the time a task was made ready until it ran: one in 64 is measured.
  Histogram queue_latency;
  /// From a deadline until it was seen to have passed; the task then has to wait for its turn.
  Histogram timer_lateness;
};

/// The counters of one thread: written by it alone, read by anybody.
struct ThreadCounters {
#define X(name, text) std::atomic<uint64_t> name{0};
  SCHED_COUNTERS(X)
#undef X
  AtomicHistogram queue_latency;
  AtomicHistogram timer_lateness;

  void add_to(Counters& sum) const {
#define X(name, text) sum.name += name.load(std::memory_order_relaxed);
    SCHED_COUNTERS(X)
#undef X
    queue_latency.add_to(sum.queue_latency);
    timer_lateness.add_to(sum.timer_lateness);
  }
};

/// Adds to a counter that only this thread writes: no locked instruction.
inline void count(std::atomic<uint64_t>& counter, uint64_t n = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

}  // namespace vmrun::sched
