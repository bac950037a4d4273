// Writes interpreter code for the location-templated handlers: chooses the handler, fills in the cells, and moves
// operands through a scratch slot where a combination has no handler. Both translators write through it.
#pragma once

#include <bit>
#include <cstdint>

#include "interp/cell.h"
#include "interp/check.h"
#include "interp/code_room.h"
#include "interp/select.h"

namespace vmrun::interp {

/// An operand: a frame slot, a register of the file its type belongs to, or a constant.
struct Operand {
  uint8_t loc = kSlot;  // kSlot, 1..4 or kImm
  uint16_t slot = 0;
  uint64_t imm = 0;  // constants: i32 zero-extended, floats as bits

  static Operand at_slot(uint32_t index) { return {kSlot, static_cast<uint16_t>(index), 0}; }
  static Operand reg(int r) { return {static_cast<uint8_t>(r), 0, 0}; }  // 1..4
  static Operand constant(uint64_t bits) { return {kImm, 0, bits}; }
  bool is_imm() const { return loc == kImm; }
  bool is_slot() const { return loc == kSlot; }
  friend bool operator==(const Operand&, const Operand&) = default;
};

class Emitter {
 public:
  /// `scratch` is the first of three frame slots that the emitter may overwrite while legalising an instruction.
  Emitter(CodeVector<Cell>& code, uint32_t scratch) : code_(code), scratch_(scratch) {}
  void set_scratch(uint32_t scratch) { scratch_ = scratch; }

  size_t here() const { return code_.size(); }
  CodeVector<Cell>& code() { return code_; }

  /// Two-operand numerics of all four types, comparisons included. Constants may be on either side.
  void binary(vm::Op op, Operand d, Operand a, Operand b);
  void unary(vm::Op op, Operand d, Operand a);
  /// d = a; the register file is that of the type.
  void move(bool is_float, Operand d, Operand a);
  /// d = c ? a : b
  void select(bool is_float, Operand d, Operand a, Operand b, Operand c);

  /// Guarded memory 0.
  void load(vm::Op op, Operand d, Operand base, uint64_t offset);
  void store(vm::Op op, Operand base, uint64_t offset, Operand value);
  /// Address (base + (index << shift)) mod 2^32 + offset; offset < 8192, shift < 8. With `wrapped` the address is
  /// (base + (index << shift) + offset) mod 2^32, and the offset is -4096 to 4095.
  void load_indexed(vm::Op op, Operand d, Operand base, Operand index, uint32_t shift, uint32_t offset,
                    bool wrapped = false);
  void store_indexed(vm::Op op, Operand base, Operand index, uint32_t shift, uint32_t offset, Operand value,
                     bool wrapped = false);
  /// Address (base + delta) mod 2^32.
  void load_wrapped(vm::Op op, Operand d, Operand base, int32_t delta);
  void store_wrapped(vm::Op op, Operand base, int32_t delta, Operand value);

  void global_get(bool is_float, bool own, uint32_t imm, Operand d);
  void global_set(bool is_float, bool own, uint32_t imm, Operand value);

  /// Branches return the site to give to patch() once the target is known.
  using Site = size_t;
  Site branch(bool back);
  /// Any integer comparison; branches if it holds. `a`, `b` may be constants.
  Site branch_compare(vm::Op op, Operand a, Operand b, bool back);
  /// Any float comparison; branches if it holds, or with `negate` if it does not (NaN included).
  Site branch_float(vm::Op op, bool negate, Operand a, Operand b, bool back);
  Site branch_nonzero(Operand cond, bool back) {
    return branch_compare(vm::Op::i32_ne, cond, Operand::constant(0), back);
  }
  Site branch_zero(Operand cond, bool back) { return branch_compare(vm::Op::i32_eq, cond, Operand::constant(0), back); }
  void patch(Site site, size_t target) { code_[site].imm = static_cast<int32_t>(target) - static_cast<int32_t>(site); }

  /// Appends the table's cell and n + 1 entry cells; entry i is patched by patch_table(site, i, target).
  Site br_table(Operand index, uint32_t n);
  void patch_table(Site site, uint32_t entry, size_t target) {
    code_[site + 1 + entry].imm = static_cast<int32_t>(target) - static_cast<int32_t>(site);
  }

  /// Where code is checked, the check that this i32 has no upper half: in front of what reads it.
  void check_i32(Operand a) {
    if constexpr (kChecksUpperHalves) {
      if (!a.is_imm()) cell(select_check_i32(a.loc)).a = a.slot;
    }
  }
  /// Appends a raw cell and returns it.
  Cell& cell(Handler handler) {
    Cell& c = code_.emplace_back();
    c = Cell{};
    c.handler = handler;
    return c;
  }

 private:
  Operand in_slot(bool is_float, Operand a, int which);

  CodeVector<Cell>& code_;
  uint32_t scratch_;
};

}  // namespace vmrun::interp
