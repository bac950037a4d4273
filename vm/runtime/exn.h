// Exception cells: what exnrefs point to. A cell that no exnref ever named is freed at its catch. The others are
// garbage collected: when their number passes a threshold (which doubles with the survivors), a throw marks from the
// roots and frees the rest; nothing else ever frees one. Roots are the VM stack and, where machine code stands on it, the
// native stack, both scanned conservatively; tables and globals of exception type, the exception in flight, what the host
// pinned, and the payloads of marked cells. Used by the store's thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <unordered_map>
#include <vector>

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
  ExnCell* make(TagInst* tag, const Slot* payload, uint32_t slots, const std::byte* stack_top);

  /// Frees a cell that was caught without its exnref becoming visible (`!cell->escaped`).
  void free(ExnCell* cell);

  void pin(ExnCell* cell) { ++pins_[cell]; }
  void unpin(ExnCell* cell);

  /// Whether `cell` is a cell of this heap that is in use. Looks at no other memory.
  bool holds(const ExnCell* cell) const;

  /// Frees all that is unreachable.
  void collect(const std::byte* stack_top, std::span<const Slot> more_roots = {});

  size_t live() const { return live_; }
  uint64_t bytes() const { return bytes_; }

 private:
  static constexpr size_t kChunkBytes = 4096;  // and their alignment: 64 small cells
  static constexpr uint64_t kMostSpare = 1024;
  struct ChunkFree {
    void operator()(std::byte* chunk) const { ::operator delete(chunk, std::align_val_t{kChunkBytes}); }
  };
  void mark(uint64_t bits);
  void scan(const Slot* begin, const Slot* end);
  void scan_native_stack();
  ExnCell* allocate(uint32_t slots);  // null: the host has no memory
  /// Charges the store's quota for a cell. False: there is none left.
  bool charge(uint64_t size);
  void give_back(uint64_t size);  // what a cell was charged with
  void drop_spare();

  Store& store_;
  std::vector<ExnCell*> cells_;       // all cells, free small ones included; sorted by a collection
  std::vector<ExnCell*> free_small_;  // freed cells of the small size
  std::unordered_map<const std::byte*, std::unique_ptr<std::byte, ChunkFree>> chunks_;  // of small cells, by address
  std::vector<ExnCell*> marking_;
  std::unordered_map<ExnCell*, uint32_t> pins_;
  size_t live_ = 0;
  uint64_t bytes_ = 0;  // of live cells
  // Charged beyond that, for the next throws: a quota is shared by threads, and its locked instructions would make a throw
  // and its catch wait for all that the guest has under way (docs/decisions/0104-what-a-throw-waits-for.md).
  uint64_t spare_ = 0;
  size_t threshold_ = 1024;
};

}  // namespace vmrun::vm
