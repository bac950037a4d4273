// The address space of an engine's linear memories and VM stacks, recycled so that an instance costs a few system
// calls.
//
// A released guarded mapping keeps its pages' protection: the next memory usually wants the same size, and then needs
// no mprotect at all. Its contents go by MADV_DONTNEED, which costs what was touched. Dense slots are read-write as a
// whole (one mapping per chunk: the kernel limits mappings to 65,530 per process), because dense accesses are checked
// anyway.
//
// The pool's lock covers its lists only; system calls happen outside it.
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "vm/fault.h"
#include "vm/memory.h"

namespace vmrun::vm {
namespace {

constexpr uint64_t kHostPage = 4096;
constexpr uint64_t kDenseChunk = 64ull << 30;
// A 64-bit memory without a maximum gets this much room to grow.
constexpr uint64_t kUnboundedReservation = 64ull << 30;
// What of a released stack stays resident for the next user.
constexpr size_t kWarmStack = 64u << 10;
constexpr size_t kStackExtra = kStackRedZone + kAreaBytes;

uint64_t round_up(uint64_t n) { return (n + kHostPage - 1) & ~(kHostPage - 1); }

Error no_room(const char* what, uint64_t bytes) {
  return Error(ErrorKind::Limit,
               "cannot reserve " + std::to_string(bytes) + " bytes for a " + what + ": " + std::strerror(errno));
}

std::byte* map(uint64_t bytes, int protection) {
  void* p = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : static_cast<std::byte*>(p);
}

/// Makes exactly [0, bytes) of the mapping accessible.
bool set_accessible(MemoryMapping& mapping, uint64_t bytes) {
  bytes = round_up(bytes);
  if (bytes > mapping.accessible) {
    if (mprotect(mapping.base + mapping.accessible, bytes - mapping.accessible, PROT_READ | PROT_WRITE) != 0)
      return false;
  } else if (bytes < mapping.accessible) {
    if (mprotect(mapping.base + bytes, mapping.accessible - bytes, PROT_NONE) != 0) return false;
  }
  mapping.accessible = bytes;
  return true;
}

}  // namespace

struct MemoryPool::Impl {
  struct Stack {
    std::byte* base;
    size_t bytes;
  };

  Options options;
  std::mutex lock;
  std::vector<MemoryMapping> guarded;  // free
  std::vector<Stack> stacks;           // free
  std::vector<std::byte*> dense;       // free slots
  std::vector<std::pair<std::byte*, uint64_t>> dense_chunks;

  Result<MemoryMapping> acquire_guarded(uint64_t bytes) {
    MemoryMapping mapping;
    {
      std::lock_guard hold(lock);
      if (!guarded.empty()) {
        auto best = std::find_if(guarded.rbegin(), guarded.rend(),
                                 [&](const MemoryMapping& m) { return m.accessible == round_up(bytes); });
        auto it = best == guarded.rend() ? guarded.end() - 1 : std::prev(best.base());
        mapping = *it;
        *it = guarded.back();
        guarded.pop_back();
      }
    }
    if (mapping.base == nullptr) {
      mapping.base = map(kFaultReservation, PROT_NONE);
      if (mapping.base == nullptr) return no_room("memory", kFaultReservation);
      mapping.reserved = 4ull << 30;
      mapping.guarded = true;
      mapping.pooled = true;
      fault_add_reservation(mapping.base);
    }
    if (!set_accessible(mapping, bytes)) {
      Error error = no_room("memory", bytes);
      unmap_guarded(mapping);
      return error;
    }
    return mapping;
  }

  static void unmap_guarded(const MemoryMapping& mapping) {
    fault_remove_reservation(mapping.base);
    munmap(mapping.base, kFaultReservation);
  }

  Result<MemoryMapping> acquire_dense(uint64_t bytes) {
    const uint64_t slot_bytes = round_up(options.dense_bytes);
    if (bytes > slot_bytes) {
      return Error(ErrorKind::Limit, "memory of " + std::to_string(bytes) + " bytes is larger than a dense slot of " +
                                         std::to_string(slot_bytes));
    }
    std::lock_guard hold(lock);
    if (dense.empty()) {
      const uint64_t slots = std::max<uint64_t>(1, kDenseChunk / slot_bytes);
      std::byte* chunk = map(slots * slot_bytes, PROT_READ | PROT_WRITE);
      if (chunk == nullptr) return no_room("pool of dense memories", slots * slot_bytes);
      dense_chunks.emplace_back(chunk, slots * slot_bytes);
      dense.reserve(dense_chunks.size() * slots);
      for (uint64_t i = slots; i-- > 0;) dense.push_back(chunk + i * slot_bytes);
    }
    MemoryMapping mapping{dense.back(), slot_bytes, slot_bytes, false, true};
    dense.pop_back();
    return mapping;
  }
};

MemoryPool::MemoryPool(const Options& options) : impl_(std::make_unique<Impl>()) { impl_->options = options; }

MemoryPool::~MemoryPool() {
  for (const MemoryMapping& mapping : impl_->guarded) Impl::unmap_guarded(mapping);
  for (const Impl::Stack& stack : impl_->stacks) munmap(stack.base, stack.bytes + kStackExtra + kHostPage);
  for (auto [base, bytes] : impl_->dense_chunks) munmap(base, bytes);
}

bool MemoryPool::dense() const { return impl_->options.dense; }

Result<MemoryMapping> MemoryPool::acquire(const MemoryType& type, uint64_t bytes, uint64_t max_bytes) {
  if (memory_is_guarded(type, dense())) return impl_->acquire_guarded(bytes);
  if (!type.limits.is64 && type.page_log2 == 16) return impl_->acquire_dense(bytes);
  const uint64_t room = round_up(std::clamp<uint64_t>(max_bytes, 1, std::max(bytes, kUnboundedReservation)));
  if (room < bytes) return Error(ErrorKind::Limit, "memory of " + std::to_string(bytes) + " bytes");
  MemoryMapping mapping;
  mapping.base = map(std::max(room, kHostPage), PROT_NONE);
  if (mapping.base == nullptr) return no_room("memory", room);
  mapping.reserved = std::max(room, kHostPage);
  if (!set_accessible(mapping, bytes)) {
    Error error = no_room("memory", bytes);
    munmap(mapping.base, mapping.reserved);
    return error;
  }
  return mapping;
}

void MemoryPool::release(const MemoryMapping& mapping) {
  if (!mapping.pooled) {
    munmap(mapping.base, mapping.reserved);
    return;
  }
  if (mapping.accessible != 0) madvise(mapping.base, mapping.accessible, MADV_DONTNEED);
  {
    std::lock_guard hold(impl_->lock);
    if (!mapping.guarded) {
      impl_->dense.push_back(mapping.base);
      return;
    }
    if (impl_->guarded.size() < impl_->options.cached) {
      impl_->guarded.push_back(mapping);
      return;
    }
  }
  Impl::unmap_guarded(mapping);
}

Result<std::byte*> MemoryPool::acquire_stack(size_t bytes) {
  bytes = round_up(bytes);
  {
    std::lock_guard hold(impl_->lock);
    for (size_t i = impl_->stacks.size(); i-- > 0;) {
      if (impl_->stacks[i].bytes != bytes) continue;
      std::byte* base = impl_->stacks[i].base;
      impl_->stacks[i] = impl_->stacks.back();
      impl_->stacks.pop_back();
      return base;
    }
  }
  std::byte* base = map(bytes + kStackExtra + kHostPage, PROT_READ | PROT_WRITE);
  if (base == nullptr) return no_room("stack", bytes);
  mprotect(base + bytes + kStackExtra, kHostPage, PROT_NONE);
  return base;
}

Slot* MemoryPool::area_of(std::byte* stack, size_t bytes) {
  return reinterpret_cast<Slot*>(stack + round_up(bytes) + kStackRedZone);
}

void MemoryPool::release_stack(std::byte* base, size_t bytes) {
  bytes = round_up(bytes);
  if (bytes + kStackExtra > kWarmStack) madvise(base + kWarmStack, bytes + kStackExtra - kWarmStack, MADV_DONTNEED);
  {
    std::lock_guard hold(impl_->lock);
    if (impl_->stacks.size() < impl_->options.cached) {
      impl_->stacks.push_back({base, bytes});
      return;
    }
  }
  munmap(base, bytes + kStackExtra + kHostPage);
}

}  // namespace vmrun::vm
