// Calls and tail calls of functions, and calls of helpers. See jit/crossing/abi.h for where everything travels.
#include <algorithm>
#include <bit>

#include "jit/baseline/compiler.h"
#include "vm/base/assert.h"

namespace vmrun::jit::baseline {

using asmjit::x86::ptr;

void FunctionCompiler::parallel_moves(std::vector<Move>& moves, bool vec) {
  auto emit = [&](uint8_t to, uint8_t from, bool narrow) {
    if (vec) return move_vec(to, from);
    narrow ? move_clean(to, from) : move_int(to, from);
  };
  // A cycle goes by way of a register that no argument is in: xmm7 may be an argument's own, but where targets are
  // sources, not all of xmm8 to xmm15 are.
  uint8_t scratch = vec ? 8 : kScratch;
  while (vec && scratch < 15 && std::ranges::find(moves, scratch, &Move::from) != moves.end()) ++scratch;
  std::erase_if(moves, [](const Move& m) { return m.to == m.from; });
  while (!moves.empty()) {
    bool progress = false;
    for (size_t i = 0; i < moves.size();) {
      Move m = moves[i];
      bool read = false;
      for (const Move& other : moves) read |= other.from == m.to;
      if (read) {
        ++i;
        continue;
      }
      emit(m.to, m.from, m.narrow);
      moves[i] = moves.back();
      moves.pop_back();
      progress = true;
    }
    if (progress) continue;
    uint8_t taken = moves[0].to;
    emit(scratch, taken, false);
    for (Move& m : moves) {
      if (m.from == taken) m.from = scratch;
    }
  }
}

/// Puts arguments into registers and area, and `record` (if any) into rbx. Operands beneath the arguments must be out of
/// the registers, and no home dirty.
void FunctionCompiler::place_args(D&, const FuncType& type, Operands args, uint8_t record) {
  size_t count = type.params.size();
  PlaceWalk walk = PlaceWalk::params();
  bool area = false;
  for (size_t i = 0; i < count; ++i) {
    Place place = walk.next(type.params[i]);
    if (place.in != Place::In::area) continue;
    if (!area) {
      preempt_off();
      a_.mov(q(kScratch), at(r12, layout::vcpu::area));
      area = true;
    }
    store_to_area(at(kScratch, static_cast<int32_t>(kAreaSlot * place.index)), args[i]);
  }
  auto register_of = [&](const V& value) -> uint8_t {
    if (value.kind == Kind::reg) return value.reg;
    if (value.kind != Kind::local) return kNoHome;
    uint8_t h = home_of(static_cast<uint32_t>(value.bits));
    return h != kNoHome && (state_.loaded >> h & 1) != 0 ? homes_[h].reg : kNoHome;
  };
  for (bool vec : {false, true}) {
    moves_.clear();
    if (!vec && record != kNoHome) moves_.push_back({rbx, record});
    PlaceWalk registers = PlaceWalk::params();
    for (size_t i = 0; i < count; ++i) {
      Place place = registers.next(type.params[i]);
      if (place.in == Place::In::area || (place.in == Place::In::vector) != vec) continue;
      uint8_t from = register_of(args[i]);
      const uint8_t to = vec ? static_cast<uint8_t>(place.index) : kIntArgs[place.index];
      if (from != kNoHome) moves_.push_back({to, from, type.params[i] == vm::kI32});
    }
    parallel_moves(moves_, vec);
  }
  PlaceWalk memory = PlaceWalk::params();
  for (size_t i = 0; i < count; ++i) {
    Place place = memory.next(type.params[i]);
    if (place.in == Place::In::area || register_of(args[i]) != kNoHome) continue;
    if (place.in == Place::In::vector) {
      move_to_vec(static_cast<uint8_t>(place.index), args[i]);
    } else {
      move_to_int(kIntArgs[place.index], args[i]);
    }
  }
  check_params(type, kScratch);
}

void FunctionCompiler::reload_context() {
  a_.mov(q(r12), at(rbp, -8));
  a_.mov(q(r13), at(rbp, -16));
  a_.mov(q(r14), at(rbp, -24));
}

/// A call that may throw ends here.
void FunctionCompiler::call_site(D& d) {
  mark(d);
  if (region_ != kNone) call_in_region(region_);
}

void FunctionCompiler::call_in_region(uint32_t in) {
  Region& region = regions_[in];
  if (!region.used) {
    region.used = true;
    region.pad = a_.new_label();
  }
  made_.pads.push_back({here(), in});  // the pad's address is filled in when it is known
}

/// Homes that are read behind the call at hand: by the code there, or because operands beneath the arguments name them.
HomeMask FunctionCompiler::live_after(D& d, size_t args) {
  const LivePoint* const point = scan_.live(static_cast<uint32_t>(d.offset()));
  if (point == nullptr) return kAllHomes;
  HomeMask live = point->live;
  const std::span<V> stack = d.stack();
  for (size_t i = std::max<size_t>(lazy_, settled_); i + args < stack.size(); ++i) {
    if (stack[i].kind != Kind::local) continue;
    const uint8_t h = home_of(static_cast<uint32_t>(stack[i].bits));
    if (h != kNoHome) live |= HomeMask{1} << h;
  }
  return live;
}

void FunctionCompiler::emit_call(D& d, CalleeKind kind, uint32_t func_index, const FuncType& type, Operands args,
                                 Results results, uint8_t record, bool tail) {
  uint32_t base = args.empty() ? top(d) : args[0].slot;
  if (!tail) {
    pushes(d.stack().size() - args.size());
    flush_registers(d, args.size());
    store_dirty(live_after(d, args.size()));
  }
  place_args(d, type, args, record);
  if (kind == CalleeKind::direct) {
    own_code(r9, func_index);
  } else {
    a_.mov(q(r9), at(rbx, layout::func_record::code));
    a_.mov(q(r11), q(r13));
    // A host function has neither instance nor memory: its trampoline ignores what is passed.
    a_.mov(q(r13), at(rbx, layout::func_record::instance));
    a_.mov(q(r14), at(rbx, layout::func_record::memory0_base));
  }
  if (module_->metered) a_.mov(q(rax), at(r12, layout::vcpu::fuel));
  finish_op();
  Mem entry = at(r9, layout::func_code::machine);
  entry.setSize(8);
  if (tail) {
    preempt_off();
    emit_frame_end();
    a_.jmp(entry);
    preempt_on();
    return;
  }
  a_.call(entry);
  call_site(d);
  free_int_ = all_int_;
  free_vec_ = all_vec_;
  forget_homes();
  take_results(d, type, base, results);
}

void FunctionCompiler::take_results(D&, const FuncType& type, uint32_t base, Results results) {
  PlaceWalk count = PlaceWalk::results();
  for (ValType result : type.results) count.next(result);
  if (count.area_slots() != 0) preempt_off();
  reload_context();
  PlaceWalk walk = PlaceWalk::results();
  uint32_t slot = base;
  bool area = false;
  for (size_t i = 0; i < type.results.size(); ++i) {
    ValType t = type.results[i];
    set_slot(results[i], slot);
    Place place = walk.next(t);
    if (place.in == Place::In::area) {
      if (!area) a_.mov(q(kScratch), at(r12, layout::vcpu::area));
      area = true;
      copy_from_area(slot, at(kScratch, static_cast<int32_t>(kAreaSlot * place.index)), t);
    } else {
      set_reg(results[i], 0, slot);  // rax, xmm0
      results[i].raw = t == vm::kI32;
      if (place.in == Place::In::integer) check_upper(rax, t, r10);
      (place.in == Place::In::vector ? free_vec_ : free_int_) &= ~1u;
    }
    slot += t.slots();
  }
  preempt_on();
}

void FunctionCompiler::any_call(D& d, uint32_t func_index, const FuncType& type, Operands args, Results results,
                                bool tail) {
  if (func_index >= module_->imported_funcs) {
    emit_call(d, CalleeKind::direct, func_index, type, args, results, kNoHome, tail);
    return;
  }
  uint8_t record = take_int();
  a_.mov(q(record), at(r13, layout::instance::funcs));
  a_.mov(q(record), entry_at(record, func_index, 8));
  emit_call(d, CalleeKind::record, func_index, type, args, results, record, tail);
}

/// The record that a table's entry points to, in a temporary.
uint8_t FunctionCompiler::find_record(D& d, vm::TypeId type_id, uint32_t table, const V& index) {
  uint8_t record = table_entry(d, table, index, TrapCode::UndefinedElement);
  a_.test(q(record), q(record));
  trap_if(d, Cond::kZ, TrapCode::UninitializedElement);
  a_.cmp_long(at(record, layout::func_record::type), static_cast<uint32_t>(type_id));
  uses_type(here() - 4, type_id, TypeUse::As::id);
  if (module_->registry->get(type_id).final_) {  // no other type is a subtype
    trap_if(d, Cond::kNE, TrapCode::IndirectCallTypeMismatch);
    return record;
  }
  Label same = a_.new_label();
  a_.je(same);
  // Everything in registers waits on the stack while the helper looks at the types.
  constexpr uint8_t kSaved[] = {rax, rcx, rdx, rsi, rdi, r8, r9, r10};
  constexpr int32_t kBytes = 8 * 8 + 16 * 16;
  a_.sub(q(rsp), kBytes);
  for (int i = 0; i < 8; ++i) a_.mov(at(rsp, 8 * i), q(kSaved[i]));
  for (int i = 0; i < 16; ++i) a_.vmovups(at(rsp, 64 + 16 * i), x(static_cast<uint8_t>(i)));
  move_int(rdx, record);
  a_.mov(w(rcx), static_cast<uint32_t>(type_id));
  uses_type(here() - 4, type_id, TypeUse::As::id);
  a_.mov(q(rsi), q(r13));
  call_helper(Helper::check_callee);
  mark(d);
  for (int i = 0; i < 8; ++i) a_.mov(q(kSaved[i]), at(rsp, 8 * i));
  for (int i = 0; i < 16; ++i) a_.vmovups(x(static_cast<uint8_t>(i)), at(rsp, 64 + 16 * i));
  a_.add(q(rsp), kBytes);
  a_.bind(same);
  return record;
}

void FunctionCompiler::call_helper(Helper helper) {
  a_.mov(q(rdi), q(r12));
  a_.mov(q(rax), at(r12, layout::vcpu::helpers));
  Mem entry = at(rax, 8 * static_cast<int32_t>(helper));
  entry.setSize(8);
  a_.call(entry);
}

void FunctionCompiler::call(D& d, uint32_t func_index, const FuncType& type, Operands args, Results results) {
  any_call(d, func_index, type, args, results, false);
}
void FunctionCompiler::return_call(D& d, uint32_t func_index, const FuncType& type, Operands args) {
  any_call(d, func_index, type, args, {}, true);
}

void FunctionCompiler::call_indirect(D& d, vm::TypeId type_id, uint32_t table, const FuncType& type, const V& index,
                                     Operands args, Results results) {
  own(index);
  uint8_t record = find_record(d, type_id, table, index);
  count_target(d, record);
  emit_call(d, CalleeKind::record, 0, type, args, results, record, false);
}
void FunctionCompiler::return_call_indirect(D& d, vm::TypeId type_id, uint32_t table, const FuncType& type,
                                            const V& index, Operands args) {
  own(index);
  uint8_t record = find_record(d, type_id, table, index);
  emit_call(d, CalleeKind::record, 0, type, args, {}, record, true);
}

void FunctionCompiler::call_ref(D& d, vm::TypeId, const FuncType& type, const V& ref, Operands args, Results results) {
  own(ref);
  uint8_t record = fetch_int(ref);
  a_.test(q(record), q(record));
  trap_if(d, Cond::kZ, TrapCode::NullFunctionReference);
  emit_call(d, CalleeKind::record, 0, type, args, results, record, false);
}
void FunctionCompiler::return_call_ref(D& d, vm::TypeId, const FuncType& type, const V& ref, Operands args) {
  own(ref);
  uint8_t record = fetch_int(ref);
  a_.test(q(record), q(record));
  trap_if(d, Cond::kZ, TrapCode::NullFunctionReference);
  emit_call(d, CalleeKind::record, 0, type, args, {}, record, true);
}

}  // namespace vmrun::jit::baseline
