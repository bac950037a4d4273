// Slot-only handlers: one for every instruction that computes, loads, stores or touches memories, tables, globals and
// references. They are what a translator falls back to when it has no handler of its own for an instruction, and the
// only form of SIMD, atomics, bulk operations and accesses to checked memories.
//
// A translator says where the operands are; everything else about the cells is decided here:
//
//   Cell cells[kMaxGenericCells];
//   uint32_t n = emit_generic(cells, env, op, imm, dst, srcs);   // 0: this op has no generic form
//
// - An operand is the index of a slot (fp + 8 * index), of the first of two for a v128.
// - All sources are read before the destination is written: they may be the same slots. (Instructions with two results
//   write dst[0], then dst[1], after reading all sources.)
// - Registers r0..r3 and f0..f3 are left as they are.
// - Execution goes on with the cell after the emitted ones; there are no branch targets inside.
// - An i32 result is written zero-extended, an f32 result with a zero upper half.
// - At a trap `pc` is the first of the emitted cells.
#pragma once

#include <cstdint>

#include "interp/cell.h"
#include "vm/wasm/module.h"
#include "vm/wasm/opcode.h"

namespace vmrun::interp {

/// The most cells one instruction takes in generic form.
inline constexpr uint32_t kMaxGenericCells = 3;

/// How the accesses of a function to a memory are made safe.
enum class MemoryMode : uint8_t {
  guarded,  // base is `mem`, the address 32 bits wide: what is out of bounds faults
  checked,  // every access compares with the current size (several memories, 64-bit ones, dense mode, small pages)
};

/// What emission needs to know beyond the instruction.
struct GenericEnv {
  const vm::Module& module;
  MemoryMode memory0 = MemoryMode::guarded;  // of memory 0; all others are checked
};

/// Whether `op` has a generic form. Without one are: control, calls, locals, constants, br_on_*, exceptions, GC objects.
bool has_generic_form(vm::Op op);

/// Writes the cells of `op` to `out` and returns how many. `dst` names the slots of its results (0 to 2), `src` those of
/// its operands in stack order, oldest first. `imm` is the decoded immediate. Returns 0 for an op without generic form.
uint32_t emit_generic(Cell* out, const GenericEnv& env, vm::Op op, const vm::Immediate& imm, const uint16_t* dst,
                      const uint16_t* src);

}  // namespace vmrun::interp
