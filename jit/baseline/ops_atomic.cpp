// Atomic instructions. All are sequentially consistent: loads are plain, stores are exchanges, and what the processor has
// no instruction for is a loop of compare and exchange. An address that is not naturally aligned traps before the access
// is tried.
#include "jit/baseline/compiler.h"
#include "jit/baseline/machine_x86_64.h"

namespace vmrun::jit::baseline {

namespace Inst = asmjit::x86::Inst;
using asmjit::x86::ptr;

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

void FunctionCompiler::atomic_rmw(D& d, Op op, const Imm& imm, unsigned size, const V* args, V* result) {
  enum { add, sub, exchange, other } kind = other;
  InstId id = 0;
  switch (op) {
#define RMW(name, action)               \
  case Op::i32_atomic_rmw_##name:       \
  case Op::i64_atomic_rmw_##name:       \
  case Op::i32_atomic_rmw8_##name##_u:  \
  case Op::i32_atomic_rmw16_##name##_u: \
  case Op::i64_atomic_rmw8_##name##_u:  \
  case Op::i64_atomic_rmw16_##name##_u: \
  case Op::i64_atomic_rmw32_##name##_u: action; break;
    RMW(add, kind = add)
    RMW(sub, kind = sub)
    RMW(xchg, kind = exchange)
    RMW(and, id = Inst::kIdAnd)
    RMW(or, id = Inst::kIdOr)
    RMW(xor, id = Inst::kIdXor)
#undef RMW
    default: break;
  }
  const unsigned width = size < 4 ? 4 : size;
  if (kind != other) {
    const uint8_t value = take_int();
    move_to_int(value, args[1]);
    if (kind == sub) a_.neg(q(value));
    Mem mem = atomic_address(d, imm.mem, args[0], size);
    mark(d);
    if (kind == exchange) {
      a_.xchg(mem, sized(value, size));
    } else {
      a_.lock().xadd(mem, sized(value, size));
    }
    zero_extend(value, size);
    return result_reg(*result, value);
  }
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
  a_.emit(id, sized(changed, width), sized(value, width));
  mark(d);
  a_.lock().cmpxchg(mem, sized(changed, size), sized(rax, size));
  a_.jne(again);
  zero_extend(rax, size);
  result_reg(*result, rax);
}

void FunctionCompiler::atomic_cmpxchg(D& d, const Imm& imm, unsigned size, const V* args, V* result) {
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

bool FunctionCompiler::atomic_op(D& d, Op op, const Imm& imm, const V* args, size_t count, V* results) {
  const vm::OpInfo& info = vm::op_info(op);
  if (info.family != vm::Family::atomic) return false;
  const unsigned size = 1u << info.access_log2;
  switch (op) {
    case Op::atomic_fence: a_.mfence(); return true;
    case Op::memory_atomic_wait32:
    case Op::memory_atomic_wait64:
    case Op::memory_atomic_notify: {
      const V* operands[3] = {&args[0], &args[1], count > 2 ? &args[2] : nullptr};
      const Helper helper = op == Op::memory_atomic_notify   ? Helper::atomic_notify
                            : op == Op::memory_atomic_wait32 ? Helper::atomic_wait32
                                                             : Helper::atomic_wait64;
      helper_op(d, helper, {imm.mem.memory}, {operands, count}, results, &imm.mem);
      return true;
    }
    case Op::i32_atomic_load:
    case Op::i64_atomic_load:
    case Op::i32_atomic_load8_u:
    case Op::i32_atomic_load16_u:
    case Op::i64_atomic_load8_u:
    case Op::i64_atomic_load16_u:
    case Op::i64_atomic_load32_u: {
      const uint8_t to = take_int();
      Mem mem = atomic_address(d, imm.mem, args[0], size);
      mark(d);
      if (size < 4) {
        a_.movzx(w(to), mem);
      } else {
        a_.mov(sized(to, size), mem);
      }
      result_reg(*results, to);
      return true;
    }
    case Op::i32_atomic_store:
    case Op::i64_atomic_store:
    case Op::i32_atomic_store8:
    case Op::i32_atomic_store16:
    case Op::i64_atomic_store8:
    case Op::i64_atomic_store16:
    case Op::i64_atomic_store32: {
      const uint8_t value = take_int();
      move_to_int(value, args[1]);
      Mem mem = atomic_address(d, imm.mem, args[0], size);
      mark(d);
      a_.xchg(mem, sized(value, size));
      return true;
    }
    case Op::i32_atomic_rmw_cmpxchg:
    case Op::i64_atomic_rmw_cmpxchg:
    case Op::i32_atomic_rmw8_cmpxchg_u:
    case Op::i32_atomic_rmw16_cmpxchg_u:
    case Op::i64_atomic_rmw8_cmpxchg_u:
    case Op::i64_atomic_rmw16_cmpxchg_u:
    case Op::i64_atomic_rmw32_cmpxchg_u: atomic_cmpxchg(d, imm, size, args, results); return true;
    default: atomic_rmw(d, op, imm, size, args, results); return true;
  }
}

}  // namespace vmrun::jit::baseline
