// Quick translator: calls, and the translation of a whole function.
#include <bit>

#include "interp/quick/quick.h"
#include "vm/base/assert.h"

namespace vmrun::interp {

using vm::FuncType;
using vm::ValType;

bool QuickTranslator::translate(const vm::Module& module, uint32_t func_index, MemoryMode memory0, Draft& draft,
                                const std::atomic<uint8_t>* interrupt) {
  draft.clear();
  module_ = &module;
  type_ = &module.func_type(func_index);
  draft_ = &draft;
  memory0_ = memory0;
  emit_.code().clear();
  pending_ = {};
  reset_registers();
  lazy_from_ = last_generic_ = kNone;
  in_slots_ = no_registers_ = 0;
  region_ = kNone;
  table_count_ = 0;
  failed_ = interrupted_ = false;
  interrupt_ = interrupt;
  fixups_.clear();
  pending_catches_.clear();
  landings_.clear();
  QuickConsumer consumer{this};
  D decoder(module, consumer);
  const bool decoded = decoder.decode(func_index);
  VMRUN_ASSERT(decoded || interrupted_, "a validated body decodes");
  std::swap(draft.cells, emit_.code());
  return !failed_ && !interrupted_;
}

QuickTranslator::Callee QuickTranslator::callee_of(D&, uint32_t func_index) {
  if (func_index < module_->imported_funcs) return {CallKind::import, {}, func_index};
  return {CallKind::direct, {}, reinterpret_cast<uint64_t>(&module_->code(func_index))};
}

void QuickTranslator::emit_call(D& d, Callee callee, const FuncType& type, Operands args, Results results,
                                const V* target) {
  look(d);
  std::span<V> stack = d.stack();
  size_t count = args.size(), first = stack.size() - count;
  uint32_t base = args.empty() ? top(d) : args[0].slot;

  // Where the target of an indirect call is: a register that carries no argument, a local's slot, or (then everything
  // outgoing must lie above it) its own slot.
  bool high = false;
  if (target != nullptr) {
    const Operand place = callee.operand = operand(d, *target);
    bool local = target->kind == Kind::local;
    if ((place.loc < 3 || place.is_imm()) && !local) {
      settle(d);  // what is held back may read that slot
      callee.operand = Operand::at_slot(target->slot);
      emit_.move(false, callee.operand, place);
      high = true;
    }
    release(place, false);
  }
  // The last argument, if it is still held back, may go right to its place.
  if (pending_.what != Pending::What::none) {
    unsigned taken = pending_.is_float ? free_floats_ : free_ints_;
    if (callee.operand.loc >= 3 && !pending_.is_float) taken &= ~(1u << (callee.operand.loc - 1));
    ParamWalk walk;
    int reg = -1;
    for (size_t i = 0; i < count; ++i) {
      ParamWalk::Place place = walk.next(type.params[i]);
      if (first + i == pending_.index) reg = place.reg;
    }
    if (reg >= 0 && (taken & (1u << reg)) != 0) {
      V& value = stack[pending_.index];
      settle_into(d, Operand::reg(reg + 1));
      (is_float(value.type) ? free_floats_ : free_ints_) &= ~(1u << reg);
      value.kind = Kind::reg;
      value.reg = static_cast<uint8_t>(reg + 1);
    } else {
      if (callee.operand.loc >= 3) free_ints_ &= ~(1u << (callee.operand.loc - 1));
      settle(d);
    }
  }
  for (size_t i = std::max(d.control(0).height, no_registers_); i < first; ++i) {
    if (stack[i].kind == Kind::reg) to_slot(stack[i]);
  }
  no_registers_ = static_cast<uint32_t>(first);
  const bool together = count > kManyValues;
  if (together) {
    for (size_t i = first; i < stack.size(); ++i) to_slot(stack[i]);
  }

  uint32_t end = base;
  for (size_t i = first; i < stack.size(); ++i) {
    high |= stack[i].kind == Kind::slot;
    end = stack[i].slot + stack[i].type.slots();
  }
  uint32_t frame = (high ? end + 1 : base) + kLinkSlots;

  // Arguments in slots first, then the registers.
  struct Source {
    bool used = false;
    Operand from;
  } ints[2], floats[2];
  ParamWalk walk;
  for (size_t i = 0; i < count; ++i) {
    ParamWalk::Place place = walk.next(type.params[i]);
    const V& value = stack[first + i];
    if (place.reg < 0) {
      if (!together) move_to(frame + place.slot, value);
    } else {
      (place.cls == RegClass::integer ? ints : floats)[place.reg] = {true, operand(value)};
    }
  }
  if (together) {
    Cell& move = emit_.cell(select_move_slots());
    move.a = static_cast<uint16_t>(frame);
    move.b = static_cast<uint16_t>(base);
    move.imm = static_cast<int32_t>(end - base);
  }
  uint32_t spare = frame + walk.slots();
  auto load = [&](Source(&sources)[2], bool floating) {
    Operand r0 = Operand::reg(1), r1 = Operand::reg(2);
    bool second_first = sources[1].used && sources[1].from == r0;
    if (second_first && sources[0].from == r1) {
      emit_.move(floating, Operand::at_slot(spare), r0);
      emit_.move(floating, r0, r1);
      emit_.move(floating, r1, Operand::at_slot(spare));
      return;
    }
    if (second_first) emit_.move(floating, r1, r0);
    if (sources[0].used) emit_.move(floating, r0, sources[0].from);
    if (sources[1].used && !second_first) emit_.move(floating, r1, sources[1].from);
  };
  load(ints, false);
  load(floats, true);

  mark(d);
  draft_->call_cells.push_back(here() + 1);
  Cell& c = emit_.cell(select_call(callee.kind, callee.operand.loc));
  c.a = callee.operand.slot;
  c.imm = static_cast<int32_t>(8 * frame);
  emit_.cell(nullptr).u = callee.data;

  reset_registers();
  last_generic_ = kNone;
  to_canonical(results, base);
  if (type.results.empty()) return;
  uint32_t skip = 0;
  if (!is_vector(results[0].type)) {
    skip = 1;
    unsettled(first);
    results[0].kind = Kind::reg;
    results[0].reg = 1;
    (is_float(results[0].type) ? free_floats_ : free_ints_) &= ~1u;
  }
  if (type.result_slots > skip) {
    Cell& move = emit_.cell(select_move_slots());
    move.a = static_cast<uint16_t>(base + skip);
    move.b = static_cast<uint16_t>(frame + skip);
    move.imm = static_cast<int32_t>(type.result_slots - skip);
  }
}

void QuickTranslator::emit_tail_call(D& d, Callee callee, const FuncType& type, Operands args, const V* target) {
  std::span<V> stack = d.stack();
  size_t count = args.size(), first = stack.size() - count;
  if (target != nullptr) {
    Operand place = operand(d, *target);
    settle(d);  // what is held back may read that slot
    if (place != Operand::at_slot(target->slot)) emit_.move(false, Operand::at_slot(target->slot), place);
    callee.operand = Operand::at_slot(target->slot);
  }
  settle(d);
  // By way of their own slots, which lie above all slots of this frame that the callee's parameters take.
  for (size_t i = first; i < stack.size(); ++i) to_slot(stack[i]);
  ParamWalk walk;
  for (size_t i = 0; i < count; ++i) {
    ParamWalk::Place place = walk.next(type.params[i]);
    const V& value = stack[first + i];
    if (place.reg >= 0) {
      emit_.move(place.cls == RegClass::floating, Operand::reg(place.reg + 1), Operand::at_slot(value.slot));
    } else {
      move_to(place.slot, value);
    }
  }
  mark(d);
  draft_->call_cells.push_back(here() + 1);
  Cell& c = emit_.cell(select_tail_call(callee.kind, callee.operand.loc));
  c.a = callee.operand.slot;
  c.imm = 0;
  emit_.cell(nullptr).u = callee.data;
}

void QuickTranslator::call(D& d, uint32_t func_index, const FuncType& type, Operands args, Results results) {
  emit_call(d, callee_of(d, func_index), type, args, results, nullptr);
}
void QuickTranslator::call_indirect(D& d, vm::TypeId type_id, uint32_t table, const FuncType& type, const V& index,
                                    Operands args, Results results) {
  uint64_t data = static_cast<uint32_t>(type_id) | uint64_t{table} << 32;
  emit_call(d, {CallKind::indirect, {}, data}, type, args, results, &index);
}
void QuickTranslator::call_ref(D& d, vm::TypeId, const FuncType& type, const V& ref, Operands args, Results results) {
  emit_call(d, {CallKind::ref, {}, 0}, type, args, results, &ref);
}
void QuickTranslator::return_call(D& d, uint32_t func_index, const FuncType& type, Operands args) {
  emit_tail_call(d, callee_of(d, func_index), type, args, nullptr);
}
void QuickTranslator::return_call_indirect(D& d, vm::TypeId type_id, uint32_t table, const FuncType& type,
                                           const V& index, Operands args) {
  uint64_t data = static_cast<uint32_t>(type_id) | uint64_t{table} << 32;
  emit_tail_call(d, {CallKind::indirect, {}, data}, type, args, &index);
}
void QuickTranslator::return_call_ref(D& d, vm::TypeId, const FuncType& type, const V& ref, Operands args) {
  emit_tail_call(d, {CallKind::ref, {}, 0}, type, args, &ref);
}

}  // namespace vmrun::interp
