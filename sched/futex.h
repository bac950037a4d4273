// Sleeping and waking of threads on one word, with deadlines of the monotonic clock.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace vmrun::sched {

using Clock = std::chrono::steady_clock;
/// Nanoseconds of Clock since its epoch: what queues and heaps compare.
using Nanos = int64_t;
/// A point that never comes.
inline constexpr Nanos never = INT64_MAX;

inline Nanos nanos(Clock::time_point t) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count();
}
inline Nanos now() { return nanos(Clock::now()); }
/// The same clock as it was at the kernel's last tick, some milliseconds ago at most; a fraction of the price.
Nanos coarse_now() noexcept;

/// Sleeps while `word` holds `expected`, until woken or `deadline`. May return early; false only when the deadline has
/// passed. Leaves no meaning in errno.
bool futex_wait(std::atomic<uint32_t>& word, uint32_t expected, Nanos deadline = never) noexcept;

/// Wakes one sleeper of `word`, which may meanwhile be memory that is gone (it is then nobody's).
void futex_wake(std::atomic<uint32_t>& word) noexcept;
void futex_wake_all(std::atomic<uint32_t>& word) noexcept;

/// Asks the kernel not to round this thread's deadlines up (by 50 µs unless told).
void set_exact_deadlines() noexcept;

}  // namespace vmrun::sched
