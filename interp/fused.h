// Handlers that do the work of two or three instructions. The functions named fused_* say whether a combination exists
// (an index to give to the select function, or -1); the select functions return null for operand locations that have no
// handler, and then the parts are emitted one by one.
#pragma once

#include "interp/cell.h"
#include "interp/select.h"
#include "vm/wasm/opcode.h"

namespace vmrun::interp::ir {

/// How the operands of a pair of integer operations are connected. o1 is the inner operation, o2 the outer one.
enum class Form : uint8_t {
  imm_then_reg,  // (a o1 k1) o2 c    cell: a = dest, b = a, c = c, d = k1 (16 bits, signed)
  reg_then_reg,  // (a o1 b) o2 c     cell: a = dest, b = a, c = b, d = c
  imm_then_imm,  // (a o1 k1) o2 k2   cell: a = dest, b = a; the next cell: w = k1, u = k2 (sign-extended)
  xor_pair,      // (a o1 k1) ^ (a o2 k2)   cell: a = dest, b = a, c = k1, d = k2
};

/// Whether any pair ends in `outer` (a quick test).
bool is_fusible_outer(vm::Op outer);
int fused_pair(Form form, vm::Op o1, vm::Op o2);
/// One cell, two for imm_then_imm.
Handler select_pair(Form form, int pair, int d, int a, int b, int c);

/// Two float operations, each rounded: (a inner b) outer c, or with `crossed` c outer (a inner b).
int fused_float(vm::Op inner, vm::Op outer, bool crossed);
/// Cell: a = dest, b, c, d = operands a, b, c.
Handler select_float_pair(int pair, int d, int a, int b, int c);

/// x op memory (memory op x with `reverse`). Two cells: that of the load, and one with a = x.
int fused_load_op(vm::Op load, vm::Op op, bool reverse);
/// base_offset or wrapped.
Handler select_load_op(int index, Address mode, int d, int base, int x);

/// memory = memory op x. Two cells: that of the store; with a constant x the next cell's u.
int fused_read_modify(vm::Op store, vm::Op load, vm::Op op);
Handler select_read_modify(int index, Address mode, int base, int index_loc, int x);

/// d = a op b ? a : b. Cell: a = dest, b, c = operands.
int fused_min_max(vm::Op compare);
Handler select_min_max(int index, int d, int a, int b);

/// d = (own global += constant), and own global = a + constant. Cell: a = dest or operand, b and imm: see below.
/// The constant is `imm`; the global's byte offset from Instance::own_globals is the next cell's u.
Handler select_global_adjust(int d);
Handler select_global_set_add(int a);

/// Branches if (a & b) op 0, op i32.eq or i32.ne. Cell: a, b = operands, imm = offset; a constant b is the next cell's u.
Handler select_branch_test(vm::Op op, bool back, int a, int b);

/// a += increment (b, 16 bits signed), then a back-edge if a op x. Two cells: imm = offset; the next one has x: u or a.
Handler select_count_branch(vm::Op compare, int a, int x);

/// Two moves in one. Cells: those of the moves; a constant is 32 bits.
Handler select_move_move(int d1, int a1, int d2, int a2);

/// r0 = a op b, then return. Cell: b, c = operands or imm.
Handler select_binary_return(vm::Op op, int a, int b);

// ---- neighbours: the cells of the two, the first one's handler doing the work of both --------------------------------

enum class Argument : uint8_t { add, move, constant, load };
/// i32 addition of a constant, move, 32-bit constant or i32.load (base_offset) into a slot, r0 or r1; then a direct call.
Handler select_argument_call(Argument what, int d, int a);
/// i32.load8_u (base_offset) or i32.load (indexed) into a register, then br_table by it.
Handler select_load_table(vm::Op load, Address mode, int d, int base, int index);
/// d = a + constant, then a branch.
Handler select_add_branch(bool wide, bool back, int d, int a);
/// Integer move (a may be kImm), then a branch.
Handler select_move_branch(bool back, int d, int a);

/// d = a op constant in the next cell, for i64 add, mul, and, or, xor.
Handler select_wide_constant(vm::Op op, int d, int a);

}  // namespace vmrun::interp::ir
