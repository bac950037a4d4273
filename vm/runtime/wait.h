// memory.atomic.wait and notify: a parking lot keyed by address.
//
// Rules. Waiters of all memories hang in a fixed number of buckets, each with its own lock; a waiter lies on its
// waiting thread's stack. wait compares the value and enqueues under the bucket's lock, notify dequeues under it, so a
// notify between the two cannot be lost. No lock but the bucket's is held, and none while parked. `park` is the one
// place where a waiter blocks. It suspends a fiber (set_wait_fibers); any other waiter holds its OS thread, and looks at
// Vcpu::interrupt now and then.
#pragma once

#include <chrono>
#include <cstdint>

#include "vm/base/trap.h"
#include "vm/runtime/instance.h"

namespace vmrun::vm {

/// What memory.atomic.wait returns.
enum class WaitResult : uint32_t { Woken = 0, NotEqual = 1, TimedOut = 2 };

/// memory.atomic.wait32/64 at `address` (offset added already). `timeout` in nanoseconds, negative for none. Traps:
/// UnalignedAtomic, MemoryOutOfBounds, ExpectedSharedMemory, Interrupted.
TrapCode memory_wait32(Vcpu& vcpu, MemoryInst& memory, uint64_t address, uint32_t expected, int64_t timeout,
                       WaitResult* result);
TrapCode memory_wait64(Vcpu& vcpu, MemoryInst& memory, uint64_t address, uint64_t expected, int64_t timeout,
                       WaitResult* result);
/// memory.atomic.notify: wakes at most `count` waiters, says how many. A memory that is not shared has none. Traps:
/// UnalignedAtomic, MemoryOutOfBounds.
TrapCode memory_notify(MemoryInst& memory, uint64_t address, uint32_t count, uint32_t* woken);

/// How guests on fibers wait.
struct WaitFibers {
  /// The running fiber, or null where the caller runs on none.
  void* (*self)();
  /// Suspends the running fiber until `unpark`, which may have come already, or the deadline; perhaps shorter. Called without
  /// a lock, returns perhaps on another thread. False: the fiber's guest is to end.
  bool (*park_until)(std::chrono::steady_clock::time_point deadline);
  /// Any thread, under a lock; the fiber is suspended or about to be.
  void (*unpark)(void* fiber);
};
/// From now on; `fibers` lasts as long as the process. Any thread.
void set_wait_fibers(const WaitFibers* fibers);

}  // namespace vmrun::vm
