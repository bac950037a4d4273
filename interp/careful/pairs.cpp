// Neighbours that have a common handler are written as one.
#include "interp/careful/writer.h"
#include "interp/fused.h"
#include "interp/rules.h"
#include "vm/base/assert.h"
#include "vm/wasm/signature.h"

namespace vmrun::interp::ir {

using vm::Op;

namespace {
bool is_add_constant(const Inst& x) { return x.kind == Kind::binary && x.op == Op::i32_add && x.flags == kConstB; }
}  // namespace

/// The cell of a move, an addition of a constant, or a base_offset load, for a handler that does more than that.
void Writer::natural_cell(Handler handler, const Inst& x) {
  Cell& c = out_.cell(handler);
  c.a = slot(x.d);
  if (x.kind == Kind::move) {
    if ((x.flags & kConstA) != 0) {
      c.imm = static_cast<int32_t>(x.imm);
    } else {
      c.b = slot(x.a);
    }
    return;
  }
  c.b = slot(x.a);
  c.imm = static_cast<int32_t>(x.kind == Kind::load ? x.offset : x.imm);
}

bool Writer::write_argument_call(const Inst& x, const Inst& y) {
  if (y.call != CallKind::direct) return false;
  Argument what;
  int a = 0;
  if (is_add_constant(x)) {
    what = Argument::add;
    a = loc(x.a);
  } else if (x.kind == Kind::move && places_.cls(x.d) == Class::integer) {
    bool constant = (x.flags & kConstA) != 0;
    if (constant && !rules::fits_unsigned(x.imm)) return false;
    what = constant ? Argument::constant : Argument::move;
    if (!constant) a = loc(x.a);
    if (!constant && at(x.a) == at(x.d)) return false;
  } else if (x.kind == Kind::load && x.op == Op::i32_load && x.mode == Address::base_offset) {
    what = Argument::load;
    a = loc(x.a);
  } else {
    return false;
  }
  Handler handler = select_argument_call(what, loc(x.d), a);
  if (handler == nullptr) return false;
  // The saves come first, so they must not be of what x defines.
  for (const Allocator::Crossing& crossing : places_.crossings(y.c)) {
    if (crossing.reg == at(x.d) && crossing.cls == Class::integer) return false;
  }
  save_crossings(y);
  mark(x);
  natural_cell(handler, x);
  write_call(y, false);
  return true;
}

/// Pairs that end in a branch.
bool Writer::write_branch_pair(const Inst& x, const Inst& y) {
  if (y.kind == Kind::branch) {
    if (is_next(f_.label_block[y.target])) return false;
    bool back = goes_back(y.target);
    Handler handler = nullptr;
    if (x.kind == Kind::binary && (x.op == Op::i32_add || x.op == Op::i64_add) && x.flags == kConstB &&
        rules::fits(x.imm, 32, x.op == Op::i64_add)) {
      handler = select_add_branch(x.op == Op::i64_add, back, loc(x.d), loc(x.a));
    } else if (x.kind == Kind::move && places_.cls(x.d) == Class::integer) {
      bool constant = (x.flags & kConstA) != 0;
      if (constant ? !rules::fits_unsigned(x.imm) : at(x.a) == at(x.d)) return false;
      handler = select_move_branch(back, loc(x.d), constant ? kImm : loc(x.a));
    }
    if (handler == nullptr) return false;
    natural_cell(handler, x);
    jump_to(out_.here(), y.target);
    out_.cell(nullptr);
    return true;
  }
  if (x.kind != Kind::load || y.a != x.d || x.d == kNoReg) return false;
  if (y.kind == Kind::br_table) {
    Handler handler = select_load_table(x.op, x.mode, loc(x.d), loc(x.a), loc(x.b));
    if (handler == nullptr) return false;
    mark(x);
    Cell& c = out_.cell(handler);
    c.a = slot(x.d);
    c.b = slot(x.a);
    if (x.mode == Address::indexed) {
      c.c = slot(x.b);
      c.d = rules::pack_index(x.shift, x.offset);
    } else {
      c.imm = static_cast<int32_t>(x.offset);
    }
    write_table(y);
    return true;
  }
  return false;
}

bool Writer::write_pair(const Inst& x, const Inst& y, const Inst* after) {
  if (y.kind == Kind::call) return write_argument_call(x, y);
  // i += k, then a back-edge if i op n
  if (x.kind == Kind::binary && y.kind == Kind::branch_if && (x.op == Op::i32_add || x.op == Op::i64_add) &&
      (x.flags & kConstB) != 0 && y.a == x.d && at(x.a) == at(x.d) && goes_back(y.target)) {
    bool wide = x.op == Op::i64_add;
    if (rules::fits(x.imm, 16, wide) && wide == vm::takes(y.op, vm::kI64)) {  // Rule::count
      Operand i = at(x.d), n = b_of(y);
      Handler handler = select_count_branch(y.op, i.loc, n.loc);
      if (handler != nullptr) {
        Emitter::Site site = out_.here();
        Cell& c = out_.cell(handler);
        c.a = i.slot;
        c.b = static_cast<uint16_t>(x.imm);
        Cell& second = out_.cell(nullptr);
        if (n.is_imm()) {
          second.u = n.imm;
        } else {
          second.a = n.slot;
        }
        jump_to(site, y.target);
        return true;
      }
    }
  }
  if (x.kind == Kind::binary && y.kind == Kind::ret && y.a == x.d && y.a != kNoReg &&
      (x.flags & (kConstA | kNegate)) == 0) {
    Operand b = b_of(x);
    if (b.is_imm() && !rules::fits(b.imm, 32, vm::takes(x.op, vm::kI64))) return false;
    if (Handler handler = select_binary_return(x.op, at(x.a).loc, b.loc)) {
      Cell& c = out_.cell(handler);
      c.b = at(x.a).slot;
      if (b.is_imm()) {
        c.imm = static_cast<int32_t>(b.imm);
      } else {
        c.c = b.slot;
      }
      return true;
    }
  }
  if (x.kind == Kind::move && y.kind == Kind::move && places_.cls(x.d) == Class::integer &&
      places_.cls(y.d) == Class::integer) {
    Operand d1 = at(x.d), d2 = at(y.d), a1 = a_of(x), a2 = a_of(y);
    if (d1 == a1 || d2 == a2 || (after != nullptr && after->kind == Kind::call)) return false;
    if ((a1.is_imm() && !rules::fits_unsigned(a1.imm)) || (a2.is_imm() && !rules::fits_unsigned(a2.imm))) return false;
    Cell& c = out_.cell(select_move_move(d1.loc, a1.loc, d2.loc, a2.loc));
    auto fill = [](Cell& cell, const Operand& d, const Operand& a) {
      cell.a = d.slot;
      if (a.is_imm()) {
        cell.imm = static_cast<int32_t>(a.imm);
      } else {
        cell.b = a.slot;
      }
    };
    fill(c, d1, a1);
    fill(out_.cell(nullptr), d2, a2);
    return true;
  }
  return write_branch_pair(x, y);
}

}  // namespace vmrun::interp::ir
