#include "interp/careful/build.h"

#include <algorithm>

#include "interp/careful/limits.h"
#include "interp/handlers/generic.h"
#include "vm/base/assert.h"

namespace vmrun::interp::ir {

using vm::Op;
using vm::ValType;

bool Builder::build(uint32_t func_index, MemoryMode memory0) {
  memory0_ = memory0;
  f_.clear();
  declined_ = false;
  depth_ = tables_ = 0;
  block_begin_ = 0;
  settled_ = 0;
  looks_ = 0;
  last_effect_ = last_access_ = last_call_ = -1;
  where_ = module_.funcs[func_index].body.begin;
  type_ = &module_.func_type(func_index);
  return decoder_.decode(func_index) && !declined_;
}

// ---- registers, blocks, instructions ---------------------------------------------------------------------------------

uint32_t Builder::new_regs(std::span<const ValType> types) {
  uint32_t first = static_cast<uint32_t>(f_.regs.size());
  for (ValType type : types) new_reg(content_of(type));
  return first;
}

void Builder::start_block() {
  uint32_t begin = static_cast<uint32_t>(f_.code.size());
  if (f_.blocks.empty() || f_.blocks.back().begin != begin) f_.blocks.push_back({begin});
  block_begin_ = static_cast<int32_t>(begin);
}

namespace {
bool has_effect(const Inst& x) {
  switch (x.kind) {
    case Kind::store:
    case Kind::call:
    case Kind::read_modify:
    case Kind::generic:
    case Kind::charge:
    case Kind::global_set:
    case Kind::global_adjust:
    case Kind::global_set_add: return true;
    case Kind::binary: return vm::family(x.op) == vm::Family::int_divide;
    case Kind::unary: return vm::op_info(x.op).can_trap();
    default: return false;
  }
}
}  // namespace

Inst& Builder::emit(Inst x) {
  int32_t at = size();
  x.depth = static_cast<uint8_t>(std::min<uint32_t>(depth_, 8));
  if (x.a != kNoReg) f_.regs[x.a].use = at;
  if (x.b != kNoReg) f_.regs[x.b].use = at;
  if (x.c != kNoReg) f_.regs[x.c].use = at;
  if (x.d != kNoReg) f_.regs[x.d].def = at;
  if (has_effect(x)) last_effect_ = last_access_ = at;
  if (x.kind == Kind::load || x.kind == Kind::load_op) last_access_ = at;
  if (x.kind == Kind::call) last_call_ = at;
  f_.code.push_back(x);
  if (f_.code.size() > kCarefulInsts) decline();
  return f_.code.back();
}

uint32_t Builder::reg_of(const V& v) {
  if (!v.is_const()) return v.reg;
  Inst x = make(Kind::move);
  x.flags = kConstA;
  x.imm = v.bits;
  return emit_to_new(x, content_of(v.type));
}

/// reg = v. When v's definition is the last instruction and v is not needed otherwise, it defines `reg` instead.
void Builder::move_to(uint32_t reg, const V& v, bool may_retarget) {
  if (may_retarget && v.source == Source::reg) {
    int32_t def = f_.regs[v.reg].def;
    if (def == size() - 1 && def >= block_begin_ && f_.code.back().d == v.reg && f_.regs[v.reg].place == Place::any &&
        f_.code.back().kind != Kind::call) {
      f_.code.back().d = reg;
      f_.regs[reg].def = def;
      return;
    }
  }
  if (!v.is_const() && v.reg == reg) return;
  Inst x = make(Kind::move);
  if (v.is_const()) {
    x.flags = kConstA;
    x.imm = v.bits;
  } else {
    x.a = v.reg;
  }
  x.d = reg;
  emit(x);
}

std::span<Builder::V> Builder::unsettled(D& d) const {
  std::span<V> stack = d.stack();
  return stack.subspan(std::min<size_t>(settled_, stack.size()));
}

void Builder::settle_local(D& d, uint32_t local) {
  // After a long scan all of them get registers, so that no code can make every assignment scan far.
  if (d.stack().size() > settled_ + size_t{64}) return settle(d);
  for (V& v : look_at(unsettled(d))) {
    if (v.source != Source::local || v.reg != local) continue;
    Inst x = make(Kind::move);
    x.a = local;
    set_reg(&v, emit_to_new(x, content_of_reg(local)));
  }
  lazy_[local] = 0;
}

void Builder::settle(D& d) {
  for (V& v : look_at(unsettled(d))) {
    if (v.source != Source::local) continue;
    Inst x = make(Kind::move);
    x.a = v.reg;
    set_reg(&v, emit_to_new(x, content_of_reg(v.reg)));
  }
  settled_ = static_cast<uint32_t>(d.stack().size());
}

// ---- locals ----------------------------------------------------------------------------------------------------------

void Builder::begin(D& d) {
  std::span<const ValType> locals = d.locals();
  f_.locals = static_cast<uint32_t>(locals.size());
  if (f_.locals > 8000) {
    decline();
    return;
  }
  lazy_.assign(locals.size(), 0);
  uint32_t slot = 0;
  for (ValType type : locals) {
    new_reg(content_of(type), Place::any, slot);
    slot += type.slots();
  }
  f_.local_slots = f_.first_temp = slot;
  start_block();

  size_t params = type_->params.size();
  ParamWalk walk;
  for (uint32_t i = 0; i < params; i++) {
    ParamWalk::Place place = walk.next(locals[i]);
    Inst x = make(Kind::move);
    x.d = i;
    if (place.reg >= 0) {
      x.a = new_reg(content_of_reg(i), Place::reg, static_cast<uint32_t>(place.reg));
      f_.regs[i].hint = static_cast<int8_t>(place.reg);
    } else {
      x.a = new_reg(content_of_reg(i), Place::own_slot, place.slot);
    }
    emit(x);
  }
  for (uint32_t i = static_cast<uint32_t>(params); i < f_.locals; i++) {
    Inst x = make(Kind::move);
    x.flags = kConstA;
    x.d = i;
    emit(x);
  }
  // What follows must not be moved into these.
  start_block();

  C& c = d.control(0);
  c.label = kNone;
}

void Builder::local_get(D& d, uint32_t index, V* result) {
  result->source = Source::local;
  result->reg = index;
  lazy_[index]++;
  settled_ = std::min(settled_, static_cast<uint32_t>(d.stack().size()));
}

void Builder::local_set(D& d, uint32_t index, const V& v) {
  if (v.source == Source::local && v.reg == index) return;
  where_ = static_cast<uint32_t>(d.offset());
  V value = v;
  bool lazy = lazy_[index] != 0;
  if (value.source == Source::reg) {
    int32_t def = f_.regs[value.reg].def;
    bool ours = def >= block_begin_ && f_.code[static_cast<size_t>(def)].d == value.reg;
    if (ours && def == size() - 1) {
      if (lazy) {
        // Old values of the local on the stack are saved in front of the definition.
        Inst last = f_.code.back();
        f_.code.pop_back();
        settle_local(d, index);
        last.d = index;
        emit(last);
      } else {
        f_.code.back().d = index;
        f_.regs[index].def = def;
      }
      return;
    }
    if (ours && !lazy && f_.regs[index].def < def && f_.regs[index].use <= def) {
      f_.code[static_cast<size_t>(def)].d = index;
      f_.regs[index].def = def;
      return;
    }
  }
  if (lazy) settle_local(d, index);
  move_to(index, value, false);
}

void Builder::local_tee(D& d, uint32_t index, const V& v, V* result) {
  V value = v;
  local_set(d, index, v);
  if (value.is_const()) {
    set_const(result, value.bits);
    return;
  }
  result->source = Source::local;
  result->reg = index;
  lazy_[index]++;
  settled_ = std::min(settled_, static_cast<uint32_t>(d.stack().size() - 1));
}

// ---- control ---------------------------------------------------------------------------------------------------------

void Builder::block(D& d, C& c) {
  settle(d);
  c.label = new_label();
  c.merge = new_regs(c.results);
}

void Builder::loop(D& d, C& c) {
  where_ = static_cast<uint32_t>(d.offset());
  settle(d);
  std::span<V> stack = d.stack();
  size_t base = stack.size() - c.params.size();
  c.merge = new_regs(c.params);
  moves_for(d, c.params, c.merge, false);
  for (size_t i = 0; i < c.params.size(); i++) set_reg(&stack[base + i], c.merge + static_cast<uint32_t>(i));
  c.label = new_label();
  depth_++;
  f_.max_depth = std::max(f_.max_depth, depth_);
  bind(c.label);

  Header header{c.label, static_cast<uint32_t>(d.offset()), static_cast<uint32_t>(f_.canonical.size()), 0};
  uint32_t slot = f_.local_slots;
  for (const V& v : look_at(stack)) {
    if (!v.is_const()) f_.canonical.push_back({v.reg, slot});
    slot += v.type.slots();
  }
  f_.first_temp = std::max(f_.first_temp, slot);
  if (f_.canonical.size() > kCarefulInsts) decline();
  header.count = static_cast<uint32_t>(f_.canonical.size()) - header.list;
  f_.headers.push_back(header);
}

void Builder::if_(D& d, C& c, const V& condition_value) {
  where_ = static_cast<uint32_t>(d.offset());
  c.label = new_label();
  c.else_label = new_label();
  c.merge = new_regs(c.results);
  std::span<V> stack = d.stack();
  // The parameters of both arms are in registers that neither arm changes.
  size_t base = stack.size() - c.params.size();
  V cond = condition_value;
  Inst branch = condition(cond, true, c.else_label);
  settle(d);
  if (!c.params.empty()) {
    c.params_reg = static_cast<uint32_t>(f_.extra.size());
    for (size_t i = base; i < stack.size(); i++) {
      uint32_t reg = reg_of(stack[i]);
      set_reg(&stack[i], reg);
      f_.extra.push_back(reg);
    }
  }
  emit(branch);
  start_block();
}

void Builder::else_(D& d, C& c, Results params) {
  where_ = static_cast<uint32_t>(d.offset());
  if (d.reachable()) {
    moves_for(d, c.results, c.merge, true);
    Inst x = make(Kind::branch);
    x.target = c.label;
    emit(x);
  }
  bind(c.else_label);
  c.else_label = kNone;
  for (size_t i = 0; i < c.params.size(); i++) set_reg(&params[i], f_.extra[c.params_reg + i]);
}

void Builder::end(D& d, C& c, Results results) {
  where_ = static_cast<uint32_t>(d.offset());
  if (c.kind == vm::ControlKind::func) {
    if (d.reachable()) emit_return(d);
    return;
  }
  if (c.kind == vm::ControlKind::loop) {
    depth_--;
    // Nothing but the fallthrough gets here, so that the results are the operands themselves.
    std::span<V> stack = d.stack();
    if (d.reachable()) {
      const std::span<V> operands = look_at(stack.last(c.results.size()));
      for (size_t i = 0; i < c.results.size(); i++) {
        V v = operands[i];
        ValType type = results[i].type;
        results[i] = v;
        results[i].type = type;
      }
    } else {
      for (V& r : results) set_reg(&r, new_reg(content_of(r.type)));
    }
    start_block();
    return;
  }
  if (c.kind == vm::ControlKind::if_) {
    // No else: its parameters are the results.
    if (d.reachable()) {
      moves_for(d, c.results, c.merge, true);
      if (!c.results.empty()) {
        Inst x = make(Kind::branch);
        x.target = c.label;
        emit(x);
      }
    }
    bind(c.else_label);
    for (size_t i = 0; i < c.results.size(); i++) {
      Inst x = make(Kind::move);
      x.a = f_.extra[c.params_reg + i];
      x.d = c.merge + static_cast<uint32_t>(i);
      emit(x);
    }
  } else if (d.reachable()) {
    moves_for(d, c.results, c.merge, true);
  }
  bind(c.label);
  for (size_t i = 0; i < c.results.size(); i++) set_reg(&results[i], c.merge + static_cast<uint32_t>(i));
}

/// Moves the topmost operands of `types` into the registers from `first` on, as if all at once.
void Builder::moves_for(D& d, std::span<const ValType> types, uint32_t first, bool may_retarget) {
  if (types.empty()) return;
  std::span<V> operands = look_at(d.stack().last(types.size()));
  uint32_t n = static_cast<uint32_t>(types.size());
  if (n > 1) {
    may_retarget = false;
    for (uint32_t i = 0; i < n; i++) {  // a source that an earlier move overwrites is saved first
      V& v = operands[i];
      if (v.is_const() || v.reg < first || v.reg >= first + i) continue;
      Inst x = make(Kind::move);
      x.a = v.reg;
      set_reg(&v, emit_to_new(x, content_of_reg(v.reg)));
    }
  }
  for (uint32_t i = 0; i < n; i++) move_to(first + i, operands[i], may_retarget);
}

void Builder::jump(D& d, uint32_t depth, bool may_retarget) {
  C& c = d.control(depth);
  if (c.kind == vm::ControlKind::func) {
    emit_return(d);
    return;
  }
  moves_for(d, c.br_types(), c.merge, may_retarget);
  Inst x = make(Kind::branch);
  x.target = c.label;
  emit(x);
}

void Builder::br(D& d, uint32_t depth) {
  where_ = static_cast<uint32_t>(d.offset());
  jump(d, depth, true);
  end_path();
}

void Builder::br_if(D& d, const V& cond, uint32_t depth) {
  where_ = static_cast<uint32_t>(d.offset());
  C& c = d.control(depth);
  if (!needs_moves(c)) {
    emit(condition(cond, false, c.label));
    start_block();
    return;
  }
  uint32_t skip = new_label();
  emit(condition(cond, true, skip));
  start_block();
  // The moves must not change what stays on the stack, so saved copies are for this path only.
  std::vector<V> operands(d.stack().end() - static_cast<ptrdiff_t>(c.br_types().size()), d.stack().end());
  jump(d, depth, false);
  std::copy(operands.begin(), operands.end(), d.stack().end() - static_cast<ptrdiff_t>(operands.size()));
  bind(skip);
}

void Builder::br_table(D& d, const V& index, std::span<const uint32_t> depths) {
  where_ = static_cast<uint32_t>(d.offset());
  if (depths.size() > 0xffff) {
    decline();
    return;
  }
  Inst x = make(Kind::br_table);
  x.a = reg_of(index);
  x.list = static_cast<uint32_t>(f_.extra.size());
  x.count = static_cast<uint16_t>(depths.size());
  f_.extra.resize(f_.extra.size() + depths.size());
  // Labels that take operands (or return) are reached through a landing each.
  std::vector<uint32_t> landings;  // their depths
  tables_++;
  for (size_t i = 0; i < depths.size(); i++) {
    C& c = d.control(depths[i]);
    if (needs_moves(c) && c.table != tables_) {
      c.table = tables_;
      c.landing = new_label();
      landings.push_back(depths[i]);
    }
    f_.extra[x.list + i] = needs_moves(c) ? c.landing : c.label;
  }
  emit(x);
  start_block();
  for (uint32_t depth : landings) {
    if (declined_) return;
    bind(d.control(depth).landing);
    std::vector<V> operands(d.stack().end() - static_cast<ptrdiff_t>(d.control(depth).br_types().size()),
                            d.stack().end());
    jump(d, depth, false);
    std::copy(operands.begin(), operands.end(), d.stack().end() - static_cast<ptrdiff_t>(operands.size()));
  }
  end_path();
}

void Builder::return_(D& d) {
  where_ = static_cast<uint32_t>(d.offset());
  emit_return(d);
  end_path();
}

void Builder::charge(D& d, uint32_t units) {
  where_ = static_cast<uint32_t>(d.offset());
  Inst x = make(Kind::charge);
  x.imm = units;
  emit(x);
}

void Builder::unreachable(D& d) {
  where_ = static_cast<uint32_t>(d.offset());
  emit(make(Kind::unreachable));
  end_path();
}

void Builder::br_on_null(D& d, const V& ref, uint32_t depth, V* result) {
  where_ = static_cast<uint32_t>(d.offset());
  uint32_t reg = reg_of(ref);
  if (ref.source == Source::local) {
    Inst x = make(Kind::move);
    x.a = reg;
    reg = emit_to_new(x, kI64Content);
  }
  uint32_t skip = new_label();
  Inst x = make(Kind::branch_if, Op::i64_ne);
  x.a = reg;
  x.flags = kConstB;
  x.target = skip;
  emit(x);
  start_block();
  jump(d, depth, false);
  bind(skip);
  set_reg(result, reg);
}

void Builder::br_on_non_null(D& d, const V& ref, uint32_t depth) {
  where_ = static_cast<uint32_t>(d.offset());
  uint32_t skip = new_label();
  Inst x = make(Kind::branch_if, Op::i64_eq);
  x.a = reg_of(ref);
  x.flags = kConstB;
  x.target = skip;
  emit(x);
  start_block();
  jump(d, depth, false);
  bind(skip);
}

// --- events without code, and those that are left to the quick translator --------------------------------------------

void Builder::end_function(D&) {}
void Builder::drop(D&, const V&) {}
void Builder::try_table(D&, C&, std::span<const vm::CatchClause>) { decline(); }
void Builder::try_(D&, C&) { decline(); }
void Builder::catch_(D&, C&, uint32_t, Results) { decline(); }
void Builder::catch_all(D&, C&) { decline(); }
void Builder::delegate(D&, C&, uint32_t, Results) { decline(); }
void Builder::rethrow(D&, uint32_t) { decline(); }
void Builder::throw_(D&, uint32_t, Operands) { decline(); }
void Builder::throw_ref(D&, const V&) { decline(); }
void Builder::br_on_cast(D&, vm::Op, const vm::Immediate&, const V&, uint32_t, V*) { decline(); }

}  // namespace vmrun::interp::ir
