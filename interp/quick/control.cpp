// Quick translator: blocks, branches, exceptions. At every label all operands are in their canonical slots.
#include "interp/quick/quick.h"
#include "vm/base/assert.h"
#include "vm/wasm/op_relations.h"

namespace vmrun::interp {

using vm::ControlKind;
using vm::ValType;

// --- frames
// ------------------------------------------------------------------------------------------------------------

void QuickTranslator::begin(D& d) {
  C& c = d.control(0);
  local_slot_.clear();
  uint32_t slot = 0;
  ParamWalk walk;
  uint16_t places[2][2] = {};
  unsigned counts[2] = {};
  std::span<const ValType> locals = d.locals();
  size_t params = type_->params.size();
  for (size_t i = 0; i < locals.size(); ++i) {
    local_slot_.push_back(slot);
    if (i < params) {
      ParamWalk::Place place = walk.next(locals[i]);
      if (place.reg >= 0) places[place.cls == RegClass::floating][place.reg] = static_cast<uint16_t>(slot);
      if (place.reg >= 0) ++counts[place.cls == RegClass::floating];
    }
    slot += locals[i].slots();
  }
  local_slots_ = slot;
  check_slot(slot);
  c.base = c.body_base = slot;
  Cell& enter = emit_.cell(select_enter(counts[0], counts[1]));
  enter.a = places[0][0];
  enter.b = places[0][1];
  enter.c = places[1][0];
  enter.d = places[1][1];
  Cell& rest = emit_.cell(nullptr);
  rest.q = &module_->code(d.func_index());
  rest.a = static_cast<uint16_t>(walk.slots());
  rest.b = static_cast<uint16_t>(slot - walk.slots());
}

void QuickTranslator::enter_frame(D& d, C& c) {
  look(d);
  if (!c.params.empty()) {
    c.base = d.stack()[c.height].slot;
  } else {
    std::span<V> stack = d.stack();
    const C& outer = d.control(1);
    c.base = stack.size() > outer.height ? stack.back().slot + stack.back().type.slots() : outer.body_base;
    check_slot(c.base);
  }
  c.body_base = c.base;
  c.region = region_;
}

/// Operands below a new frame get their slots, like its parameters.
void QuickTranslator::flush_outer(D& d) {
  flush(d, 1);
  reset_registers();
}

/// Before a branch that carries many values: they get their slots, from which one cell moves them.
void QuickTranslator::flush_many(D& d, const V& condition, const C& target) {
  if (target.br_types().size() > kManyValues) flush_below(d, condition, 0);
}

void QuickTranslator::add_fixup(C& c, uint32_t cell, uint32_t base) {
  fixups_.push_back({cell, base, c.fixups});
  c.fixups = static_cast<uint32_t>(fixups_.size() - 1);
}

void QuickTranslator::bind(C& c) {
  for (uint32_t i = c.fixups; i != kNone; i = fixups_[i].next) {
    const Fixup& fixup = fixups_[i];
    if (fixup.base == kNone) {
      draft_->catches[fixup.cell].target = here();
    } else {
      emit_.code()[fixup.cell].imm = static_cast<int32_t>(here()) - static_cast<int32_t>(fixup.base);
    }
  }
  c.fixups = kNone;
  last_generic_ = kNone;
}

bool QuickTranslator::in_place(D& d, const C& target, size_t count) {
  std::span<V> stack = d.stack();
  uint32_t slot = target.base;
  for (size_t i = stack.size() - count; i < stack.size(); ++i) {
    if (stack[i].kind != Kind::slot || stack[i].at != slot) return false;
    slot += stack[i].type.slots();
  }
  return true;
}

/// In order: the slots of the label lie at or below the operands' own, so none is overwritten before it is read.
void QuickTranslator::move_results(D& d, const C& target) {
  std::span<V> stack = d.stack();
  uint32_t slot = target.base;
  const size_t first = stack.size() - target.br_types().size();
  if (stack.size() - first > kManyValues && in_slots_ >= stack.size()) {
    const uint32_t from = stack[first].slot, end = stack.back().slot + stack.back().type.slots();
    if (from == slot) return;
    Cell& c = emit_.cell(select_move_slots());
    c.a = static_cast<uint16_t>(slot);
    c.b = static_cast<uint16_t>(from);
    c.imm = static_cast<int32_t>(end - from);
    return;
  }
  for (size_t i = first; i < stack.size(); ++i) {
    move_to(slot, stack[i]);
    slot += stack[i].type.slots();
  }
}

void QuickTranslator::jump(D&, C& target) {
  if (target.kind == ControlKind::loop) {
    emit_.patch(emit_.branch(true), target.header);
  } else {
    add_fixup(target, here(), here());
    emit_.branch(false);
  }
}

void QuickTranslator::take_branch(D& d, uint32_t depth) {
  C& target = d.control(depth);
  if (target.kind == ControlKind::func) return emit_return(d);
  move_results(d, target);
  jump(d, target);
}

void QuickTranslator::block(D& d, C& c) {
  enter_frame(d, c);
  flush_outer(d);
}

void QuickTranslator::loop(D& d, C& c) {
  enter_frame(d, c);
  flush_outer(d);
  c.header = here();
  draft_->loops.push_back({static_cast<uint32_t>(d.offset()), here()});
}

void QuickTranslator::if_(D& d, C& c, const V& condition) {
  enter_frame(d, c);
  flush_below(d, condition, 1);
  c.else_site = static_cast<uint32_t>(branch_on(d, condition, false, false));
  reset_registers();
}

void QuickTranslator::else_(D& d, C& c, Results params) {
  if (d.reachable()) {
    settle(d);
    move_results(d, c);
    add_fixup(c, here(), here());
    emit_.branch(false);
  }
  emit_.patch(c.else_site, here());
  c.else_site = kNone;
  to_canonical(params, c.base);
  reset_registers();
  pending_.what = Pending::What::none;
  lazy_from_ = last_generic_ = kNone;
}

void QuickTranslator::finish(D& d, C& c, Results results) {
  if (d.reachable()) {
    settle(d);
    move_results(d, c);
  }
  if (c.else_site != kNone) emit_.patch(c.else_site, here());
  bind(c);
  to_canonical(results, c.base);
  reset_registers();
  pending_.what = Pending::What::none;
  lazy_from_ = last_generic_ = kNone;
}

void QuickTranslator::end(D& d, C& c, Results results) {
  look(d);
  switch (c.kind) {
    case ControlKind::func:
      if (d.reachable()) emit_return(d);
      return;
    case ControlKind::loop:
      // A loop's base is that of its parameters, and so of its results; nothing branches to its end.
      if (d.reachable()) {
        settle(d);
        uint32_t slot = c.base;
        std::span<V> stack = d.stack();
        for (size_t i = stack.size() - c.results.size(); i < stack.size(); ++i) {
          move_to(slot, stack[i]);
          slot += stack[i].type.slots();
        }
      }
      to_canonical(results, c.base);
      reset_registers();
      pending_.what = Pending::What::none;
      lazy_from_ = last_generic_ = kNone;
      return;
    case ControlKind::try_table:
    case ControlKind::try_:
      enter_region(draft_->regions[c.own_region].next);
      // The moves of the results throw nothing.
      return finish(d, c, results);
    case ControlKind::catch_:
    case ControlKind::catch_all_: {
      TryRegion& region = draft_->regions[c.own_region];
      region.first_catch = static_cast<uint32_t>(draft_->catches.size());
      for (uint32_t i = c.first_catch; i != kNone; i = pending_catches_[i].next) {
        draft_->catches.push_back(pending_catches_[i].clause);
        ++region.catches;
      }
      return finish(d, c, results);
    }
    default: return finish(d, c, results);
  }
}

void QuickTranslator::end_function(D&) {
  // Where exceptions land that a clause hands to a loop or to the function's end.
  for (const Landing& landing : landings_) {
    draft_->catches[landing.clause].target = here();
    if (landing.header == kNone) {
      return_from(type_->results, local_slots_);
    } else {
      emit_.patch(emit_.branch(true), landing.header);
    }
  }
}

// --- branches
// ----------------------------------------------------------------------------------------------------------

Emitter::Site QuickTranslator::branch_on(D& d, const V& condition, bool nonzero, bool back) {
  if (condition.kind == Kind::pending) {
    Pending& p = pending_;
    emit_.set_scratch(p.slot + 8u);
    if constexpr (kChecksUpperHalves) check_pending();
    if (p.what == Pending::What::binary && vm::family(p.op) == vm::Family::int_compare) {  // Rule::branch_on_comparison
      release_pending();
      p.what = Pending::What::none;
      return emit_.branch_compare(nonzero ? p.op : vm::inverted(p.op), p.a, p.b, back);
    }
    if (p.what == Pending::What::binary && vm::family(p.op) == vm::Family::float_compare) {
      release_pending();
      p.what = Pending::What::none;
      return emit_.branch_float(p.op, !nonzero, p.a, p.b, back);
    }
    if (p.what == Pending::What::unary && vm::family(p.op) == vm::Family::int_test) {  // Rule::branch_on_value
      release_pending();
      p.what = Pending::What::none;
      bool wide = p.op == Op::i64_eqz;
      Op op = nonzero ? (wide ? Op::i64_eq : Op::i32_eq) : (wide ? Op::i64_ne : Op::i32_ne);
      return emit_.branch_compare(op, p.a, Operand::constant(0), back);
    }
  }
  Operand tested = operand(d, condition);
  release(tested, false);
  emit_.set_scratch(condition.slot + 8u);
  emit_.check_i32(tested);
  return nonzero ? emit_.branch_nonzero(tested, back) : emit_.branch_zero(tested, back);
}

/// `test(taken, back)` emits the branch that is taken if the condition holds, or (taken false) if it does not.
template <class Test>
void QuickTranslator::branch_if(D& d, uint32_t depth, Test test) {
  look(d);
  C& target = d.control(depth);
  if (target.kind != ControlKind::func && in_place(d, target, target.br_types().size())) {
    bool back = target.kind == ControlKind::loop;
    auto site = static_cast<uint32_t>(test(true, back));
    if (back) {
      emit_.patch(site, target.header);
    } else {
      add_fixup(target, site, site);
    }
    return;
  }
  Emitter::Site skip = test(false, false);
  take_branch(d, depth);
  emit_.patch(skip, here());
  last_generic_ = kNone;
}

void QuickTranslator::br(D& d, uint32_t depth) {
  if (d.control(depth).br_types().size() > kManyValues) flush(d);
  settle(d);
  take_branch(d, depth);
}

void QuickTranslator::br_if(D& d, const V& condition, uint32_t depth) {
  flush_many(d, condition, d.control(depth));
  if (condition.kind != Kind::pending) settle(d);
  branch_if(d, depth, [&](bool taken, bool back) { return branch_on(d, condition, taken, back); });
}

void QuickTranslator::br_table(D& d, const V& index, std::span<const uint32_t> depths) {
  flush_many(d, index, d.control(depths.back()));  // all targets take as many values
  if (index.kind != Kind::pending) settle(d);
  Operand operand_index = operand(d, index);
  emit_.set_scratch(index.slot + 8u);
  emit_.check_i32(operand_index);
  Emitter::Site site = emit_.br_table(operand_index, static_cast<uint32_t>(depths.size() - 1));
  ++table_count_;
  for (uint32_t i = 0; i < depths.size(); ++i) {
    C& target = d.control(depths[i]);
    if (target.table_id != table_count_) {
      // Looked at once, however many of the labels are this one.
      look(d);
      if (interrupted_) return;
      target.table_id = table_count_;
      bool forward = target.kind != ControlKind::loop && target.kind != ControlKind::func;
      bool straight = forward && in_place(d, target, target.br_types().size());
      target.table_stub = straight ? kNone : here();
      if (!straight) take_branch(d, depths[i]);
    }
    if (target.table_stub == kNone) {
      add_fixup(target, static_cast<uint32_t>(site) + 1 + i, static_cast<uint32_t>(site));
    } else {
      emit_.patch_table(site, i, target.table_stub);
    }
  }
}

void QuickTranslator::return_(D& d) { emit_return(d); }

void QuickTranslator::emit_return(D& d) {
  std::span<const ValType> types = type_->results;
  std::span<V> stack = d.stack();
  if (types.empty()) {
    settle(d);
    emit_.cell(select_return());
    return;
  }
  if (types.size() == 1 && !is_vector(types[0])) {
    bool floating = is_float(types[0]);
    V& value = stack.back();
    if (value.kind == Kind::pending) {
      settle_into(d, Operand::reg(1));
      emit_.cell(select_return());
      return;
    }
    settle(d);
    Operand result = operand(value);
    if (result.is_imm()) {
      emit_.move(floating, Operand::reg(1), result);
      result = Operand::reg(1);
    }
    emit_.cell(floating ? select_return_float(result.loc) : select_return_int(result.loc)).a = result.slot;
    return;
  }
  settle(d);
  size_t first = stack.size() - types.size();
  uint32_t slot = stack[first].slot;
  for (size_t i = first; i < stack.size(); ++i) {
    if (stack[i].kind != Kind::slot) move_to(stack[i].slot, stack[i]);
  }
  return_from(types, slot);
}

/// Returns the values in consecutive slots from `slot` on, which lie above all locals.
void QuickTranslator::return_from(std::span<const ValType> types, uint32_t slot) {
  uint32_t total = 0;
  for (ValType type : types) total += type.slots();
  if (types.empty()) {
    emit_.cell(select_return());
    return;
  }
  bool in_register = !is_vector(types[0]);
  uint32_t skip = in_register ? 1 : 0;
  if (total == skip) {
    emit_.cell(is_float(types[0]) ? select_return_float(kSlot) : select_return_int(kSlot)).a =
        static_cast<uint16_t>(slot);
    return;
  }
  // The first result goes to its register before the others move, which may overwrite its slot.
  if (in_register) emit_.move(is_float(types[0]), Operand::reg(1), Operand::at_slot(slot));
  if (slot != 0) {
    Cell& c = emit_.cell(select_move_slots());
    c.a = static_cast<uint16_t>(skip);
    c.b = static_cast<uint16_t>(slot + skip);
    c.imm = static_cast<int32_t>(total - skip);
  }
  emit_.cell(select_return());
}

void QuickTranslator::charge(D& d, uint32_t units) {
  settle(d);  // what may trap in front of it
  mark(d);
  emit_.cell(select_charge()).imm = static_cast<int32_t>(units);
}

void QuickTranslator::unreachable(D& d) {
  settle(d);
  mark(d);
  emit_.cell(select_unreachable());
}

void QuickTranslator::br_on_null(D& d, const V& ref, uint32_t depth, V* result) {
  flush_many(d, ref, d.control(depth));
  unsettled(d.stack().size());
  if (ref.kind == Kind::pending) {
    // The reference stays in use on the way on: it needs a place of its own.
    Operand place = operand(d, ref);
    static_cast<QuickValue&>(*result) = ref;
    result->kind = place.is_slot() ? Kind::slot : Kind::reg;
    result->reg = place.loc;
    result->at = place.slot;
  } else {
    settle(d);
    static_cast<QuickValue&>(*result) = ref;
  }
  Operand tested = operand(*result);
  if (result->kind == Kind::local) lazy_from_ = std::min(lazy_from_, static_cast<uint32_t>(d.stack().size()));
  emit_.set_scratch(ref.slot + 8u);
  branch_if(d, depth, [&](bool taken, bool back) {
    return emit_.branch_compare(taken ? Op::i64_eq : Op::i64_ne, tested, Operand::constant(0), back);
  });
}

void QuickTranslator::br_on_non_null(D& d, const V& ref, uint32_t depth) {
  flush_many(d, ref, d.control(depth));
  settle(d);
  Operand tested = operand(ref);
  emit_.set_scratch(ref.slot + 8u);
  branch_if(d, depth, [&](bool taken, bool back) {
    return emit_.branch_compare(taken ? Op::i64_ne : Op::i64_eq, tested, Operand::constant(0), back);
  });
  release(ref);
}

void QuickTranslator::br_on_cast(D& d, Op, const vm::Immediate&, const V& ref, uint32_t, V* result) {
  settle(d);
  mark(d);
  emit_.cell(select_unsupported());
  static_cast<QuickValue&>(*result) = ref;
}

// --- exceptions
// --------------------------------------------------------------------------------------------------------

void QuickTranslator::enter_region(uint32_t region) {
  region_ = region;
  CodeVector<TrySpan>& spans = draft_->spans;
  if (spans.empty() || spans.back().cell != here()) {
    spans.push_back({here(), region});
  } else {
    spans.back().region = region;
  }
}

TryRegion& QuickTranslator::open_region(C& c) {
  c.region = c.own_region = static_cast<uint32_t>(draft_->regions.size());
  draft_->regions.push_back({region_, static_cast<uint32_t>(draft_->catches.size()), 0});
  enter_region(c.own_region);
  return draft_->regions.back();
}

void QuickTranslator::try_table(D& d, C& c, std::span<const vm::CatchClause> clauses) {
  enter_frame(d, c);
  flush_outer(d);
  TryRegion& region = open_region(c);
  for (const vm::CatchClause& clause : clauses) {
    C& target = d.control(clause.depth + 1);
    auto index = static_cast<uint32_t>(draft_->catches.size());
    bool with_ref = clause.kind == vm::CatchKind::catch_ref || clause.kind == vm::CatchKind::catch_all_ref;
    bool tagged = clause.kind == vm::CatchKind::catch_ || clause.kind == vm::CatchKind::catch_ref;
    Catch out{kNone, 0, static_cast<uint16_t>(target.base), kNoSlot};
    uint32_t payload = 0;
    if (tagged) {
      out.tag = clause.tag;
      payload = module_->registry->get(module_->tags[clause.tag].type).func.param_slots;
    }
    if (with_ref) out.exn_slot = static_cast<uint16_t>(target.base + payload);
    check_slot(target.base + payload + 1);
    draft_->catches.push_back(out);
    ++region.catches;
    if (target.kind == ControlKind::loop) {
      landings_.push_back({index, target.header});
    } else if (target.kind == ControlKind::func) {
      landings_.push_back({index, kNone});
    } else {
      add_fixup(target, index, kNone);
    }
  }
}

void QuickTranslator::try_(D& d, C& c) {
  enter_frame(d, c);
  flush_outer(d);
  open_region(c);
}

/// The try body or a catch part ends and another one follows.
void QuickTranslator::end_try_part(D& d, C& c) {
  if (d.reachable()) {
    settle(d);
    move_results(d, c);
    add_fixup(c, here(), here());
    emit_.branch(false);
  }
  if (c.kind == ControlKind::try_) {
    c.region = draft_->regions[c.own_region].next;
    enter_region(c.region);
  }
  reset_registers();
  pending_.what = Pending::What::none;
  lazy_from_ = last_generic_ = kNone;
}

void QuickTranslator::begin_catch(D& d, C& c, uint32_t tag) {
  look(d);
  // The first slot of the part is for the exnref, should a rethrow ask for it.
  c.body_base = c.base + 1;
  auto index = static_cast<uint32_t>(pending_catches_.size());
  pending_catches_.push_back({{tag, here(), static_cast<uint16_t>(c.body_base), kNoSlot}, kNone});
  if (c.first_catch == kNone) {
    c.first_catch = index;
  } else {
    pending_catches_[c.last_catch].next = index;
  }
  c.last_catch = index;
}

void QuickTranslator::catch_(D& d, C& c, uint32_t tag, Results params) {
  end_try_part(d, c);
  begin_catch(d, c, tag);
  to_canonical(params, c.body_base);
}

void QuickTranslator::catch_all(D& d, C& c) {
  end_try_part(d, c);
  begin_catch(d, c, kNone);
}

void QuickTranslator::delegate(D& d, C& c, uint32_t depth, Results results) {
  TryRegion& region = draft_->regions[c.own_region];
  enter_region(region.next);
  region.next = d.control(depth + 1).region;
  finish(d, c, results);
}

void QuickTranslator::rethrow(D& d, uint32_t depth) {
  settle(d);
  C& target = d.control(depth);
  pending_catches_[target.last_catch].clause.exn_slot = static_cast<uint16_t>(target.base);
  mark(d);
  draft_->call_cells.push_back(here() + 1);
  emit_.cell(select_throw_ref()).a = static_cast<uint16_t>(target.base);
  emit_.cell(nullptr);
}

void QuickTranslator::throw_(D& d, uint32_t tag, Operands args) {
  flush(d);
  uint32_t end = top(d);
  mark(d);
  draft_->call_cells.push_back(here() + 1);
  Cell& c = emit_.cell(select_throw());
  c.a = args.empty() ? 0 : args[0].slot;
  c.imm = static_cast<int32_t>(8 * end);
  emit_.cell(nullptr).u = tag;
}

void QuickTranslator::throw_ref(D& d, const V& exn) {
  Operand ref = operand(d, exn);
  settle(d);
  if (!ref.is_slot()) {
    emit_.move(false, Operand::at_slot(exn.slot), ref);
    ref = Operand::at_slot(exn.slot);
  }
  mark(d);
  draft_->call_cells.push_back(here() + 1);
  emit_.cell(select_throw_ref()).a = ref.slot;
  emit_.cell(nullptr);
}

}  // namespace vmrun::interp
