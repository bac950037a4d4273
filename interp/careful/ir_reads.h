// How much of its operands an instruction of the intermediate form reads. An i32 in a register or a slot has an upper
// half of zeros (the register says so: Reg::i32), but where a handler reads 32 bits, any 64-bit register will do. These
// are the places where i32.wrap_i64 costs nothing.
#pragma once

#include "interp/careful/ir.h"
#include "vm/wasm/module.h"
#include "vm/wasm/opcode.h"
#include "vm/wasm/signature.h"

namespace vmrun::interp::ir {

/// Whether the operands of `op` (the first one, for a store) are of type i32.
constexpr bool reads_i32(vm::Op op) { return vm::takes(op, vm::kI32); }

/// Whether a store writes no more than the lower 32 bits of an integer.
constexpr bool stores_low_half(vm::Op op) {
  return op != vm::Op::i64_store && op != vm::Op::f32_store && op != vm::Op::f64_store;
}

using OperandField = uint32_t Inst::*;

/// Whether the handlers of `x` read only the lower 32 bits of an operand. What this says of fused instructions is what
/// the types of their handlers' template parameters say (interp/handlers_*.cpp).
constexpr bool reads_low_half(const Inst& x, OperandField operand) {
  const bool third = operand == &Inst::c;
  switch (x.kind) {
    case Kind::binary:
    case Kind::unary:
    case Kind::branch_if:
    case Kind::min_max:
    case Kind::binary2: return reads_i32(x.op);
    case Kind::load: return true;  // addresses of a 32-bit memory
    case Kind::store: return !third || stores_low_half(x.op);
    case Kind::load_op:
    case Kind::read_modify: return !third || reads_i32(x.op2);
    case Kind::select: return third;
    case Kind::branch_test:
    case Kind::br_table:
    case Kind::global_set_add: return true;
    default: return false;
  }
}

/// An operand as an instruction reads it: a constant, all of a register, or only the lower half of one that may hold an
/// i64. That is no value: what is read in part must not become the operand of an instruction that reads all of it, a
/// result, a local, or an argument. It goes into an instruction by `read`, which refuses to, and becomes a value only by
/// Builder::value_of, which narrows it.
class Use {
 public:
  static Use constant(uint64_t bits) { return {kNoReg, bits, false}; }
  static Use whole(uint32_t reg) { return {reg, 0, false}; }
  /// Of register `reg` of `f` no more than the lower half. All of it may be read if its upper half is zero.
  static Use low(const Function& f, uint32_t reg) { return {reg, 0, !f.regs[reg].i32}; }

  bool is_const() const { return reg_ == kNoReg; }
  uint64_t bits() const { return bits_; }
  void set_bits(uint64_t bits) { bits_ = bits; }
  /// Whether the upper half of the register must not be read.
  bool is_low() const { return low_; }
  /// The register, to look for what defines it.
  uint32_t reg() const { return reg_; }

 private:
  Use(uint32_t reg, uint64_t bits, bool low) : reg_(reg), bits_(bits), low_(low) {}
  uint32_t reg_;
  uint64_t bits_;
  bool low_;
};

/// Operand `from` of `y`, as `y` reads it.
Use operand_of(const Function& f, const Inst& y, OperandField from);
/// Makes `use`, which is a register, operand `to` of `x`, whose kind and operations are known.
void read(Inst& x, OperandField to, const Use& use);

/// Whether operand `i` of `x`, of kind generic, is an i32. Its handlers rely on the upper half, but for addresses.
bool generic_takes_i32(const vm::Module& module, const Function& f, const Inst& x, uint32_t i);

/// The first instruction of `f`, as built, that breaks the types of registers: that hands on, as an i32, something that
/// may have an upper half, or that reads more of an operand than there is. -1: none.
int32_t find_type_error(const vm::Module& module, const Function& f);

}  // namespace vmrun::interp::ir
