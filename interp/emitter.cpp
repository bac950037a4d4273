#include "interp/emitter.h"

#include "interp/fused.h"
#include "interp/handlers/op_types.h"
#include "interp/rules.h"
#include "vm/base/assert.h"
#include "vm/wasm/op_relations.h"

namespace vmrun::interp {

using vm::Op;

Operand Emitter::in_slot(bool is_float, Operand a, int which) {
  if (a.is_slot()) return a;
  Operand slot = Operand::at_slot(scratch_ + static_cast<uint32_t>(which));
  move(is_float, slot, a);
  return slot;
}

void Emitter::binary(Op op, Operand d, Operand a, Operand b) {
  OpTypes types = types_of(op);
  // Constants go to the right where the operation allows it. Rule::commute, Rule::mirror
  if (a.is_imm() && !b.is_imm() && vm::exchangeable(op)) {
    op = vm::mirrored(op);
    std::swap(a, b);
  }
  if (types.float_operands) {
    if (a.is_imm() && b.is_imm()) a = in_slot(true, a, 0);
    if (!b.is_imm() && !a.is_imm()) {
      if (vm::is_greater(op) || (vm::commutes(op) && a.loc > b.loc)) {
        op = vm::mirrored(op);
        std::swap(a, b);
      }
    }
    Handler handler = select_float(op, d.loc, a.loc, b.loc);
    if (handler == nullptr) {
      a = in_slot(true, a, 0);
      b = in_slot(true, b, 1);
      handler = select_float(op, d.loc, a.loc, b.loc);
    }
    VMRUN_ASSERT(handler != nullptr, "a float operation has a slot form");
    Cell& c = cell(handler);
    c.a = d.slot;
    c.b = a.slot;
    c.c = b.slot;
    if (a.is_imm() || b.is_imm()) cell(nullptr).u = a.is_imm() ? a.imm : b.imm;
    return;
  }

  if (a.is_imm() && !b.is_imm() && rules::fits(a.imm, 32, types.wide)) {
    if (Handler handler = select_int_left(op, d.loc, b.loc)) {
      Cell& c = cell(handler);
      c.a = d.slot;
      c.b = b.slot;
      c.imm = static_cast<int32_t>(a.imm);
      return;
    }
  }
  if (a.is_imm()) a = in_slot(false, a, 0);
  if (b.is_imm() && !rules::fits(b.imm, 32, types.wide)) {
    if (Handler handler = ir::select_wide_constant(op, d.loc, a.loc)) {
      Cell& c = cell(handler);
      c.a = d.slot;
      c.b = a.slot;
      cell(nullptr).u = b.imm;
      return;
    }
  }
  if (b.is_imm()) {
    bool traps = vm::family(op) == vm::Family::int_divide && rules::may_trap_as_divisor(b.imm, types.wide);
    if (!rules::fits(b.imm, 32, types.wide) || traps) b = in_slot(false, b, 1);
  }
  Normal normal = normal_int(op, a.loc, b.loc);
  if (normal.swap) std::swap(a, b);
  Handler handler = select_int(normal.op, d.loc, a.loc, b.loc);
  VMRUN_ASSERT(handler != nullptr, "every integer operation has all its forms");
  Cell& c = cell(handler);
  c.a = d.slot;
  c.b = a.slot;
  if (b.is_imm()) {
    c.imm = static_cast<int32_t>(b.imm);
  } else {
    c.c = b.slot;
  }
}

void Emitter::unary(Op op, Operand d, Operand a) {
  if (a.is_imm()) a = in_slot(types_of(op).float_operands, a, 0);
  Handler handler = select_unary(op, d.loc, a.loc);
  VMRUN_ASSERT(handler != nullptr, "every unary operation has all its forms");
  Cell& c = cell(handler);
  c.a = d.slot;
  c.b = a.slot;
}

void Emitter::move(bool is_float, Operand d, Operand a) {
  if (a.is_imm()) {
    if (is_float) {
      Cell& c = cell(select_float_move(d.loc, kWide));
      c.a = d.slot;
      cell(nullptr).u = a.imm;
    } else if (rules::fits_unsigned(a.imm)) {
      Cell& c = cell(select_move(d.loc, kImm));
      c.a = d.slot;
      c.imm = static_cast<int32_t>(a.imm);
    } else {
      Cell& c = cell(select_move(d.loc, kWide));
      c.a = d.slot;
      cell(nullptr).u = a.imm;
    }
    return;
  }
  if (d == a) return;
  Cell& c = cell(is_float ? select_float_move(d.loc, a.loc) : select_move(d.loc, a.loc));
  c.a = d.slot;
  c.b = a.slot;
}

void Emitter::select(bool is_float, Operand d, Operand a, Operand b, Operand c) {
  if (c.is_imm()) {
    move(is_float, d, static_cast<uint32_t>(c.imm) != 0 ? a : b);
    return;
  }
  if (a.is_imm()) a = in_slot(is_float, a, 0);
  if (b.is_imm()) b = in_slot(is_float, b, 1);
  Cell& out =
      cell(is_float ? select_float_select(d.loc, a.loc, b.loc, c.loc) : select_select(d.loc, a.loc, b.loc, c.loc));
  out.a = d.slot;
  out.b = a.slot;
  out.c = b.slot;
  out.d = c.slot;
}

// ---- memory ----------------------------------------------------------------------------------------------------------

void Emitter::load(Op op, Operand d, Operand base, uint64_t offset) {
  if (base.is_imm() && !rules::fits_unsigned(base.imm + offset)) base = in_slot(false, base, 0);
  if (base.is_imm()) {
    Cell& c = cell(select_load(op, Address::absolute, d.loc, 0, 0));
    c.a = d.slot;
    c.imm = static_cast<int32_t>(base.imm + offset);
    return;
  }
  Cell& c = cell(select_load(op, Address::base_offset, d.loc, base.loc, 0));
  c.a = d.slot;
  c.b = base.slot;
  c.imm = static_cast<int32_t>(offset);
}

void Emitter::load_wrapped(Op op, Operand d, Operand base, int32_t delta) {
  if (base.is_imm())
    return load(op, d, Operand::constant(static_cast<uint32_t>(base.imm) + static_cast<uint32_t>(delta)), 0);
  Cell& c = cell(select_load(op, Address::wrapped, d.loc, base.loc, 0));
  c.a = d.slot;
  c.b = base.slot;
  c.imm = delta;
}

void Emitter::load_indexed(Op op, Operand d, Operand base, Operand index, uint32_t shift, uint32_t offset,
                           bool wrapped) {
  if (base.is_imm()) base = in_slot(false, base, 0);
  if (index.is_imm()) index = in_slot(false, index, 1);
  Cell& c = cell(select_load(op, wrapped ? Address::indexed_wrapped : Address::indexed, d.loc, base.loc, index.loc));
  c.a = d.slot;
  c.b = base.slot;
  c.c = index.slot;
  c.d = rules::pack_index(shift, offset);
}

namespace {
bool float_store(Op op) { return op == Op::f32_store || op == Op::f64_store; }
}  // namespace

void Emitter::store(Op op, Operand base, uint64_t offset, Operand value) {
  if (base.is_imm() && !rules::fits_unsigned(base.imm + offset)) base = in_slot(false, base, 0);
  Address mode = base.is_imm() ? Address::absolute : Address::base_offset;
  Cell& c = cell(select_store(op, mode, base.is_imm() ? 0 : base.loc, 0, value.loc));
  c.a = base.slot;
  c.b = value.slot;
  c.imm = static_cast<int32_t>(base.is_imm() ? base.imm + offset : offset);
  if (value.is_imm()) cell(nullptr).u = value.imm;
}

void Emitter::store_wrapped(Op op, Operand base, int32_t delta, Operand value) {
  if (base.is_imm()) {
    return store(op, Operand::constant(static_cast<uint32_t>(base.imm) + static_cast<uint32_t>(delta)), 0, value);
  }
  Cell& c = cell(select_store(op, Address::wrapped, base.loc, 0, value.loc));
  c.a = base.slot;
  c.b = value.slot;
  c.imm = delta;
  if (value.is_imm()) cell(nullptr).u = value.imm;
}

void Emitter::store_indexed(Op op, Operand base, Operand index, uint32_t shift, uint32_t offset, Operand value,
                            bool wrapped) {
  if (base.is_imm()) base = in_slot(false, base, 0);
  if (index.is_imm()) index = in_slot(false, index, 1);
  if (value.is_imm()) value = in_slot(float_store(op), value, 2);
  Cell& c =
      cell(select_store(op, wrapped ? Address::indexed_wrapped : Address::indexed, base.loc, index.loc, value.loc));
  c.a = base.slot;
  c.b = value.slot;
  c.c = index.slot;
  c.d = rules::pack_index(shift, offset);
}

void Emitter::global_get(bool is_float, bool own, uint32_t imm, Operand d) {
  Cell& c = cell(select_global_get(is_float, own, d.loc));
  c.a = d.slot;
  c.imm = static_cast<int32_t>(imm);
}

void Emitter::global_set(bool is_float, bool own, uint32_t imm, Operand value) {
  if (value.is_imm()) value = in_slot(is_float, value, 0);
  Cell& c = cell(select_global_set(is_float, own, value.loc));
  c.a = value.slot;
  c.imm = static_cast<int32_t>(imm);
}

// ---- branches ----------------------------------------------------------------------------------------------------------

Emitter::Site Emitter::branch(bool back) {
  cell(select_branch(back));
  return here() - 1;
}

Emitter::Site Emitter::branch_compare(Op op, Operand a, Operand b, bool back) {
  if (a.is_imm() && !b.is_imm()) {
    op = vm::mirrored(op);
    std::swap(a, b);
  }
  if (a.is_imm()) a = in_slot(false, a, 0);
  bool wide = types_of(op).wide;
  int b_loc = b.loc;
  if (b.is_imm() && !rules::fits(b.imm, 16, wide)) b_loc = kWide;
  Normal normal = b.is_imm() ? Normal{op, false} : normal_int(op, a.loc, b.loc);
  if (normal.swap) {
    std::swap(a, b);
    b_loc = b.loc;
  }
  Handler handler = select_branch_if(normal.op, back, a.loc, b_loc);
  VMRUN_ASSERT(handler != nullptr, "every comparison branches");
  Site site = here();
  Cell& c = cell(handler);
  c.a = a.slot;
  c.b = b.is_imm() ? static_cast<uint16_t>(b.imm) : b.slot;
  if (b_loc == kWide) cell(nullptr).u = b.imm;
  return site;
}

Emitter::Site Emitter::branch_float(Op op, bool negate, Operand a, Operand b, bool back) {
  if (a.is_imm() && !b.is_imm()) {
    op = vm::mirrored(op);
    std::swap(a, b);
  }
  if (a.is_imm()) a = in_slot(true, a, 0);
  if (op == Op::f32_ne || op == Op::f64_ne) {
    op = op == Op::f32_ne ? Op::f32_eq : Op::f64_eq;
    negate = !negate;
  }
  if (!b.is_imm()) {
    if (vm::is_greater(op) || (vm::commutes(op) && a.loc > b.loc)) {
      op = vm::mirrored(op);
      std::swap(a, b);
    }
  }
  Handler handler = select_branch_float(op, negate, back, a.loc, b.loc);
  VMRUN_ASSERT(handler != nullptr, "every comparison branches");
  Site site = here();
  Cell& c = cell(handler);
  c.a = a.slot;
  c.b = b.slot;
  if (b.is_imm()) cell(nullptr).u = b.imm;
  return site;
}

Emitter::Site Emitter::br_table(Operand index, uint32_t n) {
  if (index.is_imm()) index = in_slot(false, index, 0);
  Site site = here();
  Cell& c = cell(select_br_table(index.loc));
  c.a = index.slot;
  c.imm = static_cast<int32_t>(n);
  for (uint32_t i = 0; i <= n; i++) cell(nullptr);
  return site;
}

}  // namespace vmrun::interp
