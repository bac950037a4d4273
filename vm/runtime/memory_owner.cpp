// Making and destroying linear memories; see memory_owner.h.
#include "vm/runtime/memory_owner.h"

#include <string>

#include "vm/base/tally.h"
#include "vm/runtime/fault.h"
#include "vm/runtime/store.h"

namespace vmrun::vm {
namespace {

/// Pages << log2, or the largest number when that is too large.
uint64_t pages_to_bytes(uint64_t pages, unsigned log2) {
  return pages > UINT64_MAX >> log2 ? UINT64_MAX : pages << log2;
}

}  // namespace

Result<std::shared_ptr<MemoryOwner>> make_memory(std::shared_ptr<MemoryPool> pool, std::shared_ptr<Budget> budget,
                                                 const MemoryType& type, Store* store) {
  const unsigned log2 = type.page_log2;
  const uint64_t bytes = pages_to_bytes(type.limits.min, log2);
  const uint64_t spec_max = most_pages(type.limits.is64, log2);
  const uint64_t max_pages = std::min(type.limits.max.value_or(spec_max), spec_max);
  // The owner first: once there is a mapping, nothing may throw.
  auto owner = std::make_shared<MemoryOwner>(std::move(pool), std::move(budget));
  Quota& limits = owner->budget->memory_bytes;
  if (bytes == UINT64_MAX) {
    return Error(ErrorKind::Limit, "a memory of " + std::to_string(type.limits.min) + " pages of " +
                                       std::to_string(uint64_t{1} << log2) + " bytes is larger than all addresses");
  }
  if (!limits.charge(bytes)) {
    return Error(ErrorKind::Limit, "a memory of " + std::to_string(bytes) + " bytes exceeds the limit of " +
                                       std::to_string(limits.limit()));
  }
  const uint64_t max_bytes = std::min(pages_to_bytes(max_pages, log2), std::max(bytes, limits.limit()));
  // What is shared may outlive the store.
  Result<MemoryMapping> mapping = store != nullptr && !type.shared ? store->reserve_memory(type, bytes, max_bytes)
                                                                   : owner->pool->acquire(type, bytes, max_bytes);
  if (!mapping) {
    limits.uncharge(bytes);
    return std::move(mapping).error();
  }
  owner->mapping = *mapping;
  MemoryInst& memory = owner->inst;
  memory.base = mapping->base;
  memory.bytes.store(bytes, std::memory_order_relaxed);
  memory.type = type;
  memory.max_pages = std::min(max_pages, mapping->reserved >> log2);
  memory.guarded = mapping->guarded;
  memory.reserved = mapping->reserved;
  memory.store = type.shared ? nullptr : store;
  memory.impl = owner.get();
  if (memory.guarded) fault_lend_reservation(memory.base, &memory);
  count(tally.memory_bytes, bytes);
  return owner;
}

MemoryOwner::~MemoryOwner() {
  if (mapping.base == nullptr) return;
  if (mapping.guarded) fault_lend_reservation(mapping.base, nullptr);
  const uint64_t bytes = inst.bytes.load(std::memory_order_relaxed);
  // What a dense memory never grew to was never touched.
  if (mapping.pooled && !mapping.guarded) mapping.accessible = bytes;
  budget->memory_bytes.credit(bytes);
  uncount(tally.memory_bytes, bytes);
  if (mapping.roomed) {
    inst.store->room_memory_left(bytes);
  } else {
    pool->release(mapping);
  }
}

}  // namespace vmrun::vm
