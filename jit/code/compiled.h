// What a compiler makes of a unit: code that may lie anywhere, and what is known about it. Nothing here is in force, or
// even executable; install.h does that.
//
// Code of functions refers to nothing by its address: to the vCPU and the instance by registers, to helpers and other
// functions through these two, to its own constants by distance. It depends on the build (layouts, helpers), on what the
// request and the module said, and on the numbers that the engine has given types (TypeUse).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "vm/blocks/block.h"
#include "vm/blocks/profile.h"
#include "vm/wasm/limits.h"
#include "vm/wasm/types.h"

namespace vmrun::jit {

/// A PLACE is where an instruction stands: the byte offset in the image, or kInlined | an index into
/// CodeTables::inlined, where the code is that of an inlined callee. 0: unknown.
inline constexpr uint32_t kInlined = uint32_t{1} << 31;
static_assert(vm::kMaxImageBytes <= kInlined);
/// A place in an inlined callee, which has no frame of its own.
struct InlinedPlace {
  uint32_t func_index;
  uint32_t offset;  // byte offset in the image
  uint32_t caller;  // the place of the call
};

/// The instruction that a pc belongs to. For returns: pc is the return address; for faults: the faulting instruction.
/// Where a call is followed at once by a faulting instruction, the call's mark comes first.
struct SourceMark {
  uint32_t pc;  // from the code's first byte
  uint32_t place;
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
/// A UNIT is what is compiled at once: a function; the function from a loop on, at which it is entered (the offset of the
/// `loop` opcode in the image); or a loop alone (kAlone | that offset), which baseline code calls and goes on behind.
inline constexpr uint32_t kWholeFunction = 0xffffffff;
inline constexpr uint32_t kAlone = uint32_t{1} << 31;
static_assert(vm::kMaxImageBytes <= kAlone);
constexpr bool is_alone(uint32_t unit) { return unit != kWholeFunction && (unit & kAlone) != 0; }
/// The loop of a unit that is no whole function.
constexpr uint32_t loop_of(uint32_t unit) { return unit & ~kAlone; }

/// Four bytes in which code holds a type by the number that the engine of the request's module has given it. Another
/// engine gives the same type another number: code that is to run there needs that one written over it.
struct TypeUse {
  enum class As : uint8_t { id, heap };  // vm::TypeId, or the bits of the vm::HeapType
  uint32_t at;                           // distance from the code's first byte
  vm::TypeId type;
  As as;
  /// What stands there where `type` has the number `id`.
  uint32_t value(vm::TypeId id) const { return as == As::id ? static_cast<uint32_t>(id) : vm::HeapType(id).bits(); }
};

/// What is known about code, wherever it lies: places are distances from its first byte. Each table is sorted by its
/// first member, but for `inlined` and `profile`.
struct CodeTables {
  uint32_t text = 0;  // bytes of instructions at the beginning; constants may follow
  vm::Tier tier = vm::Tier::baseline;
  uint32_t unit = kWholeFunction;
  uint32_t entry = 0;         // of the function, or of the loop alone
  std::vector<OsrEntry> osr;  // all OSR entries in this code
  std::vector<SourceMark> marks;
  std::vector<PadMark> pads;
  std::vector<PreemptRange> preempt;
  std::vector<InlinedPlace> inlined;  // what places stand for; in no order
  std::vector<TypeUse> types;
  std::vector<vm::ProfileSite> profile;  // counters that the code wants behind the function's record
  uint32_t profile_words = 0;            // one more than the last of them
  std::vector<uint32_t> calls_units;  // loops whose units the code calls where there are any; such code is not stored
  bool counts_runs = false;           // FuncCode::counts has to be there before the code is entered

  /// The place of a return address (`is_return`) or of an instruction (then of the last mark at or before it).
  uint32_t place_at(uint32_t pc, bool is_return) const;
  /// The byte offset in the image of a place, whatever function it lies in.
  uint32_t offset_of(uint32_t place) const {
    return (place & kInlined) != 0 ? inlined[place & ~kInlined].offset : place;
  }
  /// The byte offset of the unit's own instruction: the outermost call, where the place is in an inlined callee.
  uint32_t own_offset_of(uint32_t place) const {
    while ((place & kInlined) != 0) place = inlined[place & ~kInlined].caller;
    return place;
  }
  /// offset_of the place of a pc; 0 when unknown.
  uint32_t source_at(uint32_t pc, bool is_return) const { return offset_of(place_at(pc, is_return)); }
};

/// Memory that a compiler lends with what it made.
class CodeStorage {
 public:
  /// Takes the memory back. Any thread.
  virtual void release() noexcept = 0;

 protected:
  ~CodeStorage() = default;
};
struct ReleaseStorage {
  void operator()(CodeStorage* storage) const noexcept { storage->release(); }
};

/// A compiled unit. It may be installed in any code space and any number of times in the process that compiled it.
struct CompiledCode : CodeTables {
  std::span<const std::byte> bytes;                      // text, then constants; to lie at a multiple of kCodeAlignment
  std::unique_ptr<CodeStorage, ReleaseStorage> storage;  // keeps `bytes`
  uint32_t func_index = 0;
};
inline constexpr size_t kCodeAlignment = 64;

}  // namespace vmrun::jit
