// futex.h on Linux.
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <ctime>

#include "sched/futex.h"

namespace vmrun::sched {

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t) && std::atomic<uint32_t>::is_always_lock_free);

Nanos coarse_now() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return Nanos{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

bool futex_wait(std::atomic<uint32_t>& word, uint32_t expected, Nanos deadline) noexcept {
  // WAIT_BITSET takes an absolute deadline of the monotonic clock, which is what steady_clock is.
  timespec until{deadline / 1'000'000'000, deadline % 1'000'000'000};
  const timespec* limit = deadline == never ? nullptr : &until;
  const long rc =
      ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, expected, limit, nullptr, FUTEX_BITSET_MATCH_ANY);
  return !(rc == -1 && errno == ETIMEDOUT);
}

void futex_wake(std::atomic<uint32_t>& word) noexcept { ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1); }

void futex_wake_all(std::atomic<uint32_t>& word) noexcept { ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX); }

void set_exact_deadlines() noexcept { ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }

}  // namespace vmrun::sched
