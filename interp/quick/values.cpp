// Quick translator: operands and plain instructions.
#include <bit>
#include <cstring>

#include "interp/handlers/op_types.h"
#include "interp/quick/quick.h"
#include "interp/rules.h"
#include "vm/base/assert.h"
#include "vm/wasm/signature.h"

namespace vmrun::interp {

using vm::Family;
using vm::Immediate;
using vm::ValType;

// ---- operands -------------------------------------------------------------------------------------------------------

uint32_t QuickTranslator::top(D& d) {
  std::span<V> stack = d.stack();
  const C& c = d.control(0);
  uint32_t slot = stack.size() > c.height ? stack.back().slot + stack.back().type.slots() : c.body_base;
  check_slot(slot);
  return slot;
}

int QuickTranslator::take_register(bool is_float) {
  unsigned& free = is_float ? free_floats_ : free_ints_;
  if (free == 0) return 0;
  // From the top: the first ones carry arguments and results of calls.
  int reg = 32 - std::countl_zero(free);
  free &= ~(1u << (reg - 1));
  return reg;
}

void QuickTranslator::release(Operand operand, bool is_float) {
  if (operand.loc >= 1 && operand.loc <= 4) (is_float ? free_floats_ : free_ints_) |= 1u << (operand.loc - 1);
}

void QuickTranslator::release(const V& value) {
  if (value.kind == Kind::reg) (is_float(value.type) ? free_floats_ : free_ints_) |= 1u << (value.reg - 1);
}

/// Where code is checked: the i32 operands of the instruction held back.
void QuickTranslator::check_pending() {
  const Pending& p = pending_;
  switch (p.what) {
    case Pending::What::binary:
    case Pending::What::unary:
      if (!vm::takes(p.op, vm::kI32)) return;
      emit_.check_i32(p.a);
      if (p.what == Pending::What::binary) emit_.check_i32(p.b);
      return;
    case Pending::What::load_indexed: emit_.check_i32(p.b); [[fallthrough]];
    case Pending::What::load:
    case Pending::What::load_wrapped: return emit_.check_i32(p.a);
    case Pending::What::select: return emit_.check_i32(p.c);
    case Pending::What::none:
    case Pending::What::global: return;
  }
}

void QuickTranslator::emit_pending(Operand dest) {
  Pending& p = pending_;
  emit_.set_scratch(p.slot + 8u);
  if constexpr (kChecksUpperHalves) check_pending();
  if (p.traps) draft_->marks.push_back({here(), p.source});
  switch (p.what) {
    case Pending::What::none: break;
    case Pending::What::binary: emit_.binary(p.op, dest, p.a, p.b); break;
    case Pending::What::unary: emit_.unary(p.op, dest, p.a); break;
    case Pending::What::load: emit_.load(p.op, dest, p.a, p.offset); break;
    case Pending::What::load_wrapped: emit_.load_wrapped(p.op, dest, p.a, static_cast<int32_t>(p.offset)); break;
    case Pending::What::load_indexed:
      emit_.load_indexed(p.op, dest, p.a, p.b, 0, static_cast<uint32_t>(p.offset));
      break;
    case Pending::What::select: emit_.select(p.is_float, dest, p.a, p.b, p.c); break;
    case Pending::What::global: emit_.global_get(p.is_float, p.own, static_cast<uint32_t>(p.offset), dest); break;
  }
  p.what = Pending::What::none;
}

void QuickTranslator::release_pending() {
  bool select = pending_.what == Pending::What::select;
  release(pending_.a, select ? pending_.is_float : pending_.arg_float);
  release(pending_.b, select ? pending_.is_float : pending_.arg_float);
  release(pending_.c, false);
}

void QuickTranslator::settle_into(D&, Operand dest) {
  release_pending();
  emit_pending(dest);
}

void QuickTranslator::settle(D& d) {
  if (pending_.what == Pending::What::none) return;
  release_pending();
  unsettled(pending_.index);
  V& value = d.stack()[pending_.index];
  if (int reg = take_register(pending_.is_float)) {
    value.kind = Kind::reg;
    value.reg = static_cast<uint8_t>(reg);
    emit_pending(Operand::reg(reg));
  } else {
    value.kind = Kind::slot;
    value.at = value.slot;
    emit_pending(Operand::at_slot(value.slot));
  }
}

Operand QuickTranslator::operand(const V& value) {
  switch (value.kind) {
    case Kind::constant: return Operand::constant(value.bits);
    case Kind::reg: return Operand::reg(value.reg);
    default: return Operand::at_slot(value.at);
  }
}

Operand QuickTranslator::operand(D& d, const V& popped) {
  if (popped.kind != Kind::pending) return operand(popped);
  release_pending();
  int reg = take_register(pending_.is_float);
  Operand dest = reg != 0 ? Operand::reg(reg) : Operand::at_slot(popped.slot);
  (void)d;
  emit_pending(dest);
  return dest;
}

void QuickTranslator::move_to(uint32_t slot, const V& value) {
  if (is_vector(value.type)) {
    if (value.at == slot) return;
    Cell& c = emit_.cell(select_move_vector());
    c.a = static_cast<uint16_t>(slot);
    c.b = value.at;
  } else {
    emit_.move(is_float(value.type), Operand::at_slot(slot), operand(value));
  }
}

void QuickTranslator::to_slot(V& value) {
  if (value.kind == Kind::slot) return;
  move_to(value.slot, value);
  release(value);
  value.kind = Kind::slot;
  value.at = value.slot;
}

uint16_t QuickTranslator::slot_of(D& d, V& value) {
  if (value.kind == Kind::pending) {
    settle_into(d, Operand::at_slot(value.slot));
    value.kind = Kind::slot;
    value.at = value.slot;
  }
  if (value.kind != Kind::local) to_slot(value);
  return value.at;
}

void QuickTranslator::flush(D& d, uint32_t frames) {
  settle(d);
  std::span<V> stack = d.stack();
  for (size_t i = std::max(d.control(frames).height, in_slots_); i < stack.size(); ++i) to_slot(stack[i]);
  in_slots_ = no_registers_ = static_cast<uint32_t>(stack.size());
  lazy_from_ = last_generic_ = kNone;
}

void QuickTranslator::flush_below(D& d, const V& condition, uint32_t frames) {
  if (condition.kind != Kind::pending) return flush(d, frames);
  std::span<V> stack = d.stack();
  for (size_t i = std::max(d.control(frames).height, in_slots_); i < stack.size(); ++i) to_slot(stack[i]);
  in_slots_ = no_registers_ = static_cast<uint32_t>(stack.size());
  lazy_from_ = last_generic_ = kNone;
}

void QuickTranslator::detach_local(D& d, uint32_t slot) {
  std::span<V> stack = d.stack();
  if (lazy_from_ >= stack.size() - 1) return;
  size_t from = std::max<size_t>(lazy_from_, d.control(0).height), end = stack.size() - 1;
  // After a long scan all of them get their slots, so that no code can make every assignment scan far.
  bool all = end - from > 64;
  lazy_from_ = kNone;
  for (size_t i = from; i < end; ++i) {
    if (stack[i].kind != Kind::local) continue;
    if (all || stack[i].at == slot) {
      to_slot(stack[i]);
    } else if (lazy_from_ == kNone) {
      lazy_from_ = static_cast<uint32_t>(i);
    }
  }
}

void QuickTranslator::to_canonical(Results results, uint32_t slot) {
  for (V& result : results) {
    result.kind = Kind::slot;
    result.slot = result.at = static_cast<uint16_t>(slot);
    slot += result.type.slots();
  }
  check_slot(slot);
}

void QuickTranslator::hold(D& d, const V* first_arg, uint32_t slot, V* result) {
  pending_.index = static_cast<uint32_t>(first_arg - d.stack().data());
  unsettled(pending_.index);
  pending_.slot = static_cast<uint16_t>(slot);
  pending_.source = static_cast<uint32_t>(d.offset());
  result->kind = Kind::pending;
  result->slot = static_cast<uint16_t>(slot);
}

// ---- locals ---------------------------------------------------------------------------------------------------------

void QuickTranslator::local_get(D& d, uint32_t index, V* result) {
  result->slot = static_cast<uint16_t>(top(d));
  result->kind = Kind::local;
  result->at = static_cast<uint16_t>(local_slot_[index]);
  lazy_from_ = std::min(lazy_from_, static_cast<uint32_t>(d.stack().size()));
  unsettled(d.stack().size());
}

void QuickTranslator::local_set(D& d, uint32_t index, const V& value) {
  uint32_t slot = local_slot_[index];
  bool vector = is_vector(value.type);
  if (value.kind == Kind::pending) {
    // Operands that stand for the local are older than the instruction held back, so they get their slots first; that
    // does not touch what it reads, because it reads the local itself.
    detach_local(d, slot);
    settle_into(d, Operand::at_slot(slot));
    return;
  }
  settle(d);
  if (last_generic_ != kNone && last_generic_end_ == here() && value.kind == Kind::slot &&
      emit_.code()[last_generic_].a == value.at) {
    size_t lazy = lazy_from_;
    if (lazy >= d.stack().size() - 1) {
      emit_.code()[last_generic_].a = static_cast<uint16_t>(slot);
      last_generic_ = kNone;
      return;
    }
  }
  detach_local(d, slot);
  if (vector || value.kind != Kind::local || value.at != slot) move_to(slot, value);
  release(value);
}

void QuickTranslator::local_tee(D& d, uint32_t index, const V& value, V* result) {
  uint16_t slot = value.slot;
  local_set(d, index, value);
  result->kind = Kind::local;
  result->slot = slot;
  result->at = static_cast<uint16_t>(local_slot_[index]);
  lazy_from_ = std::min(lazy_from_, static_cast<uint32_t>(d.stack().size() - 1));
  unsettled(d.stack().size() - 1);
}

void QuickTranslator::drop(D& d, const V& value) {
  if (value.kind == Kind::pending) {
    if (pending_.traps) {
      settle_into(d, Operand::at_slot(value.slot));
    } else {
      release_pending();
      pending_.what = Pending::What::none;
    }
    return;
  }
  release(value);
}

// ---- plain instructions ---------------------------------------------------------------------------------------------

/// A numeric instruction is held back, for the one that takes its result.
void QuickTranslator::compute(D& d, Op op, const V* args, V* result) {
  if (op == Op::i64_extend_i32_u) {  // Rule::extend_is_free
    static_cast<QuickValue&>(*result) = args[0];
    return;
  }
  if (pending_.what != Pending::What::none) settle(d);
  const OpTypes& types = types_of(op);
  const bool binary = vm::is_binary(vm::family(op));
  pending_.what = binary ? Pending::What::binary : Pending::What::unary;
  pending_.op = op;
  pending_.is_float = types.float_result;
  pending_.arg_float = types.float_operands;
  pending_.traps = vm::op_info(op).can_trap();
  pending_.a = operand(args[0]);
  pending_.b = binary ? operand(args[1]) : Operand{};
  pending_.c = {};
  hold(d, args, args[0].slot, result);
}

void QuickTranslator::op(D& d, Op op, const Immediate& imm, Operands operands, Results outputs) {
  const V* const args = operands.data();
  V* const results = outputs.data();
  const Family family = vm::family(op);
  if (vm::is_binary(family) || vm::is_unary(family)) return compute(d, op, args, results);
  if ((family == Family::load || family == Family::store) && imm.mem.memory == 0 && memory0_ == MemoryMode::guarded) {
    return family == Family::load ? load(d, op, imm, args, results) : store(d, op, imm, args);
  }

  auto constant = [&](uint64_t bits) {
    unsettled(d.stack().size());
    results->kind = Kind::constant;
    results->slot = static_cast<uint16_t>(top(d));
    results->bits = bits;
  };
  switch (op) {
    case Op::i32_const: return constant(static_cast<uint32_t>(imm.i32));
    case Op::i64_const: return constant(static_cast<uint64_t>(imm.i64));
    case Op::f32_const: return constant(imm.f32bits);
    case Op::f64_const: return constant(imm.f64bits);
    case Op::ref_null: return constant(0);
    case Op::v128_const: {
      settle(d);
      uint32_t slot = top(d);
      last_generic_ = here();
      emit_.cell(select_const_vector()).a = static_cast<uint16_t>(slot);
      Cell& data = emit_.cell(nullptr);
      data.w = imm.v128.lo;
      data.u = imm.v128.hi;
      last_generic_end_ = here();
      return to_canonical(outputs, slot);
    }
    case Op::ref_is_null:  // Rule::test_zero
      settle(d);
      pending_.what = Pending::What::unary;
      pending_.op = Op::i64_eqz;
      pending_.is_float = pending_.arg_float = pending_.traps = false;
      pending_.a = operand(args[0]);
      pending_.b = pending_.c = {};
      return hold(d, args, args[0].slot, results);
    case Op::select:
    case Op::select_t: return select(d, args, results);
    case Op::global_get:
    case Op::global_set: {
      const vm::GlobalType& type = module_->globals[imm.index].type;
      if (is_vector(type.type)) break;
      bool own = imm.index >= module_->imported_globals;
      uint64_t where = own ? (imm.index - module_->imported_globals) * sizeof(vm::GlobalInst) : imm.index;
      settle(d);
      if (op == Op::global_set) {
        emit_.set_scratch(args[0].slot + 8u);
        emit_.global_set(is_float(type.type), own, static_cast<uint32_t>(where), operand(args[0]));
        return release(args[0]);
      }
      pending_.what = Pending::What::global;
      pending_.is_float = is_float(type.type);
      pending_.arg_float = pending_.traps = false;
      pending_.own = own;
      pending_.offset = where;
      pending_.a = pending_.b = pending_.c = {};
      uint32_t slot = top(d);
      return hold(d, d.stack().data() + d.stack().size(), slot, results);
    }
    default: break;
  }

  generic(d, op, imm, operands, outputs);
}

void QuickTranslator::generic(D& d, Op op, const Immediate& imm, Operands args, Results results) {
  const std::span<V> operands = d.stack().last(args.size());
  uint16_t src[4] = {}, dst[2] = {};
  // The one held back first, in its turn: nothing has been written since it was.
  settle(d);
  uint32_t slot = !operands.empty() ? operands[0].slot : top(d);
  if (operands.size() <= std::size(src)) {
    for (size_t i = 0; i < operands.size(); ++i) src[i] = slot_of(d, operands[i]);
  }
  to_canonical(results, slot);
  for (size_t i = 0; i < results.size(); ++i) dst[i] = results[i].slot;
  if constexpr (kChecksUpperHalves) {
    for (size_t i = 0; i < std::min(operands.size(), std::size(src)); ++i) {
      if (operands[i].type == vm::kI32) emit_.check_i32(Operand::at_slot(src[i]));
    }
  }
  mark(d);
  Cell cells[kMaxGenericCells];
  std::memset(static_cast<void*>(cells), 0, sizeof cells);
  uint32_t count = emit_generic(cells, GenericEnv{*module_, memory0_}, op, imm, dst, src);
  if (count == 0) {
    emit_.cell(select_unsupported());
    return;
  }
  last_generic_ = results.size() == 1 ? here() : kNone;
  for (uint32_t i = 0; i < count; ++i) emit_.cell(nullptr) = cells[i];
  last_generic_end_ = here();
}

void QuickTranslator::load(D& d, Op op, const Immediate& imm, const V* args, V* results) {
  const OpTypes& types = types_of(op);
  auto what = Pending::What::load;
  uint64_t offset = imm.mem.offset;
  Operand a, b;
  // An address that was just added up is computed by the load. Rule::address_wrapped, Rule::address_indexed
  if (args[0].kind == Kind::pending && pending_.what == Pending::What::binary && pending_.op == Op::i32_add &&
      !pending_.a.is_imm()) {
    if (pending_.b.is_imm() && offset == 0) {
      what = Pending::What::load_wrapped;
      a = pending_.a;
      offset = pending_.b.imm;
    } else if (!pending_.b.is_imm() && rules::fits_indexed(offset)) {
      what = Pending::What::load_indexed;
      a = pending_.a;
      b = pending_.b;
    }
  }
  if (what == Pending::What::load) {
    settle(d);
    a = operand(args[0]);
  }
  pending_.what = what;
  pending_.op = op;
  pending_.is_float = types.float_result;
  pending_.arg_float = false;
  pending_.traps = true;
  pending_.a = a;
  pending_.b = b;
  pending_.c = {};
  pending_.offset = offset;
  hold(d, args, args[0].slot, results);
}

void QuickTranslator::store(D& d, Op op, const Immediate& imm, const V* args) {
  bool value_float = types_of(op).float_operands;
  uint64_t offset = imm.mem.offset;
  if (args[0].kind == Kind::pending && pending_.what == Pending::What::binary && pending_.op == Op::i32_add &&
      !pending_.a.is_imm() &&
      ((pending_.b.is_imm() && offset == 0) || (!pending_.b.is_imm() && rules::fits_indexed(offset)))) {
    Operand a = pending_.a, b = pending_.b, value = operand(args[1]);
    release_pending();
    pending_.what = Pending::What::none;
    emit_.set_scratch(args[0].slot + 8u);
    emit_.check_i32(a);
    emit_.check_i32(b);
    mark(d);
    if (b.is_imm()) {
      emit_.store_wrapped(op, a, static_cast<int32_t>(b.imm), value);
    } else {
      emit_.store_indexed(op, a, b, 0, static_cast<uint32_t>(offset), value);
    }
    release(args[1]);
    return;
  }
  settle(d);
  emit_.set_scratch(args[0].slot + 8u);
  emit_.check_i32(operand(args[0]));
  if (args[1].type == vm::kI32) emit_.check_i32(operand(args[1]));
  mark(d);
  emit_.store(op, operand(args[0]), offset, operand(args[1]));
  release(args[0]);
  release(Operand(operand(args[1])), value_float);
}

void QuickTranslator::select(D& d, const V* args, V* results) {
  settle(d);
  if (is_vector(args[0].type)) {
    std::span<V> stack = d.stack();
    V* operands = stack.data() + (args - stack.data());
    uint16_t src[3];
    for (int i = 0; i < 3; ++i) src[i] = slot_of(d, operands[i]);
    to_canonical(Results(results, 1), args[0].slot);
    last_generic_ = here();
    Cell& c = emit_.cell(select_select_vector());
    c.a = results->slot;
    c.b = src[0];
    c.c = src[1];
    c.d = src[2];
    last_generic_end_ = here();
    return;
  }
  pending_.what = Pending::What::select;
  pending_.is_float = is_float(args[0].type);
  pending_.arg_float = pending_.traps = false;
  pending_.a = operand(args[0]);
  pending_.b = operand(args[1]);
  pending_.c = operand(args[2]);
  hold(d, args, args[0].slot, results);
}

}  // namespace vmrun::interp
