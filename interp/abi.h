// The interpreter's calling convention, frames and translation records: what both translators, all handlers that call or
// return, unwinding and OSR agree on.
//
// FRAME. `fp` points at slot 0; slots are 8 bytes and indexed by 16 bits, so a frame has at most kMaxSlots.
//   fp[-1]  Link::pc    the caller's call cell (its `imm` is the distance in bytes from the caller's fp to this one)
//   fp[-2]  Link::inst  } valid only when pc == boundary_cell(): the caller runs another instance, and these are
//   fp[-3]  Link::outer } its instance and its call cell
//   fp[0 .. L)          locals in canonical slots: parameters first, in order, v128 takes two
//   fp[L ..)            operands in canonical slots: the operand stack from its bottom, v128 takes two, and one hidden
//                       slot beneath the operands of each enclosing legacy catch block, which holds its exnref
//   above that          whatever a translator likes (careful code may put anything anywhere between headers)
// A callee's frame lies anywhere above its caller's live slots, with kLinkSlots between: delta = 8 * (used + kLinkSlots).
//
// PARAMETERS. The first two of integer class (i32, i64, references) come in r0, r1 and the first two of float class (f32,
// f64) in f0, f1; their canonical slots are reserved but hold garbage. All others (and every v128) are in the callee's
// canonical slots, where the caller puts them at delta + 8 * slot.
// RESULTS. Result slots are laid out like parameters from the callee's slot 0. The first result is in r0 or f0 instead,
// unless it is a v128; all others are in their slots: the caller finds them at delta + 8 * slot.
// i32 is always zero-extended, in slots and registers. The upper half of an f32 is unspecified.
// CLOBBERS. A call clobbers every register; r0/f0 hold the result. Every other handler keeps what it does not name.
//
// CALL CELLS. Every call takes kCallCells cells and returns to the one after them:
//   [0] handler, a = slot of the table index or reference (if in a slot), imm = delta
//   [1] w = Translation* of the calling code,
//       u = FuncCode* (direct), function index (import), type id | table index << 32 (indirect), 0 (ref)
// A fused handler in front keeps the two natural cells intact and sets Link::pc to the first of them.
// TAIL CALL CELLS have the same two cells without a delta: the arguments have been moved to slots 0... of this frame and
// to r0, r1, f0, f1; the link stays.
//
// BACK-EDGES decrement cx->budget (VMRUN_BACK_EDGE). On expiry `poll_loop` runs with pc = the target and keeps registers.
// CALLS compare the callee's fp with cx->stack_limit; 1 MiB beyond the limit is always mapped for the leaf's frame.
//
// LOOP HEADERS AND OSR. In quick code all locals and operands are in canonical slots at a loop header, and no register is
// live. Careful code offers, per loop, an entry cell that expects exactly that and loads its own registers: a LoopMark
// with the byte offset of the `loop` opcode. Quick code's LoopMarks say where its headers are. A frame entered through
// OSR keeps fp and link. br_table and unfused branches to the header are back-edges too.
//
// EXCEPTIONS. The TrySpans say which TryRegion each cell is in: a throw at a call or throw cell tries that region's
// catches in order, then goes on with region `next`. A catch that matches has the payload copied to the slots from `slot` on and the exnref
// to `exn_slot`, and execution goes on at `target` with no register live; so values that are live at a landing must be
// in slots at every call and throw inside the region. Tail calls leave their frame before the callee can throw.
//   throw cells:      [0] handler, a = first slot of the payload (canonical order), imm = bytes from fp to the end of the
//                         frame's live slots    [1] w = Translation* of the code, u = tag index
//   throw_ref cells:  [0] handler, a = slot of the exnref    [1] w = Translation* of the code
// The second of two cells that a callee may find as its Link::pc or a throw may stand at is thus a Translation*, but for
// boundary_cell() and the cells that end an activation, where it is 0.
//
// SOURCE MAP. For each cell that can trap, call or throw, the writer records the byte offset of its instruction; lookups
// take the last entry at or before the cell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "interp/cell.h"
#include "vm/runtime/instance.h"
#include "vm/wasm/types.h"

namespace vmrun::interp {

inline constexpr unsigned kCallCells = 2;
inline constexpr unsigned kLinkSlots = 3;
inline constexpr uint32_t kMaxSlots = 65535;
inline constexpr unsigned kIntParamRegs = 2;
inline constexpr unsigned kFloatParamRegs = 2;

/// What lies beneath slot 0 of a frame.
struct Link {
  const Cell* outer;
  vm::Instance* inst;
  const Cell* pc;
};
static_assert(sizeof(Link) == 8 * kLinkSlots);
[[gnu::always_inline]] inline Link* link_of(std::byte* fp) { return reinterpret_cast<Link*>(fp) - 1; }
[[gnu::always_inline]] inline const Link* link_of(const std::byte* fp) { return reinterpret_cast<const Link*>(fp) - 1; }
/// The cells that a callee of another instance returns to; they restore the caller's instance.
const Cell* boundary_cell();

/// The register class of a value type.
enum class RegClass : uint8_t { integer, floating, vector };
constexpr RegClass reg_class(vm::ValType type) {
  switch (type.kind()) {
    case vm::ValType::Kind::f32:
    case vm::ValType::Kind::f64: return RegClass::floating;
    case vm::ValType::Kind::v128: return RegClass::vector;
    default: return RegClass::integer;
  }
}

/// Walks parameters in order and says where each travels.
class ParamWalk {
 public:
  struct Place {
    RegClass cls;
    int reg;        // 0 or 1 for r0/r1 or f0/f1; -1: in its slot
    uint32_t slot;  // canonical slot
  };
  Place next(vm::ValType type) {
    RegClass cls = reg_class(type);
    Place place{cls, -1, slot_};
    if (cls == RegClass::integer && ints_ < kIntParamRegs) place.reg = static_cast<int>(ints_++);
    if (cls == RegClass::floating && floats_ < kFloatParamRegs) place.reg = static_cast<int>(floats_++);
    slot_ += type.slots();
    return place;
  }
  uint32_t slots() const { return slot_; }

 private:
  uint32_t slot_ = 0;
  unsigned ints_ = 0, floats_ = 0;
};

inline constexpr uint32_t kNone = 0xffffffff;

/// One clause of a try. Offsets are cell indices in the translation.
struct Catch {
  uint32_t tag;       // tag index in the module; kNone catches all
  uint32_t target;    // cell to go on at
  uint16_t slot;      // where the payload goes
  uint16_t exn_slot;  // where the exnref goes, or kNoSlot
};
inline constexpr uint16_t kNoSlot = 0xffff;
/// A try body. `next` is the region where the search goes on: the lexically enclosing one, but for delegate; kNone: the
/// caller.
struct TryRegion {
  uint32_t next;
  uint32_t first_catch, catches;
};
/// From `cell` to the next span, code is in `region` (kNone: in none). Sorted by cell.
struct TrySpan {
  uint32_t cell;
  uint32_t region;
};
/// A loop header (quick code) or OSR entry (careful code).
struct LoopMark {
  uint32_t offset;  // of the `loop` opcode in the image
  uint32_t cell;
};

/// One function's interpreter code. Owned by the module's code store, as are the arrays it points to; immutable once
/// published.
struct Translation {
  vm::FuncCode* code = nullptr;
  const Cell* cells = nullptr;
  uint32_t cell_count = 0;
  uint32_t func_index = 0;
  uint32_t span_count = 0;
  uint32_t loop_count = 0;
  uint32_t map_bytes = 0;
  Effort effort = Effort::Quick;  // which translator made it: Quick or Careful
  const TrySpan* spans = nullptr;
  const TryRegion* regions = nullptr;
  const Catch* catches = nullptr;
  const LoopMark* loops = nullptr;
  const uint8_t* map = nullptr;  // pairs (cells since the last, bytes since the last) in LEB128; bytes are signed

  bool contains(const Cell* pc) const { return pc >= cells && pc < cells + cell_count; }
};

}  // namespace vmrun::interp
