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

/// Chunks without a cell in use that a store keeps for its next throws: a thousand small cells.
constexpr size_t kMostIdleChunks = 16;
}  // namespace

ExnHeap::~ExnHeap() {
  store_.budget()->exception_bytes.uncharge(bytes_);
  for (ExnCell* cell : cells_) {
    if (!is_small(*cell)) std::free(cell);
  }
}

ExnCell* ExnHeap::allocate(uint32_t slots) {
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

ExnCell* ExnHeap::make_slowly(TagInst* tag, const Slot* payload, uint32_t slots, const std::byte* stack_top) try {
  Quota& quota = store_.budget()->exception_bytes;
  const uint64_t limit = quota.limit(), size = size_of(slots);
  if (live() >= threshold_ || quota.used() + size > limit) {
    collect(stack_top, {payload, slots});
    threshold_ = std::max<size_t>(1024, 2 * live_);
    // An eighth must be free by then, or a guest at its limit would collect at each throw.
    if (quota.used() + size > limit - limit / 8) return nullptr;
  }
  ExnCell* cell = allocate(slots);
  if (cell == nullptr) return nullptr;
  if (!quota.charge(size)) {  // other threads of the program have taken the rest
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
  fill(*cell, tag, payload, slots);
  if (slots <= kSmallSlots) make_ready();
  return cell;
} catch (const std::bad_alloc&) {
  return nullptr;
}

void ExnHeap::make_ready() {
  VMRUN_ASSERT(ready_count_ == 0, "cells are made ready when there are none");
  const size_t count = std::min<size_t>(free_small_.size(), kMostReady - 1);
  const uint64_t bytes = count * kSmallBytes;
  if (!store_.budget()->exception_bytes.charge(bytes)) return;
  for (size_t i = 0; i < count; ++i) {
    ready_[ready_count_++] = free_small_.back();
    free_small_.pop_back();
  }
  live_ += count;
  bytes_ += bytes;
}

void ExnHeap::drop_ready() {
  const uint64_t bytes = ready_count_ * kSmallBytes;
  free_small_.insert(free_small_.end(), ready_.begin(), ready_.begin() + ready_count_);
  live_ -= ready_count_;
  bytes_ -= bytes;
  store_.budget()->exception_bytes.uncharge(bytes);
  ready_count_ = 0;
}

void ExnHeap::free_slowly(ExnCell* cell) {
  const uint64_t size = size_of(cell->payload_slots);
  --live_;
  bytes_ -= size;
  store_.budget()->exception_bytes.uncharge(size);
  cell->free = true;
  if (is_small(*cell)) {
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
  drop_ready();
  marking_.reserve(cells_.size());  // from here on nothing allocates
  __builtin_unwind_init();          // what machine code has in registers that calls preserve is in this frame now
  if (!std::ranges::is_sorted(cells_)) std::ranges::sort(cells_);
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

  uint64_t freed = 0;
  std::erase_if(cells_, [&](ExnCell* cell) {
    if (cell->free) return false;
    if (cell->marked) {
      cell->marked = false;
      return false;
    }
    --live_;
    freed += size_of(cell->payload_slots);
    if (!is_small(*cell)) {
      std::free(cell);
      return true;
    }
    cell->free = true;
    free_small_.push_back(cell);
    return false;
  });
  bytes_ -= freed;
  store_.budget()->exception_bytes.uncharge(freed);
  release_chunks();
}

// A chunk is freed when none of its cells is in use, but for as many as the cells in use need, and a few: so what a store
// keeps, and what a collection looks at, is bounded by what it holds and not by the most that it ever held.
void ExnHeap::release_chunks() {
  const size_t keep = live_ / kChunkCells + kMostIdleChunks;
  if (chunks_.size() <= keep) return;
  size_t idle = 0, kept = 0;
  for (size_t i = 0; i < cells_.size();) {
    // Cells are in the order of their addresses, so those of a chunk stand together, the first of them first.
    auto* const chunk = reinterpret_cast<std::byte*>(cells_[i]);
    if (!is_small(*cells_[i]) || !chunks_.contains(chunk)) {
      cells_[kept++] = cells_[i++];
      continue;
    }
    const auto begin = cells_.begin() + static_cast<std::ptrdiff_t>(i);
    const auto end = begin + kChunkCells;
    i += kChunkCells;
    if (std::all_of(begin, end, [](const ExnCell* cell) { return cell->free; }) && ++idle > keep) {
      chunks_.erase(chunk);
      continue;
    }
    kept =
        static_cast<size_t>(std::copy(begin, end, cells_.begin() + static_cast<std::ptrdiff_t>(kept)) - cells_.begin());
  }
  cells_.resize(kept);
  free_small_.clear();
  for (ExnCell* cell : cells_) {
    if (cell->free) free_small_.push_back(cell);
  }
  marking_ = {};
  try {
    if (cells_.capacity() > 4 * kept) cells_.shrink_to_fit();
    if (free_small_.capacity() > 4 * kept) {
      std::vector<ExnCell*> less;
      less.reserve(2 * kept);  // freeing never allocates
      less.assign(free_small_.begin(), free_small_.end());
      free_small_.swap(less);
    }
  } catch (const std::bad_alloc&) {  // they stay as long as they are
  }
}

}  // namespace vmrun::vm
