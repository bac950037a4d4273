// A lock for a few instructions: of wait lists and tokens. Its holder never suspends and calls nothing that may.
#pragma once

#include <sched.h>

#include <atomic>

#include "sched/cpu_x86_64.h"

namespace vmrun::sched {

class SpinLock {
 public:
  void lock() noexcept {
    while (held_.exchange(true, std::memory_order_acquire)) {
      // The holder may be a thread that the kernel has taken from its core: give way after a short spin.
      for (int spins = 0; held_.load(std::memory_order_relaxed); ++spins) {
        if (spins < 100) {
          pause_cpu();
        } else {
          ::sched_yield();
        }
      }
    }
  }
  bool try_lock() noexcept {
    return !held_.load(std::memory_order_relaxed) && !held_.exchange(true, std::memory_order_acquire);
  }
  void unlock() noexcept { held_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> held_{false};
};

}  // namespace vmrun::sched
