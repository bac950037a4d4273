// How both translators pick location-templated handlers: pure lookups by operation and operand locations.
//
// A location is kSlot, a register 1..4 (of the integer or the float file, by the operand's type) or kImm. Every lookup
// returns null for a combination that has no handler; the form with all operands in slots always exists, and so does
// every form these comments promise, so a translator can always move an operand into a slot first (interp/emitter.h does
// that, and fills in the cells: use it unless speed says otherwise).
//
// Cells: `a`, `b`, `c`, `d` are slot indices (unused for registers) unless said otherwise; `imm` shares bits with c and d.
// i32 values are zero-extended everywhere. Branch offsets are in cells, relative to the branch's own first cell.
// A branch that may go backwards (`back`) charges Vcpu::budget and polls; its offset is always in `imm`.
#pragma once

#include "interp/cell.h"
#include "interp/handlers/handler.h"
#include "vm/wasm/opcode.h"

namespace vmrun::interp {

// ---- integers --------------------------------------------------------------------------------------------------------

/// What a binary operation becomes before the lookup: `op` with the operands exchanged if `swap`.
struct Normal {
  vm::Op op;
  bool swap;
};
/// Reduces integer operations to those that have handlers (gt to lt, operands of commutative ones in location order).
Normal normal_int(vm::Op op, int a, int b);

/// i32/i64 arithmetic, logic, shifts, rotations, division and comparisons. Cell: a = dest, b, c = operands;
/// with b == kImm the right operand is `imm`, sign-extended to 64 bits (division never takes an immediate 0 or -1).
/// `op` and the operand order must come from normal_int(). One cell.
Handler select_int(vm::Op op, int d, int a, int b);

/// d = imm - b (sub) or imm << b (shl): the left operand is the immediate. Cell: a = dest, c unused, b = operand, imm.
Handler select_int_left(vm::Op op, int d, int b);

/// Integer moves. a: location; kImm: `imm` zero-extended (an i32, or an i64 that fits); kWide: the next cell's u (2 cells).
inline constexpr int kWide = 6;
Handler select_move(int d, int a);

/// Integer select: d = c != 0 ? a : b. Cell: a = dest, b, c, d = operands in that order. d, a, b, c: slot or register.
Handler select_select(int d, int a, int b, int c);

// ---- floats (f32 in the low half of a float register) ---------------------------------------------------------------

/// add..copysign of f32 and f64. Cell: a = dest, b, c = operands; b == kImm: the constant is the next cell's u (2 cells).
Handler select_float(vm::Op op, int d, int a, int b);
/// Float comparisons into an integer. Same cells. gt and ge come as lt and le with the operands exchanged, unless b is kImm.
Handler select_float_compare(vm::Op op, int d, int a, int b);
/// Float moves; a == kWide: the next cell's u (2 cells).
Handler select_float_move(int d, int a);
Handler select_float_select(int d, int a, int b, int c);

// ---- one operand ----------------------------------------------------------------------------------------------------

/// Every unary numeric instruction: eqz, clz, extensions, conversions, truncations (trapping and saturating),
/// reinterpretations, abs, neg, ceil, sqrt... Cell: a = dest, b = operand. Register files follow the types.
Handler select_unary(vm::Op op, int d, int a);

// ---- guarded memory 0 -------------------------------------------------------------------------------------------------

enum class Address : uint8_t {
  base_offset,      // base (zero-extended) + `imm` as u32. Loads: b = base; stores: a = base
  wrapped,          // (base + imm) mod 2^32
  indexed,          // (base + (index << s)) mod 2^32 + offset: c = index, d = s | offset << 3 (offset < 8192)
  absolute,         // `imm` as u32
  indexed_wrapped,  // (base + (index << s) + k) mod 2^32: c = index, d = s | k << 3 (k signed, 13 bits)
};
/// Loads of memory 0. Cell: a = dest, b = base, and as Address says. One cell.
Handler select_load(vm::Op op, Address mode, int d, int base, int index);
/// Stores. Cell: a = base, b = value, and as Address says. value == kImm: the next cell's u (2 cells; not for indexed).
Handler select_store(vm::Op op, Address mode, int base, int index, int value);

// ---- branches ---------------------------------------------------------------------------------------------------------

Handler select_branch(bool back);
/// Compare (any i32/i64 comparison, see normal_compare) and branch if it holds. Cell: a, b = operands, imm = offset.
/// b == kImm: the field b as a signed 16-bit immediate. b == kWide: the next cell's u (2 cells).
Handler select_branch_if(vm::Op op, bool back, int a, int b);
/// Float compare and branch if the result is `!negate`. b == kImm: the next cell's u (2 cells).
Handler select_branch_float(vm::Op op, bool negate, bool back, int a, int b);
/// br_table. Cell: a = index, imm = n; the n + 1 following cells hold in `imm` offsets relative to the first cell, the
/// last one the default's. Does not poll: entries that go back lead to a select_branch(true).
/// Distinct copies of the handler are dealt out so that the predictor can tell sites apart.
Handler select_br_table(int a);

// ---- globals ------------------------------------------------------------------------------------------------------------

/// global.get/set of a 64-bit-or-less value. Own globals: imm = byte offset from Instance::own_globals. Imported ones:
/// imm = index into Instance::globals. Cell: a = dest (get) or value (set).
Handler select_global_get(bool is_float, bool own, int d);
Handler select_global_set(bool is_float, bool own, int a);

}  // namespace vmrun::interp
