// Code memory and what is known about the code in it.
//
// All machine code of the process lies in one reserved range of addresses, mapped twice from one memory file: executable
// and read-only at `rx`, writable at `rw`. A granule of 64 bytes belongs to at most one CodeObject; which one is said by
// a flat table, so find() is a load, needs no lock and may be called from a signal handler.
//
// Life of code: allocate -> write through rw -> publish (find() knows it) -> entry slots point to it -> unlink (no entry
// slot points to it any more) -> retire -> freed when a walk over all vCPUs' stacks finds nobody inside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "vm/block.h"

namespace vmrun::jit {

/// The instruction that a pc belongs to. For returns: pc is the return address; for faults: the faulting instruction.
struct SourceMark {
  uint32_t pc;      // from the object's first byte
  uint32_t offset;  // byte offset in the image
};
/// A call inside a try: where an exception that comes out of it lands.
struct PadMark {
  uint32_t return_pc, pad;
};
/// Code in which the body's frame stands and a signal may stop the guest: not the prologue, the epilogue, a call
/// sequence whose area is in use, or a pad before it has its registers.
struct PreemptRange {
  uint32_t begin, end;
};
struct OsrEntry {
  uint32_t loop_offset;  // of the `loop` opcode in the image
  uint32_t pc;
};
inline constexpr uint32_t kWholeFunction = 0xffffffff;

/// Compiled code and its tables, each sorted by its first member. Immutable once published.
struct CodeObject {
  const std::byte* begin = nullptr;  // executable address
  uint32_t size = 0;
  vm::Tier tier = vm::Tier::baseline;
  vm::FuncCode* func = nullptr;          // null: a trampoline
  uint32_t unit = kWholeFunction;        // or the offset of the loop this is the OSR unit of
  uint32_t entry = 0;                    // of the function (unit == kWholeFunction)
  std::vector<OsrEntry> osr;             // all OSR entries in this object
  std::vector<SourceMark> marks;
  std::vector<PadMark> pads;
  std::vector<PreemptRange> preempt;

  bool contains(const void* pc) const {
    return static_cast<const std::byte*>(pc) >= begin && static_cast<const std::byte*>(pc) < begin + size;
  }
  /// Byte offset in the image for a return address (`is_return`) or an interrupted instruction; 0 when unknown.
  uint32_t source_offset(const void* pc, bool is_return) const;
  /// The pad for an exception out of the call that returns to `return_pc`, or null.
  const void* pad(const void* return_pc) const;
  /// Whether a signal may stop the guest at `pc`. Async-signal-safe.
  bool preemptible(const void* pc) const;
};

class CodeSpace {
 public:
  struct Block {
    std::byte* rw = nullptr;
    const std::byte* rx = nullptr;
    size_t size = 0;
    explicit operator bool() const { return rw != nullptr; }
  };
  /// The one of the process, made at first use. Any thread.
  static CodeSpace& get();

  /// `size` bytes (rounded up to granules), or an empty block when the budget or the range is exhausted. Any thread.
  Block allocate(size_t size);
  /// Gives back code that was never published.
  void free(const Block& block);

  /// Makes find() know the object; takes ownership. Any thread.
  const CodeObject* publish(std::unique_ptr<CodeObject> object, const Block& block);
  /// The object whose code contains `pc`, or null. Lock-free, async-signal-safe.
  const CodeObject* find(const void* pc) const;

  /// No entry slot leads to `object` any more: it is freed by a later reclaim() that finds no vCPU in it.
  void retire(const CodeObject* object);
  /// Frees the retired objects that no stack stands in: `in_use(object)` says so, for all vCPUs. Returns how many.
  size_t reclaim(const std::vector<const CodeObject*>& standing);

  /// Bytes and objects that are live now; for statistics and leak checks.
  size_t live_bytes() const;
  size_t live_objects() const;
  /// [begin, end) of the executable range, for fault handling and preemption.
  std::span<const std::byte> range() const;
};

}  // namespace vmrun::jit
