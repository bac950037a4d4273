// Allocation and collection of exception cells.
#include "vm/runtime/exn.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "vm/base/assert.h"
#include "vm/runtime/store.h"

namespace vmrun::vm {
namespace {

constexpr uint32_t kSmallSlots = 6;  // a small cell is 64 bytes
constexpr size_t kSmallBytes = sizeof(ExnCell) + kSmallSlots * sizeof(Slot);

bool is_small(const ExnCell* cell) { return cell->payload_slots <= kSmallSlots; }
static_assert(kSmallBytes == 64);
uint64_t size_of(uint32_t slots) { return slots <= kSmallSlots ? kSmallBytes : sizeof(ExnCell) + slots * sizeof(Slot); }

}  // namespace

ExnHeap::~ExnHeap() {
  drop_spare();
  store_.budget()->exception_bytes.uncharge(bytes_);
  for (ExnCell* cell : cells_) {
    if (!is_small(cell)) std::free(cell);
  }
}

ExnCell* ExnHeap::allocate(uint32_t slots) {
  constexpr size_t kChunkCells = kChunkBytes / kSmallBytes;
  if (cells_.size() + kChunkCells > cells_.capacity()) cells_.reserve(2 * cells_.size() + kChunkCells);
  if (slots > kSmallSlots) {
    void* memory = std::aligned_alloc(16, (sizeof(ExnCell) + slots * sizeof(Slot) + 15) & ~size_t{15});
    if (memory == nullptr) return nullptr;
    ExnCell* cell = new (memory) ExnCell;
    cells_.push_back(cell);
    return cell;
  }
  if (free_small_.empty()) {
    const size_t small = (chunks_.size() + 1) * kChunkCells;
    if (small > free_small_.capacity()) free_small_.reserve(2 * small);  // so that freeing never allocates
    std::unique_ptr<std::byte, ChunkFree> fresh(
        static_cast<std::byte*>(::operator new(kChunkBytes, std::align_val_t{kChunkBytes})));
    std::byte* chunk = fresh.get();
    chunks_.emplace(chunk, std::move(fresh));
    for (size_t i = kChunkCells; i-- > 0;) {
      ExnCell* cell = new (chunk + i * kSmallBytes) ExnCell;
      cell->free = true;
      cells_.push_back(cell);
      free_small_.push_back(cell);
    }
  }
  ExnCell* cell = free_small_.back();
  free_small_.pop_back();
  return cell;
}

ExnCell* ExnHeap::make(TagInst* tag, const Slot* payload, uint32_t slots, const std::byte* stack_top) try {
  Quota& quota = store_.budget()->exception_bytes;
  const uint64_t limit = quota.limit(), size = size_of(slots);
  if (live_ >= threshold_ || (spare_ < size && quota.used() + size > limit)) {
    collect(stack_top, {payload, slots});
    drop_spare();
    threshold_ = std::max<size_t>(1024, 2 * live_);
    // An eighth must be free by then, or a guest at its limit would collect at each throw.
    if (quota.used() + size > limit - limit / 8) return nullptr;
  }
  ExnCell* cell = allocate(slots);
  if (cell == nullptr) return nullptr;
  if (!charge(size)) {  // other threads of the program have taken the rest
    if (slots <= kSmallSlots) {
      free_small_.push_back(cell);
    } else {
      cells_.pop_back();
      std::free(cell);
    }
    return nullptr;
  }
  ++live_;
  bytes_ += size;
  cell->tag = tag;
  cell->payload_slots = slots;
  cell->escaped = false;
  cell->free = false;
  if (slots != 0) std::memcpy(cell->payload(), payload, slots * sizeof(Slot));
  return cell;
} catch (const std::bad_alloc&) {
  return nullptr;
}

bool ExnHeap::charge(uint64_t size) {
  if (spare_ < size) return store_.budget()->exception_bytes.charge(size);
  spare_ -= size;
  return true;
}

void ExnHeap::give_back(uint64_t size) {
  bytes_ -= size;
  if (size <= kMostSpare - spare_) {
    spare_ += size;
  } else {
    store_.budget()->exception_bytes.uncharge(size);
  }
}

void ExnHeap::drop_spare() {
  store_.budget()->exception_bytes.uncharge(spare_);
  spare_ = 0;
}

void ExnHeap::free(ExnCell* cell) {
  VMRUN_ASSERT(!cell->free && live_ > 0, "exception freed twice");
  --live_;
  give_back(size_of(cell->payload_slots));
  cell->free = true;
  if (is_small(cell)) {
    free_small_.push_back(cell);
    return;
  }
  // Newest first: what is caught is mostly what was thrown last.
  const auto it = std::find(cells_.rbegin(), cells_.rend(), cell);
  cells_.erase(std::prev(it.base()));
  std::free(cell);
}

bool ExnHeap::holds(const ExnCell* cell) const {
  const auto at = reinterpret_cast<uintptr_t>(cell);
  if (chunks_.contains(reinterpret_cast<const std::byte*>(at & ~(kChunkBytes - 1)))) {
    return at % kSmallBytes == 0 && !cell->free;
  }
  return std::find(cells_.rbegin(), cells_.rend(), cell) != cells_.rend();
}

void ExnHeap::unpin(ExnCell* cell) {
  const auto it = pins_.find(cell);
  if (it != pins_.end() && --it->second == 0) pins_.erase(it);
}

void ExnHeap::mark(uint64_t bits) {
  ExnCell* cell = reinterpret_cast<ExnCell*>(bits);
  const auto it = std::lower_bound(cells_.begin(), cells_.end(), cell);
  if (it == cells_.end() || *it != cell || cell->free || cell->marked) return;
  cell->marked = true;
  marking_.push_back(cell);
}

// The VM stack and native memory beside it are read as they are: words that nobody wrote yet are as good as any.
__attribute__((no_sanitize("address", "memory", "thread"))) void ExnHeap::scan(const Slot* begin, const Slot* end) {
  if (cells_.empty()) return;
  const uint64_t lowest = reinterpret_cast<uint64_t>(cells_.front());
  const uint64_t highest = reinterpret_cast<uint64_t>(cells_.back());
  for (const Slot* p = begin; p < end; ++p) {
    if (p->bits >= lowest && p->bits <= highest) mark(p->bits);
  }
}

/// From the caller's frame to the oldest activation: all of them lie on one native stack.
__attribute__((noinline)) void ExnHeap::scan_native_stack() {
  const Activation* oldest = nullptr;
  bool machine = false;
  for (const Activation* a = store_.vcpu_.activation; a != nullptr; a = a->previous) {
    machine |= a->kind == Activation::Kind::machine;
    oldest = a;
  }
  if (machine) scan(static_cast<const Slot*>(__builtin_frame_address(0)), reinterpret_cast<const Slot*>(oldest + 1));
}

void ExnHeap::collect(const std::byte* stack_top, std::span<const Slot> more_roots) {
  marking_.reserve(cells_.size());  // from here on nothing allocates
  __builtin_unwind_init();          // what machine code has in registers that calls preserve is in this frame now
  std::sort(cells_.begin(), cells_.end());
  const auto holds_exn = [](ValType type) {
    if (!type.is_ref() || type.heap().is_concrete()) return false;
    return type.heap().abstract() == Heap::exn;
  };

  scan(reinterpret_cast<const Slot*>(store_.vcpu_.stack_base), reinterpret_cast<const Slot*>(stack_top));
  scan(more_roots.data(), more_roots.data() + more_roots.size());
  scan_native_stack();
  mark(store_.vcpu_.exception.bits);
  for (const auto& [cell, count] : pins_) mark(reinterpret_cast<uint64_t>(cell));
  for (const auto& table : store_.tables_) {
    if (!holds_exn(table->type.elem)) continue;
    for (uint64_t i = 0; i < table->size; ++i) mark(table->elems[i].bits);
  }
  for (const auto& global : store_.globals_) {
    if (holds_exn(global->type.type)) mark(global->value[0].bits);
  }
  for (const auto& instance : store_.instances_) {
    const Module& module = *instance->module;
    for (size_t i = module.imported_globals; i < module.globals.size(); ++i) {
      if (holds_exn(module.globals[i].type.type)) mark(instance->globals[i]->value[0].bits);
    }
  }
  while (!marking_.empty()) {
    ExnCell* cell = marking_.back();
    marking_.pop_back();
    scan(cell->payload(), cell->payload() + cell->payload_slots);
  }

  std::erase_if(cells_, [&](ExnCell* cell) {
    if (cell->free) return false;
    if (cell->marked) {
      cell->marked = false;
      return false;
    }
    --live_;
    give_back(size_of(cell->payload_slots));
    if (!is_small(cell)) {
      std::free(cell);
      return true;
    }
    cell->free = true;
    free_small_.push_back(cell);
    return false;
  });
}

}  // namespace vmrun::vm
