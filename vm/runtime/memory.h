// Linear memories: where their address space comes from, growth, and the bulk operations.
//
// Three kinds, and which one a memory is follows from its type and its engine's mode alone, because translated code is
// shared by all instances of a module:
//   guarded  32-bit memories of 64 KiB pages. 4 GiB + 4 GiB + a guard are reserved, so every 32-bit address plus 32-bit
//            offset lands inside; what is beyond the size faults (vm/runtime/fault.h).
//   dense    the same memories in dense mode: a slot of a shared mapping, wholly mapped, accesses checked.
//   checked  64-bit memories and 1-byte pages: a reservation as large as the memory may become, accesses checked. Where
//            the process may not have the address space for guards, 32-bit memories of 64 KiB pages are checked too.
// The base never moves. Address space of the first two kinds is recycled through the engine's MemoryPool. The
// embedder's hooks, if there are any, make memories in its place (vm/runtime/hosted_memory.h): guarded ones if they
// promise guards, checked ones otherwise.
//
// Threads: a MemoryPool may be used from any thread. A MemoryInst belongs to its store's thread, but a shared one to no
// store (vm/runtime/memory_owner.h): its size may be read and grown by several threads at once. Growth takes the memory's
// own lock and publishes the size last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "vm/base/trap.h"
#include "vm/runtime/clean_pages.h"
#include "vm/runtime/hosted_memory.h"
#include "vm/runtime/instance.h"
#include "vm/runtime/room.h"
#include "vm/wasm/types.h"
#include "vmrun/base/result.h"

namespace vmrun::vm {

class Store;

inline constexpr uint64_t kGrowFailed = UINT64_MAX;

/// Makes pages of private anonymous memory zero and gives them back. False when the kernel does not: locked ones stay.
bool drop_pages(void* base, size_t bytes);

/// A large page of the host. Making one takes as long as making some 64 small ones (Linux 6.18 in a virtual machine).
inline constexpr uint64_t kLargePage = 2u << 20;

/// Whether faults guard the accesses to memories of this type, in an engine that checks all accesses or not.
constexpr bool memory_is_guarded(const MemoryType& type, bool checks) {
  return !checks && !type.limits.is64 && type.page_log2 == 16;
}

/// A range of address space for a linear memory. Zeroed where it is accessible.
struct MemoryMapping {
  std::byte* base = nullptr;
  uint64_t reserved = 0;    // bytes the memory may grow to
  uint64_t accessible = 0;  // bytes from base that are mapped read-write; may exceed the memory's size in dense mode
  bool guarded = false;
  bool pooled = false;
  bool roomed = false;  // lies in its store's room
  // Pages that a file is mapped in, by map_file (memory_pages.h).
  uint64_t file_at = 0;
  uint64_t file_bytes = 0;
  // What large pages were asked for in, by use_large_pages.
  uint64_t large_at = 0;
  uint64_t large_bytes = 0;
  // Of a free one: what of it has stayed resident, and where that ends.
  uint64_t warm = 0;
  uint64_t warm_end = 0;
  uint64_t was_warm = 0;  // of one in use: `warm` when it was handed out
  // Made by the embedder's hooks: what they gave.
  bool hosted = false;
  uint64_t given = 0;  // HostMemory::capacity
  void* handle = nullptr;
};

/// The address space that an engine's memories come from.
class MemoryPool {
 public:
  struct Options {
    bool guards = true;  // faults guard memories, if there is room for that; does not count for dense ones
    bool dense = false;
    uint64_t dense_bytes = 64u << 20;  // size of a dense slot: at least a page of the host, at most 4 GiB
    size_t cached = 64;                // guarded reservations and stacks kept for reuse
    /// Bytes of a free memory that may stay resident for its next user, and of all free ones together. In whole pages.
    uint64_t warm = 256u << 10;
    uint64_t most_warm = 32u << 20;
    PageCalls pages{&vm::drop_pages, &vm::find_dirty};
    /// Makes all memories, if there is one; `guards` and `dense` do not count then.
    std::shared_ptr<HostedMemories> hosted = nullptr;
  };
  /// Reserves room for one guarded memory, unless `dense`. If there is none, the pool does without guards.
  explicit MemoryPool(const Options& options);
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  /// Whether faults guard 32-bit memories of 64 KiB pages; else accesses to all memories must be checked. Code that
  /// leaves the checks to guards may run on this pool's memories only if so. Never changes.
  bool guards() const;
  /// Whether hooks make all memories.
  bool is_hosted() const;
  /// Address space for a memory of `type` with `bytes` accessible at once and at most `max_bytes`. Error: Limit.
  Result<MemoryMapping> acquire(const MemoryType& type, uint64_t bytes, uint64_t max_bytes);
  /// How much of it an unguarded memory gets, if it can be had; 0: faults guard memories of this type, or hooks make
  /// them.
  uint64_t unguarded_reservation(const MemoryType& type, uint64_t bytes, uint64_t max_bytes) const;
  /// Makes so many bytes of the mapping accessible, which are more than before. False: it is as it was.
  bool grow(MemoryMapping& mapping, uint64_t bytes) const;
  /// Takes the mapping back; its contents are gone.
  void release(MemoryMapping mapping);
  /// Gives back to the system what free memories and stacks keep resident.
  void trim();
  /// The same for all pools of the process. Any thread.
  static void trim_all();
  /// Bytes that free memories keep resident.
  uint64_t warm_bytes() const;

  /// A VM stack of `bytes` usable bytes with kStackRedZone mapped beyond them, and the area of a vCPU. Contents
  /// unspecified. Error: Limit.
  Result<std::byte*> acquire_stack(size_t bytes);
  /// The area (kAreaBytes) behind a stack of `bytes` usable bytes.
  static Slot* area_of(std::byte* stack, size_t bytes);
  void release_stack(std::byte* base, size_t bytes);

  /// Makes the first `dirty` bytes of the room's memory zero.
  void clear_memory(const Room& room, uint64_t dirty) const;
  /// The same, and gives back most of what its memory and its stack have committed: before the room
  /// goes to others. `area` is that of the vCPU that used it.
  void tidy(const Room& room, const Slot* area, uint64_t dirty) const;

 private:
  struct Impl;
  void trim_alone();
  /// In a child after fork: what other threads were changing stays behind. pools().lock is held.
  static void take_from_parent();
  std::unique_ptr<Impl> impl_;
};

/// Makes the whole pages of a large range writable memory at once, before they are written to. If that fails, or the range is
/// small, they are faulted for.
void populate_pages(std::byte* begin, uint64_t size);

/// memory.size: the current size in pages.
inline uint64_t memory_pages(const MemoryInst& memory) {
  return memory.bytes.load(std::memory_order_acquire) >> memory.type.page_log2;
}

/// memory.grow: returns the previous size in pages, or kGrowFailed when the maximum, a limit or the host stands against
/// it.
uint64_t memory_grow(MemoryInst& memory, uint64_t delta_pages);

/// Whether [address, address + size) lies inside.
inline bool memory_holds(const MemoryInst& memory, uint64_t address, uint64_t size) {
  uint64_t bytes = memory.bytes.load(std::memory_order_acquire);
  return address <= bytes && size <= bytes - address;
}

// The bulk instructions. All check first and write nothing when they trap (MemoryOutOfBounds), but for Interrupted: long
// ones look what is wanted from the guest `cx`, whose position is in its activation, as vm/runtime/slices.h says. Null: no guest
// executes them.
TrapCode memory_copy(Vcpu* cx, MemoryInst& to, MemoryInst& from, uint64_t to_address, uint64_t from_address,
                     uint64_t size);
TrapCode memory_fill(Vcpu* cx, MemoryInst& memory, uint64_t address, uint8_t value, uint64_t size);
/// memory.init: `size` bytes from offset `from` of data segment `segment` (empty once dropped).
TrapCode memory_init(Vcpu* cx, Instance& instance, uint32_t segment, MemoryInst& memory, uint64_t to, uint64_t from,
                     uint64_t size);
void data_drop(Instance& instance, uint32_t segment);

}  // namespace vmrun::vm
