// Exception cells: what exnrefs point to. A cell that no exnref ever named is freed at its catch. The others are
// garbage collected: when their number passes a threshold (which doubles with the survivors), a throw marks from the
// roots and frees the rest; nothing else ever frees one. Roots are the VM stack and, where machine code stands on it, the
// native stack, both scanned conservatively; tables and globals of exception type, the exception in flight, what the host
// pinned, and the payloads of marked cells. Used by the store's thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <unordered_map>
#include <vector>

#include "vm/base/assert.h"
#include "vm/runtime/instance.h"

namespace vmrun::vm {

/// The exception cells of a store.
class ExnHeap {
 public:
  explicit ExnHeap(Store& store) : store_(store) {}
  ~ExnHeap();
  ExnHeap(const ExnHeap&) = delete;
  ExnHeap& operator=(const ExnHeap&) = delete;

  /// A new cell with a copy of `slots` payload slots. May collect; `stack_top` is the end of the VM stack in use (the
  /// end of the throwing frame). References that the host keeps on its own stack are not seen: they must be pinned. Null
  /// when the store's limit on exceptions, or the host, leaves no room.
  ExnCell* make(TagInst* tag, const Slot* payload, uint32_t slots, const std::byte* stack_top) {
    if (ready_count_ == 0 || slots > kSmallSlots) [[unlikely]]
      return make_slowly(tag, payload, slots, stack_top);
    ExnCell* cell = ready_[--ready_count_];
    fill(*cell, tag, payload, slots);
    return cell;
  }

  /// Frees a cell that was caught without its exnref becoming visible (`!cell->escaped`). What is in a small one stays
  /// as it is until the store makes the next.
  void free(ExnCell* cell) {
    VMRUN_ASSERT(!cell->free && live_ > ready_count_, "exception freed twice");
    if (ready_count_ == kMostReady || !is_small(*cell)) [[unlikely]]
      return free_slowly(cell);
    cell->free = true;
    ready_[ready_count_++] = cell;
  }

  /// The payload of a small cell has at most so many slots.
  static constexpr uint32_t kSmallSlots = 6;
  static bool is_small(const ExnCell& cell) { return cell.payload_slots <= kSmallSlots; }

  void pin(ExnCell* cell) { ++pins_[cell]; }
  void unpin(ExnCell* cell);

  /// Whether `cell` is a cell of this heap that is in use. Looks at no other memory.
  bool holds(const ExnCell* cell) const;

  /// Frees all that is unreachable.
  void collect(const std::byte* stack_top, std::span<const Slot> more_roots = {});

  size_t live() const { return live_ - ready_count_; }
  uint64_t bytes() const { return bytes_ - ready_count_ * kSmallBytes; }

 private:
  static constexpr size_t kChunkBytes = 4096;  // and their alignment: 64 small cells
  static constexpr size_t kSmallBytes = sizeof(ExnCell) + kSmallSlots * sizeof(Slot);
  static_assert(kSmallBytes == 64);
  static constexpr size_t kChunkCells = kChunkBytes / kSmallBytes;
  static constexpr uint64_t size_of(uint32_t slots) {
    return slots <= kSmallSlots ? kSmallBytes : sizeof(ExnCell) + slots * sizeof(Slot);
  }
  static constexpr uint32_t kMostReady = 16;
  struct ChunkFree {
    void operator()(std::byte* chunk) const { ::operator delete(chunk, std::align_val_t{kChunkBytes}); }
  };
  void mark(uint64_t bits);
  void scan(const Slot* begin, const Slot* end);
  void scan_native_stack();
  void release_chunks();
  ExnCell* allocate(uint32_t slots);  // null: the host has no memory
  static void fill(ExnCell& cell, TagInst* tag, const Slot* payload, uint32_t slots) {
    cell.tag = tag;
    cell.payload_slots = slots;
    cell.escaped = false;
    cell.free = false;
    if (slots == 1) {  // what nearly all guests throw
      *cell.payload() = *payload;
    } else if (slots != 0) {
      std::memcpy(cell.payload(), payload, slots * sizeof(Slot));
    }
  }
  ExnCell* make_slowly(TagInst* tag, const Slot* payload, uint32_t slots, const std::byte* stack_top);
  void free_slowly(ExnCell* cell);
  /// Has cells ready where there are none, with room for the one that has just been made; unless the quota stands against
  /// it.
  void make_ready();
  /// No cell is ready any more, nor charged for.
  void drop_ready();

  Store& store_;
  std::vector<ExnCell*> cells_;       // all cells, free small ones included; sorted by a collection
  std::vector<ExnCell*> free_small_;  // freed cells of the small size
  std::unordered_map<const std::byte*, std::unique_ptr<std::byte, ChunkFree>> chunks_;  // of small cells, by address
  std::vector<ExnCell*> marking_;
  std::unordered_map<ExnCell*, uint32_t> pins_;
  // Small cells for the next throws: free, but charged for. A quota is shared by threads, and its locked instructions
  // would make a throw and its catch wait for all that the guest has under way
  // (docs/decisions/0104-what-a-throw-waits-for.md).
  std::array<ExnCell*, kMostReady> ready_{};
  uint32_t ready_count_ = 0;
  size_t live_ = 0;     // cells in use or ready
  uint64_t bytes_ = 0;  // of these
  size_t threshold_ = 1024;
};

}  // namespace vmrun::vm
