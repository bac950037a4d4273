// Who owns a linear memory, and what the stores of a program may take together.
//
// A memory that is not shared belongs to one store. A shared one belongs to nobody: each store that uses it holds a
// reference, the embedder may hold one, and the last one to go gives its address space back.
//
// Threads: a budget may be used from any thread, and so may references to an owner be.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "vm/runtime/instance.h"
#include "vm/runtime/memory.h"
#include "vmrun/base/result.h"

namespace vmrun::vm {

/// What may be taken of one thing, by all who share it.
class Quota {
 public:
  explicit Quota(uint64_t limit) : limit_(limit) {}
  Quota(const Quota&) = delete;
  Quota& operator=(const Quota&) = delete;

  uint64_t limit() const { return limit_; }
  uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  uint64_t peak() const { return std::max(peak_.load(std::memory_order_relaxed), used()); }

  /// False when the limit stands against it.
  bool charge(uint64_t bytes) {
    uint64_t used = used_.load(std::memory_order_relaxed);
    do {
      if (bytes > limit_ || used > limit_ - bytes) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
    return true;
  }
  /// What was charged for has not been made: it counts for no peak.
  void uncharge(uint64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  /// What was charged for is gone.
  void credit(uint64_t bytes) {
    const uint64_t most = used();
    uint64_t peak = peak_.load(std::memory_order_relaxed);
    while (peak < most && !peak_.compare_exchange_weak(peak, most, std::memory_order_relaxed)) {
    }
    uncharge(bytes);
  }

 private:
  const uint64_t limit_;
  std::atomic<uint64_t> used_{0};
  std::atomic<uint64_t> peak_{0};  // before something was last given back
};

/// What a store may take, or the stores of one program together.
struct Budget {
  Budget(uint64_t memory, uint64_t elements, uint64_t exceptions)
      : memory_bytes(memory), table_elements(elements), exception_bytes(exceptions) {}
  Quota memory_bytes, table_elements, exception_bytes;
};

/// A linear memory with what it is made of; MemoryInst::impl points back to it.
struct MemoryOwner {
  MemoryOwner(std::shared_ptr<MemoryPool> from, std::shared_ptr<Budget> limits)
      : pool(std::move(from)), budget(std::move(limits)) {}
  ~MemoryOwner();
  MemoryOwner(const MemoryOwner&) = delete;
  MemoryOwner& operator=(const MemoryOwner&) = delete;

  MemoryInst inst;
  MemoryMapping mapping;
  const std::shared_ptr<MemoryPool> pool;
  const std::shared_ptr<Budget> budget;
  std::mutex growth;  // taken by growth of a shared memory
};

/// A memory of `type`, which belongs to `store` unless it is shared. Errors: Limit.
Result<std::shared_ptr<MemoryOwner>> make_memory(std::shared_ptr<MemoryPool> pool, std::shared_ptr<Budget> budget,
                                                 const MemoryType& type, Store* store);

}  // namespace vmrun::vm
