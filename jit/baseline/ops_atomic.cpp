// Atomic instructions. All are sequentially consistent: loads are plain, stores are exchanges, and what the processor has
// no instruction for is a loop of compare and exchange. An address that is not naturally aligned traps before the access
// is tried.
#include "jit/baseline/compiler.h"
#include "jit/baseline/machine_x86_64.h"

namespace vmrun::jit::baseline {

namespace Inst = asmjit::x86::Inst;
using asmjit::x86::ptr;

template <Helper which, uint8_t operands>
void FunctionCompiler::atomic_ask(D& d, const Row&, const Imm& imm, const V* args, V* result) {
  helper_op(d, which, imm.mem.memory, {args, operands}, result, &imm.mem);
}

std::span<const FunctionCompiler::Row> FunctionCompiler::atomic_rows() {
  using F = FunctionCompiler;
  // An instruction that reads, changes and writes, in each width.
#define VMRUN_CHANGE(name, ...)                                                                      \
  {Op::i32_atomic_rmw_##name, __VA_ARGS__}, {Op::i64_atomic_rmw_##name, __VA_ARGS__},                \
      {Op::i32_atomic_rmw8_##name##_u, __VA_ARGS__}, {Op::i32_atomic_rmw16_##name##_u, __VA_ARGS__}, \
      {Op::i64_atomic_rmw8_##name##_u, __VA_ARGS__}, {Op::i64_atomic_rmw16_##name##_u, __VA_ARGS__}, \
      {Op::i64_atomic_rmw32_##name##_u, __VA_ARGS__},
  // clang-format off: a row per line
  static constexpr Row kRows[] = {
      {Op::atomic_fence, &F::atomic_fence},
      {Op::memory_atomic_notify, &F::atomic_ask<Helper::atomic_notify, 2>},
      {Op::memory_atomic_wait32, &F::atomic_ask<Helper::atomic_wait32, 3>},
      {Op::memory_atomic_wait64, &F::atomic_ask<Helper::atomic_wait64, 3>},
      {Op::i32_atomic_load, &F::atomic_load},
      {Op::i64_atomic_load, &F::atomic_load},
      {Op::i32_atomic_load8_u, &F::atomic_load},
      {Op::i32_atomic_load16_u, &F::atomic_load},
      {Op::i64_atomic_load8_u, &F::atomic_load},
      {Op::i64_atomic_load16_u, &F::atomic_load},
      {Op::i64_atomic_load32_u, &F::atomic_load},
      {Op::i32_atomic_store, &F::atomic_store},
      {Op::i64_atomic_store, &F::atomic_store},
      {Op::i32_atomic_store8, &F::atomic_store},
      {Op::i32_atomic_store16, &F::atomic_store},
      {Op::i64_atomic_store8, &F::atomic_store},
      {Op::i64_atomic_store16, &F::atomic_store},
      {Op::i64_atomic_store32, &F::atomic_store},
      VMRUN_CHANGE(add, &F::atomic_add)
      VMRUN_CHANGE(sub, &F::atomic_sub)
      VMRUN_CHANGE(xchg, &F::atomic_exchange)
      VMRUN_CHANGE(and, &F::atomic_change, Inst::kIdAnd)
      VMRUN_CHANGE(or, &F::atomic_change, Inst::kIdOr)
      VMRUN_CHANGE(xor, &F::atomic_change, Inst::kIdXor)
      VMRUN_CHANGE(cmpxchg, &F::atomic_cmpxchg)
  };
  // clang-format on
#undef VMRUN_CHANGE
  return kRows;
}

asmjit::x86::Gp FunctionCompiler::sized(uint8_t reg, unsigned size) {
  switch (size) {
    case 1: return asmjit::x86::gpb_lo(reg);
    case 2: return asmjit::x86::gpw(reg);
    case 4: return w(reg);
    default: return q(reg);
  }
}

void FunctionCompiler::zero_extend(uint8_t reg, unsigned size) {
  if (size < 4) {
    a_.movzx(w(reg), sized(reg, size));
  } else if (size == 4) {
    a_.mov(w(reg), w(reg));
  }
}

asmjit::x86::Mem FunctionCompiler::atomic_address(D& d, const vm::MemArg& mem, const V& index, unsigned size) {
  uint32_t owned = owned_int_;
  const Index from = index_of(index);
  const uint8_t reg = from.reg();
  add_offset(d, from, mem.offset, false);
  TrappingMachine machine(a_, [&](Cond cond) { trap_if(d, cond, TrapCode::UnalignedAtomic); });
  rules::aligned_address(machine, kScratch, size);
  Mem out = ptr(q(r14), q(kScratch));
  if (mem.memory != 0 || !memory0_guarded_) {
    if (module_->memories[mem.memory].limits.is64 && mem.offset != 0) {
      TrappingMachine bounds(a_, [&](Cond cond) { trap_if(d, cond, TrapCode::MemoryOutOfBounds); });
      rules::wrapped_sum(bounds, kScratch, reg);
    }
  }
  // The index is not needed any more, whosever register it was in.
  if (index.kind == Kind::reg) owned &= ~(1u << reg);
  free_int_ |= owned_int_ & ~owned;
  owned_int_ = owned;
  if (mem.memory != 0 || !memory0_guarded_) {
    const uint8_t limit = take_int();
    out = checked_address(d, mem.memory, limit, size);
    free_int_ |= 1u << limit;
    owned_int_ &= ~(1u << limit);
  }
  out.setSize(size);
  return out;
}

void FunctionCompiler::atomic_fence(D&, const Row&, const Imm&, const V*, V*) { a_.mfence(); }

void FunctionCompiler::atomic_load(D& d, const Row& row, const Imm& imm, const V* args, V* result) {
  const unsigned size = access_size(row);
  const uint8_t to = take_int();
  Mem mem = atomic_address(d, imm.mem, args[0], size);
  mark(d);
  if (size < 4) {
    a_.movzx(w(to), mem);
  } else {
    a_.mov(sized(to, size), mem);
  }
  result_reg(*result, to);
}

void FunctionCompiler::atomic_store(D& d, const Row& row, const Imm& imm, const V* args, V*) {
  const unsigned size = access_size(row);
  const uint8_t value = take_int();
  move_to_int(value, args[1]);
  Mem mem = atomic_address(d, imm.mem, args[0], size);
  mark(d);
  a_.xchg(mem, sized(value, size));
}

void FunctionCompiler::atomic_add(D& d, const Row& row, const Imm& imm, const V* args, V* result) {
  const uint8_t value = take_int();
  move_to_int(value, args[1]);
  add_locked(d, row, imm, args[0], value, result);
}

void FunctionCompiler::atomic_sub(D& d, const Row& row, const Imm& imm, const V* args, V* result) {
  const uint8_t value = take_int();
  move_to_int(value, args[1]);
  a_.neg(q(value));
  add_locked(d, row, imm, args[0], value, result);
}

void FunctionCompiler::add_locked(D& d, const Row& row, const Imm& imm, const V& index, uint8_t value, V* result) {
  const unsigned size = access_size(row);
  Mem mem = atomic_address(d, imm.mem, index, size);
  mark(d);
  a_.lock().xadd(mem, sized(value, size));
  zero_extend(value, size);
  result_reg(*result, value);
}

void FunctionCompiler::atomic_exchange(D& d, const Row& row, const Imm& imm, const V* args, V* result) {
  const unsigned size = access_size(row);
  const uint8_t value = take_int();
  move_to_int(value, args[1]);
  Mem mem = atomic_address(d, imm.mem, args[0], size);
  mark(d);
  a_.xchg(mem, sized(value, size));
  zero_extend(value, size);
  result_reg(*result, value);
}

void FunctionCompiler::atomic_change(D& d, const Row& row, const Imm& imm, const V* args, V* result) {
  const unsigned size = access_size(row), width = size < 4 ? 4 : size;
  V own_args[2] = {args[0], args[1]};
  take_fixed(rax, own_args);
  const uint8_t value = fetch_int(own_args[1]);
  const uint8_t changed = take_int();
  Mem mem = atomic_address(d, imm.mem, own_args[0], size);
  mark(d);
  if (size < 4) {
    a_.movzx(w(rax), mem);
  } else {
    a_.mov(sized(rax, size), mem);
  }
  Label again = a_.new_label();
  a_.bind(again);
  a_.mov(sized(changed, width), sized(rax, width));
  a_.emit(row.id, sized(changed, width), sized(value, width));
  mark(d);
  a_.lock().cmpxchg(mem, sized(changed, size), sized(rax, size));
  a_.jne(again);
  zero_extend(rax, size);
  result_reg(*result, rax);
}

void FunctionCompiler::atomic_cmpxchg(D& d, const Row& row, const Imm& imm, const V* args, V* result) {
  const unsigned size = access_size(row);
  V own_args[3] = {args[0], args[1], args[2]};
  const bool in_place = args[1].kind == Kind::reg && args[1].reg == rax;
  if (!in_place) take_fixed(rax, own_args);
  const uint8_t replacement = fetch_int(own_args[2]);
  if (!in_place) {
    move_to_int(rax, own_args[1]);
    if (own_args[1].kind == Kind::reg) free_int_ |= 1u << own_args[1].reg, owned_int_ &= ~(1u << own_args[1].reg);
  }
  Mem mem = atomic_address(d, imm.mem, own_args[0], size);
  mark(d);
  a_.lock().cmpxchg(mem, sized(replacement, size), sized(rax, size));
  zero_extend(rax, size);
  result_reg(*result, rax);
}

}  // namespace vmrun::jit::baseline
