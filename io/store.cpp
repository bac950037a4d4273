// The store of cells: see descriptor.h.
#include <new>

#include "io/descriptor.h"

namespace vmrun::io {

Store::~Store() {
  for (size_t i = 0; i < chunk_count_; ++i) delete[] chunks_[i].load(std::memory_order_relaxed);
}

Cell* Store::take() noexcept {
  std::lock_guard lock(mutex_);
  if (free_ == nullptr) {
    if (chunk_count_ == max_chunks) return nullptr;
    Cell* chunk = new (std::nothrow) Cell[chunk_cells];
    if (chunk == nullptr) return nullptr;
    for (size_t i = chunk_cells; i-- != 0;) {
      chunk[i].index = static_cast<uint32_t>(chunk_count_ * chunk_cells + i);
      chunk[i].next_free = free_;
      free_ = &chunk[i];
    }
    chunks_[chunk_count_++].store(chunk, std::memory_order_release);
  }
  Cell* cell = free_;
  free_ = cell->next_free;
  live_.fetch_add(1, std::memory_order_relaxed);
  return cell;
}

void Store::give(Cell& cell) noexcept {
  std::lock_guard lock(mutex_);
  cell.next_free = free_;
  free_ = &cell;
  live_.fetch_sub(1, std::memory_order_relaxed);
}

Cell* Store::at(uint64_t token) noexcept {
  const uint64_t index = token >> 31;
  if (index >= chunk_cells * max_chunks) return nullptr;
  Cell* chunk = chunks_[index / chunk_cells].load(std::memory_order_acquire);
  return chunk == nullptr ? nullptr : &chunk[index % chunk_cells];
}

}  // namespace vmrun::io
