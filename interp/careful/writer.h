// The careful translator's last step: allocated IR becomes cells.
#pragma once

#include <vector>

#include "interp/careful/regalloc.h"
#include "interp/draft.h"
#include "interp/emitter.h"
#include "interp/handlers/generic.h"
#include "vm/wasm/module.h"

namespace vmrun::interp::ir {

class Writer {
 public:
  Writer(const vm::Module& module, MemoryMode memory0, const Function& f, const Allocator& places, Draft& draft)
      : module_(module),
        env_{module, memory0},
        f_(f),
        places_(places),
        draft_(draft),
        out_(draft.cells, places.scratch()) {}

  void write();

 private:
  struct Fixup {
    uint32_t site, base, block;  // cells[site].imm = start of block - base
  };

  bool is_float(uint32_t segment) const { return places_.cls(segment) == Class::floating; }
  Operand at(uint32_t segment) const { return places_.operand(segment); }
  Operand a_of(const Inst& x) const { return (x.flags & kConstA) != 0 ? Operand::constant(x.imm) : at(x.a); }
  Operand b_of(const Inst& x) const { return (x.flags & kConstB) != 0 ? Operand::constant(x.imm) : at(x.b); }
  Operand c_of(const Inst& x) const { return (x.flags & kConstC) != 0 ? Operand::constant(x.imm) : at(x.c); }
  int loc(uint32_t segment) const { return segment == kNoReg ? 0 : at(segment).loc; }
  uint16_t slot(uint32_t segment) const { return segment == kNoReg ? uint16_t{0} : at(segment).slot; }
  Operand scratch(uint32_t i) const { return Operand::at_slot(places_.scratch() + i); }

  bool goes_back(uint32_t label) const { return f_.label_block[label] <= block_; }
  void jump_to(Emitter::Site site, uint32_t label) {
    fixups_.push_back({static_cast<uint32_t>(site), static_cast<uint32_t>(site), f_.label_block[label]});
  }
  /// Whether control gets to `target` by simply going on behind block_.
  bool is_next(uint32_t target) const;
  const Inst* first_of(uint32_t block) const;
  void mark(const Inst& x);

  /// A definition whose slot must be up to date for calls.
  bool is_saved(const Inst& x) const { return x.d != kNoReg && places_.saved_at_definition(x.d); }
  void save(const Inst& x) {
    if (is_saved(x)) out_.move(is_float(x.d), places_.slot_of(x.d), at(x.d));
  }

  void check_operands(const Inst& x, uint32_t except);
  void write_block(uint32_t begin, uint32_t end);
  /// Writes x and y as one, if there is a handler for the two.
  bool write_pair(const Inst& x, const Inst& y, const Inst* after);
  bool write_argument_call(const Inst& x, const Inst& y);
  bool write_branch_pair(const Inst& x, const Inst& y);
  void natural_cell(Handler handler, const Inst& x);
  void write_inst(const Inst& x);
  void write_binary(const Inst& x);
  void write_pair_op(const Inst& x);
  void write_load_op(const Inst& x);
  void save_crossings(const Inst& call);
  void write_call(const Inst& x, bool save_first);
  void write_generic(const Inst& x);
  void write_table(const Inst& x);
  void write_move(const Inst& x);
  void write_entries();

  const vm::Module& module_;
  GenericEnv env_;
  const Function& f_;
  const Allocator& places_;
  Draft& draft_;
  Emitter out_;
  uint32_t block_ = 0;
  CodeVector<uint32_t> block_cell_;
  CodeVector<Fixup> fixups_;
};

}  // namespace vmrun::interp::ir
