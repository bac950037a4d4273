// Growth and the bulk operations of linear memories (the address space is in memory_pool.cpp).
#include "vm/runtime/memory.h"

#include <sys/mman.h>

#include <cstring>
#include <mutex>

#include "vm/base/tally.h"
#include "vm/runtime/memory_owner.h"
#include "vm/runtime/slices.h"

namespace vmrun::vm {

void populate_pages(std::byte* begin, uint64_t size) {
  constexpr uint64_t kWorthwhile = 64 << 10;
  constexpr uintptr_t kPage = 4096;
  const uintptr_t first = (reinterpret_cast<uintptr_t>(begin) + kPage - 1) & ~(kPage - 1);
  const uintptr_t end = (reinterpret_cast<uintptr_t>(begin) + size) & ~(kPage - 1);
  if (size >= kWorthwhile && first < end) {
    madvise(reinterpret_cast<void*>(first), end - first, MADV_POPULATE_WRITE);
  }
}

uint64_t memory_grow(MemoryInst& memory, uint64_t delta_pages) {
  MemoryOwner& owner = *static_cast<MemoryOwner*>(memory.impl);
  std::unique_lock lock(owner.growth, std::defer_lock);
  if (memory.type.shared) lock.lock();

  const unsigned log2 = memory.type.page_log2;
  const uint64_t old_bytes = memory.bytes.load(std::memory_order_relaxed);
  const uint64_t old_pages = old_bytes >> log2;
  if (delta_pages == 0) return old_pages;
  if (delta_pages > memory.max_pages || old_pages > memory.max_pages - delta_pages) return kGrowFailed;
  const uint64_t new_bytes = (old_pages + delta_pages) << log2;
  if (!owner.budget->memory_bytes.charge(new_bytes - old_bytes)) return kGrowFailed;

  if (new_bytes > owner.mapping.accessible && !owner.pool->grow(owner.mapping, new_bytes)) {
    owner.budget->memory_bytes.uncharge(new_bytes - old_bytes);
    return kGrowFailed;
  }
  memory.bytes.store(new_bytes, std::memory_order_release);
  count(tally.memory_bytes, new_bytes - old_bytes);
  return old_pages;
}

namespace {

TrapCode move(Vcpu* cx, std::byte* to, const std::byte* from, uint64_t size) {
  if (size <= kSliceBytes) [[likely]] {
    std::memmove(to, from, size);
    return TrapCode::None;
  }
  return in_slices(cx, size, kSliceBytes, copy_order(to, from, size), [=](uint64_t at, uint64_t count) {
    std::memmove(to + at, from + at, count);
    return TrapCode::None;
  });
}

}  // namespace

TrapCode memory_copy(Vcpu* cx, MemoryInst& to, MemoryInst& from, uint64_t to_address, uint64_t from_address,
                     uint64_t size) {
  if (!memory_holds(to, to_address, size) || !memory_holds(from, from_address, size))
    return TrapCode::MemoryOutOfBounds;
  return move(cx, to.base + to_address, from.base + from_address, size);
}

TrapCode memory_fill(Vcpu* cx, MemoryInst& memory, uint64_t address, uint8_t value, uint64_t size) {
  if (!memory_holds(memory, address, size)) return TrapCode::MemoryOutOfBounds;
  std::byte* const to = memory.base + address;
  if (size <= kSliceBytes) [[likely]] {
    std::memset(to, value, size);
    return TrapCode::None;
  }
  return in_slices(cx, size, kSliceBytes, Order::up, [=](uint64_t at, uint64_t count) {
    std::memset(to + at, value, count);
    return TrapCode::None;
  });
}

TrapCode memory_init(Vcpu* cx, Instance& instance, uint32_t segment, MemoryInst& memory, uint64_t to, uint64_t from,
                     uint64_t size) {
  const ByteRange bytes = instance.module->datas[segment].bytes;
  const uint64_t available = instance.dropped_datas[segment] != 0 ? 0 : bytes.size();
  if (from > available || size > available - from || !memory_holds(memory, to, size))
    return TrapCode::MemoryOutOfBounds;
  if (size == 0) return TrapCode::None;
  if (cx == nullptr) populate_pages(memory.base + to, size);
  const std::byte* source = reinterpret_cast<const std::byte*>(instance.module->bytes()) + bytes.begin + from;
  return move(cx, memory.base + to, source, size);
}

void data_drop(Instance& instance, uint32_t segment) { instance.dropped_datas[segment] = 1; }

}  // namespace vmrun::vm
