// The parking lot; its rules are in wait.h.
#include "vm/runtime/wait.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "vm/runtime/memory.h"

namespace vmrun::vm {
namespace {

using Clock = std::chrono::steady_clock;

struct Waiter {
  const void* address;
  std::condition_variable wake;  // of a thread
  void* fiber = nullptr;         // or what waits
  bool woken = false;            // under the bucket's lock
  Waiter* next = nullptr;
  Waiter* previous = nullptr;
};

struct Bucket {
  std::mutex lock;
  Waiter* first = nullptr;
  Waiter* last = nullptr;

  void append(Waiter& waiter) {
    waiter.previous = last;
    (last != nullptr ? last->next : first) = &waiter;
    last = &waiter;
  }
  void remove(Waiter& waiter) {
    (waiter.previous != nullptr ? waiter.previous->next : first) = waiter.next;
    (waiter.next != nullptr ? waiter.next->previous : last) = waiter.previous;
  }
};

std::atomic<const WaitFibers*> wait_fibers{nullptr};

constexpr size_t kBuckets = 256;
// How often a parked thread looks whether its vCPU was interrupted: an interrupt may come from a signal handler, which
// cannot signal a condition variable.
constexpr auto kInterruptPoll = std::chrono::milliseconds(10);

Bucket& bucket_of(const void* address) {
  static std::array<Bucket, kBuckets> buckets;
  const uint64_t hash = reinterpret_cast<uint64_t>(address) * 0x9e3779b97f4a7c15ull;
  return buckets[hash >> 56];
}
static_assert(kBuckets == 256);

/// Blocks until the waiter is woken, the deadline passes or the vCPU is interrupted. The one place where a wait blocks.
void park(Vcpu& vcpu, Waiter& waiter, std::unique_lock<std::mutex>& lock, Clock::time_point deadline) {
  while (!waiter.woken && vcpu.interrupt.load(std::memory_order_relaxed) == 0) {
    const Clock::time_point now = Clock::now();
    if (now >= deadline) return;
    if (waiter.fiber != nullptr) {
      lock.unlock();
      const bool goes_on = wait_fibers.load(std::memory_order_acquire)->park_until(deadline);
      lock.lock();
      if (!goes_on) vcpu.interrupt.fetch_or(static_cast<uint8_t>(Interrupt::once), std::memory_order_relaxed);
      continue;
    }
    waiter.wake.wait_until(lock, std::min(deadline, now + kInterruptPoll));
  }
}

template <class T>
TrapCode check(const MemoryInst& memory, uint64_t address) {
  if (address % sizeof(T) != 0) return TrapCode::UnalignedAtomic;
  return memory_holds(memory, address, sizeof(T)) ? TrapCode::None : TrapCode::MemoryOutOfBounds;
}

template <class T>
TrapCode wait(Vcpu& vcpu, MemoryInst& memory, uint64_t address, T expected, int64_t timeout, WaitResult* result) {
  if (TrapCode trap = check<T>(memory, address); trap != TrapCode::None) return trap;
  if (!memory.type.shared) return TrapCode::ExpectedSharedMemory;
  T* cell = reinterpret_cast<T*>(memory.base + address);
  // A time too far away for the clock is no deadline at all.
  Clock::time_point deadline = Clock::time_point::max();
  if (timeout >= 0) {
    const Clock::time_point now = Clock::now();
    if (std::chrono::nanoseconds(timeout) < deadline - now) deadline = now + std::chrono::nanoseconds(timeout);
  }

  Bucket& bucket = bucket_of(cell);
  std::unique_lock lock(bucket.lock);
  if (__atomic_load_n(cell, __ATOMIC_SEQ_CST) != expected) {
    *result = WaitResult::NotEqual;
    return TrapCode::None;
  }
  Waiter waiter;
  waiter.address = cell;
  if (const WaitFibers* fibers = wait_fibers.load(std::memory_order_acquire)) waiter.fiber = fibers->self();
  bucket.append(waiter);
  park(vcpu, waiter, lock, deadline);
  if (waiter.woken) {
    *result = WaitResult::Woken;
    return TrapCode::None;
  }
  bucket.remove(waiter);
  if (take_interrupt(vcpu)) return TrapCode::Interrupted;
  *result = WaitResult::TimedOut;
  return TrapCode::None;
}

}  // namespace

void set_wait_fibers(const WaitFibers* fibers) { wait_fibers.store(fibers, std::memory_order_release); }

TrapCode memory_wait32(Vcpu& vcpu, MemoryInst& memory, uint64_t address, uint32_t expected, int64_t timeout,
                       WaitResult* result) {
  return wait(vcpu, memory, address, expected, timeout, result);
}

TrapCode memory_wait64(Vcpu& vcpu, MemoryInst& memory, uint64_t address, uint64_t expected, int64_t timeout,
                       WaitResult* result) {
  return wait(vcpu, memory, address, expected, timeout, result);
}

TrapCode memory_notify(MemoryInst& memory, uint64_t address, uint32_t count, uint32_t* woken) {
  if (TrapCode trap = check<uint32_t>(memory, address); trap != TrapCode::None) return trap;
  const void* cell = memory.base + address;
  Bucket& bucket = bucket_of(cell);
  std::lock_guard lock(bucket.lock);
  *woken = 0;
  for (Waiter* waiter = bucket.first; waiter != nullptr && *woken < count;) {
    Waiter* next = waiter->next;
    if (waiter->address == cell) {
      bucket.remove(*waiter);
      waiter->woken = true;
      if (waiter->fiber != nullptr) {
        wait_fibers.load(std::memory_order_acquire)->unpark(waiter->fiber);
      } else {
        waiter->wake.notify_one();
      }
      ++*woken;
    }
    waiter = next;
  }
  return TrapCode::None;
}

}  // namespace vmrun::vm
