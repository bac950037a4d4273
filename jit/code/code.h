// Code memory and what is known about the code in it.
//
// All machine code of the process lies in one reserved range of addresses, mapped twice as shared memory:
// executable and read-only at `rx`, writable at `rw`. A granule of 64 bytes belongs to at most one CodeObject; which
// one is said by a flat table, so find() is a load, needs no lock and may be called from a signal handler. Modules have
// chunks of pages of their own in it (arena.h).
//
// Life of code: allocate -> write through rw -> publish (find() knows it) -> entry slots point to it -> unlink (no
// entry slot points to it any more) -> retire -> freed when a walk over all vCPUs' stacks finds nobody inside.
//
// Threads. One lock guards the free ranges and the retired list; it is never held while anything outside this file is
// called. The table is written under it and read without it: the object's slot is stored before the granules that name
// it, and granules are cleared before the slot. Who asks find() about a pc must know that its code cannot be freed
// meanwhile: because the pc stands on a stack that walks see, or because the object was never retired.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "jit/code/arena.h"
#include "jit/code/compiled.h"
#include "vm/blocks/block.h"

namespace vmrun::jit {

/// Code in code memory, with its tables. Immutable once published.
struct CodeObject : CodeTables {
  const std::byte* begin = nullptr;  // executable address
  uint32_t size = 0;
  vm::FuncCode* func = nullptr;  // null: a trampoline

  /// Whether `pc` lies in this code. So does the address behind it: a call that never returns may be its last
  /// instruction.
  bool contains(const void* pc) const {
    return static_cast<const std::byte*>(pc) >= begin && static_cast<const std::byte*>(pc) <= begin + size;
  }
  /// CodeTables::place_at and source_at for an address.
  uint32_t place(const void* pc, bool is_return) const { return place_at(distance(pc), is_return); }
  uint32_t source_offset(const void* pc, bool is_return) const { return source_at(distance(pc), is_return); }
  /// The pad for an exception out of the call that returns to `return_pc`, or null.
  const void* pad(const void* return_pc) const;
  /// Whether a signal may stop the guest at `pc`. Async-signal-safe.
  bool preemptible(const void* pc) const;

 private:
  uint32_t distance(const void* pc) const { return static_cast<uint32_t>(static_cast<const std::byte*>(pc) - begin); }
};

/// Code memory of the process, at most. Six bytes of machine code for one of wasm: enough for 40 MB of hot wasm.
inline constexpr size_t kCodeBudget = size_t{256} << 20;
/// Trampolines of the process, at most; they stay. A signature of a few values takes one kilobyte, one of a thousand
/// parameters and results some 60. What lies beyond goes the slow way (trampoline.h).
inline constexpr size_t kTrampolineBudget = size_t{128} << 20;

class CodeSpace {
 public:
  struct Block {
    std::byte* rw = nullptr;
    const std::byte* rx = nullptr;
    size_t size = 0;
    CodeArena* arena = nullptr;  // that it was allocated for; null: the space's own
    explicit operator bool() const { return rw != nullptr; }
  };
  /// The space of the process, made at first use. Any thread.
  static CodeSpace& get();
  /// The same if it has been made, else null. Async-signal-safe.
  static const CodeSpace* existing();
  /// A space of `range_bytes`, for tests; the process's own has 1 GiB, so that any two places are within reach of each
  /// other's pc-relative calls. Must outlive everything that is published in it.
  explicit CodeSpace(size_t range_bytes);
  ~CodeSpace();
  CodeSpace(const CodeSpace&) = delete;
  CodeSpace& operator=(const CodeSpace&) = delete;

  /// What a block is for. Trampolines are few and small as a rule: they have a budget of their own, so that functions
  /// cannot use it up.
  enum class Use : uint8_t { function, trampoline };
  /// At least `size` bytes and one more, aligned to a granule, or an empty block when the budget or the range is
  /// exhausted, or the system refuses executable memory. What is behind `size` bytes is breakpoints, and all of a trampoline's;
  /// whoever has a function's block writes all of it. It lies in a chunk of `arena`'s (null:
  /// among what belongs to nobody in particular). Any thread.
  Block allocate(size_t size, Use use = Use::function, CodeArena* arena = nullptr);
  /// Sets aside so much memory for an arena of its own, in whole large pages; empty, where that is too little for one, or there is
  /// no room. They are kMostLarge at most. Any thread.
  Extent expect(CodeArena& arena, size_t bytes);
  /// Asks the system for large pages there, which takes some 0.1 ms for each, and longer where other processors are busy. For a
  /// thread that nobody waits for; the arena is used meanwhile, and is not to be dropped. The system may not have them.
  void make_large(Extent chunk) const;
  static constexpr size_t kMostLarge = 8;
  /// Gives back code that was never published.
  void free(const Block& block);
  /// No allocation of functions goes beyond `bytes` in all; kCodeBudget in the process's space.
  void set_budget(size_t bytes) { budget_.store(bytes, std::memory_order_relaxed); }
  /// No allocation of trampolines makes them more than `bytes` in all; kTrampolineBudget in the process's space.
  void set_trampoline_budget(size_t bytes) {
    std::lock_guard lock(lock_);
    trampoline_budget_ = bytes;
  }

  /// Makes find() know the object; takes ownership of it and of the block. `begin` and `size`, when not set, become the
  /// block's; else they lie in it with at least one byte behind. Any thread.
  const CodeObject* publish(std::unique_ptr<CodeObject> object, const Block& block);
  /// The object whose code contains `pc`, or null. Lock-free, async-signal-safe.
  const CodeObject* find(const void* pc) const {
    const CodeObject* object = owner(pc);
    return object != nullptr && object->contains(pc) ? object : nullptr;
  }
  /// The object that the granule around an address belongs to, or null; for any address at all, of code too that is
  /// being freed meanwhile. So what is returned may be compared, and is not to be looked into. Lock-free.
  const CodeObject* owner(const void* address) const {
    const size_t offset = static_cast<size_t>(static_cast<const std::byte*>(address) - rx_);
    if (offset >= range_) return nullptr;
    const uint32_t id = owners_[offset / kGranule].load(std::memory_order_acquire);
    return id == 0 ? nullptr : objects_[id].load(std::memory_order_acquire);
  }

  /// No entry slot leads to `object` any more: it is freed by a later reclaim() that finds no vCPU in it.
  void retire(const CodeObject* object);
  /// The same for an object that nobody is in or on the way into, because its module's last guest is gone: freed at
  /// once.
  void discard(const CodeObject* object);
  /// Discards all objects of a module whose last guest is gone, retired ones too, and gives the arena's memory back to
  /// the system. Nobody may be allocating for it. Returns how many objects there were.
  size_t drop(CodeArena& arena);
  /// How often objects have been freed in the process. While a thread that runs code reads the same count, an address that
  /// was in code is in the same code.
  static uint64_t frees() { return frees_.load(std::memory_order_relaxed); }
  /// How many objects were ever retired: taken before the stacks are walked, it says which of them the walk speaks for.
  uint64_t retirements() const { return retirements_.load(std::memory_order_acquire); }
  /// Objects that are retired and not freed yet.
  size_t retired_objects() const { return retired_count_.load(std::memory_order_relaxed); }
  /// Frees those of the first `retirements` retired objects that are not in `standing`: the objects that a walk over
  /// the stacks of all vCPUs, begun after retirements() was read, found frames in. Returns how many.
  size_t reclaim(uint64_t retirements, const std::vector<const CodeObject*>& standing);

  /// Bytes (whole granules) and published objects that are live now; for statistics and leak checks.
  size_t live_bytes() const { return live_bytes_.load(std::memory_order_relaxed); }
  size_t live_objects() const { return live_objects_.load(std::memory_order_relaxed); }
  /// Those of the objects that are a function's: trampolines are shared and stay.
  size_t live_functions() const { return live_functions_.load(std::memory_order_relaxed); }
  /// The executable range, for fault handling and preemption; empty when the system refuses executable memory.
  std::span<const std::byte> range() const { return {rx_, range_}; }

  static constexpr size_t kGranule = 64;

 private:
  struct Published {
    Extent extent;
    CodeArena* arena = nullptr;       // it was allocated for
    uint32_t previous = 0, next = 0;  // in the arena's list, by id
    std::unique_ptr<const CodeObject> object;
  };
  struct Retired {
    uint64_t number;  // of its retirement, from 1
    uint32_t id;
  };
  Extent extent_of(const Block& block) const;
  Extent everything() const { return {0, static_cast<uint32_t>(range_ / kGranule)}; }
  /// The arena that has the chunks for what is allocated for `arena`.
  CodeArena& holder(CodeArena* arena) { return arena == nullptr || arena->shared_ ? common_ : *arena; }
  // With lock_:
  Published forget(uint32_t id);
  Block block_of(const Published& entry) const;
  std::optional<Extent> take(CodeArena& holder, uint32_t count);
  // Without it:
  void remove_pages(Extent extent);
  /// Makes memory that no arena has any more available again, without its pages.
  void give_back(Extent extent);

  // Fixed at construction:
  size_t range_ = 0;
  std::byte* rw_ = nullptr;
  const std::byte* rx_ = nullptr;
  std::atomic<uint32_t>* owners_ = nullptr;            // by granule: id of the object, 0 for none
  std::atomic<const CodeObject*>* objects_ = nullptr;  // by id

  std::atomic<size_t> budget_{SIZE_MAX}, live_bytes_{0}, live_objects_{0}, live_functions_{0}, retired_count_{0};
  std::atomic<uint64_t> retirements_{0};
  static inline constinit std::atomic<uint64_t> frees_{0};

  /// Held by reclaim() and drop(), so that no arena dies while blocks of it are on their way back; before lock_.
  std::mutex freeing_;
  mutable std::mutex lock_;
  FreeRanges pages_;              // that no arena has
  CodeArena common_{false};       // of small modules and of what belongs to none
  CodeArena trampolines_{false};  // which outlive the modules that needed them
  size_t trampoline_bytes_ = 0, trampoline_budget_ = SIZE_MAX;
  std::vector<Published> published_;  // by id, from 1; the owner of the objects
  std::vector<uint32_t> free_ids_;
  std::vector<Retired> retired_;
};

}  // namespace vmrun::jit
