// The builder's calls and returns: values move to where the calling convention wants them.
#include <algorithm>

#include "interp/careful/build.h"

namespace vmrun::interp::ir {

using vm::ValType;

void Builder::emit_return(D& d) {
  std::span<const ValType> types = type_->results;
  Inst x = make(Kind::ret);
  std::span<V> stack = d.stack();
  size_t base = stack.size() - types.size();
  if (types.size() == 1 && types[0].slots() == 1) {
    x.a = reg_of(stack[base]);
    emit(x);
    return;
  }
  x.list = static_cast<uint32_t>(f_.extra.size());
  // Results go to slots where locals may still be read: copies first.
  std::vector<uint32_t> copies;
  for (size_t i = 0; i < types.size(); i++) {
    Inst copy = make(Kind::move);
    V v = stack[base + i];
    if (v.is_const()) {
      copy.flags = kConstA;
      copy.imm = v.bits;
    } else {
      copy.a = v.reg;
    }
    copies.push_back(emit_to_new(copy, content_of(types[i])));
  }
  uint32_t slot = 0;
  for (size_t i = 0; i < types.size(); i++) {
    const Content content = content_of(types[i]);
    Inst move = make(Kind::move);
    move.a = copies[i];
    bool in_reg = i == 0 && content.cls != Class::vector;
    move.d = in_reg ? new_reg(content, Place::reg, 0) : new_reg(content, Place::own_slot, slot);
    f_.extra.push_back(move.d);
    emit(move);
    slot += types[i].slots();
  }
  x.count = static_cast<uint16_t>(types.size());
  f_.first_temp = std::max(f_.first_temp, slot);
  emit(x);
}

/// Moves arguments to where the callee expects them. A tail call's go into this very frame, after copies.
void Builder::place_args(Inst& x, const vm::FuncType& type, Operands args, bool tail) {
  size_t n = args.size();
  x.count = static_cast<uint16_t>(n);
  std::vector<uint32_t> places(n);
  std::vector<bool> done(n);
  std::vector<V> values(args.begin(), args.end());
  ParamWalk walk;
  for (size_t i = 0; i < n; i++) {
    ParamWalk::Place p = walk.next(type.params[i]);
    const Content content = content_of(type.params[i]);
    places[i] = p.reg >= 0 ? new_reg(content, Place::reg, static_cast<uint32_t>(p.reg))
                           : new_reg(content, tail ? Place::own_slot : Place::callee_slot, p.slot);
  }
  if (tail) {
    for (size_t i = 0; i < n; i++) {
      if (values[i].is_const()) continue;
      Inst copy = make(Kind::move);
      copy.a = values[i].reg;
      set_reg(&values[i], emit_to_new(copy, content_of_reg(copy.a)));
    }
    f_.first_temp = std::max(f_.first_temp, walk.slots());
  } else {
    // A value defined in this block, with no call and no other use since, is defined in its place right away.
    for (size_t i = 0; i < n; i++) {
      V& v = values[i];
      if (v.source != Source::reg) continue;
      int32_t def = f_.regs[v.reg].def;
      if (def < block_begin_ || def < last_call_ || f_.code[static_cast<size_t>(def)].d != v.reg) continue;
      if (f_.code[static_cast<size_t>(def)].kind == Kind::call) continue;
      if (f_.regs[v.reg].use > def || v.reg == x.b || f_.regs[v.reg].place != Place::any) continue;
      f_.code[static_cast<size_t>(def)].d = places[i];
      f_.regs[places[i]].def = def;
      done[i] = true;
    }
  }
  for (size_t i = 0; i < n; i++) {
    if (done[i]) continue;
    const V& v = values[i];
    if (!v.is_const() && f_.regs[places[i]].place == Place::reg && f_.regs[v.reg].hint < 0) {
      f_.regs[v.reg].hint = static_cast<int8_t>(f_.regs[places[i]].slot);
    }
    move_to(places[i], v, false);
  }
  x.list = static_cast<uint32_t>(f_.extra.size());
  f_.extra.insert(f_.extra.end(), places.begin(), places.end());
}

void Builder::emit_call(D& d, Inst x, const vm::FuncType& type, Operands args, Results results) {
  (void)d;
  f_.has_call = true;
  place_args(x, type, args, false);
  size_t n = type.results.size();
  if (n > 0 && type.results[0].slots() == 1) {
    x.d = new_reg(content_of(type.results[0]));
    f_.regs[x.d].hint = 0;
    set_reg(&results[0], x.d);
  }
  emit(x);
  uint32_t slot = 0;
  for (size_t i = 0; i < n; i++) {
    if (i > 0 || type.results[0].slots() > 1) {
      Inst move = make(Kind::move);
      const Content content = content_of(type.results[i]);
      move.a = new_reg(content, Place::callee_slot, slot);
      set_reg(&results[i], emit_to_new(move, content));
    }
    slot += type.results[i].slots();
  }
}

void Builder::emit_tail_call(Inst x, const vm::FuncType& type, Operands args) {
  place_args(x, type, args, true);
  emit(x);
  end_path();
}

void Builder::call(D& d, uint32_t func, const vm::FuncType& type, Operands args, Results results) {
  where_ = static_cast<uint32_t>(d.offset());
  Inst x = make(Kind::call);
  x.call = func < module_.imported_funcs ? CallKind::import : CallKind::direct;
  x.imm = func;
  emit_call(d, x, type, args, results);
}

void Builder::call_indirect(D& d, vm::TypeId type_id, uint32_t table, const vm::FuncType& type, const V& index,
                            Operands args, Results results) {
  where_ = static_cast<uint32_t>(d.offset());
  Inst x = make(Kind::call);
  x.call = CallKind::indirect;
  x.imm = static_cast<uint64_t>(type_id) | uint64_t{table} << 32;
  x.b = reg_of(index);
  emit_call(d, x, type, args, results);
}

void Builder::call_ref(D& d, vm::TypeId, const vm::FuncType& type, const V& ref, Operands args, Results results) {
  where_ = static_cast<uint32_t>(d.offset());
  Inst x = make(Kind::call);
  x.call = CallKind::ref;
  x.b = reg_of(ref);
  emit_call(d, x, type, args, results);
}

void Builder::return_call(D& d, uint32_t func, const vm::FuncType& type, Operands args) {
  where_ = static_cast<uint32_t>(d.offset());
  Inst x = make(Kind::tail_call);
  x.call = func < module_.imported_funcs ? CallKind::import : CallKind::direct;
  x.imm = func;
  emit_tail_call(x, type, args);
}

void Builder::return_call_indirect(D& d, vm::TypeId type_id, uint32_t table, const vm::FuncType& type, const V& index,
                                   Operands args) {
  where_ = static_cast<uint32_t>(d.offset());
  Inst x = make(Kind::tail_call);
  x.call = CallKind::indirect;
  x.imm = static_cast<uint64_t>(type_id) | uint64_t{table} << 32;
  // A copy: arguments are about to be moved into the frame.
  Inst copy = make(Kind::move);
  copy.a = reg_of(index);
  x.b = emit_to_new(copy, content_of_reg(copy.a));
  emit_tail_call(x, type, args);
}

void Builder::return_call_ref(D& d, vm::TypeId, const vm::FuncType& type, const V& ref, Operands args) {
  where_ = static_cast<uint32_t>(d.offset());
  Inst x = make(Kind::tail_call);
  x.call = CallKind::ref;
  Inst copy = make(Kind::move);
  copy.a = reg_of(ref);
  x.b = emit_to_new(copy, kI64Content);
  emit_tail_call(x, type, args);
}

}  // namespace vmrun::interp::ir
