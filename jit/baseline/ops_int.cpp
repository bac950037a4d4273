// Integer instructions.
#include <bit>

#include "jit/baseline/compiler.h"
#include "jit/baseline/machine_x86_64.h"

namespace vmrun::jit::baseline {

namespace Inst = asmjit::x86::Inst;

std::span<const FunctionCompiler::Row> FunctionCompiler::int_rows() {
  using F = FunctionCompiler;
  static constexpr Row kRows[] = {
      {Op::i32_eqz, &F::int_eqz},
      {Op::i64_eqz, &F::int_eqz},
      {Op::i32_eq, &F::int_compare},
      {Op::i32_ne, &F::int_compare},
      {Op::i32_lt_s, &F::int_compare},
      {Op::i32_lt_u, &F::int_compare},
      {Op::i32_gt_s, &F::int_compare},
      {Op::i32_gt_u, &F::int_compare},
      {Op::i32_le_s, &F::int_compare},
      {Op::i32_le_u, &F::int_compare},
      {Op::i32_ge_s, &F::int_compare},
      {Op::i32_ge_u, &F::int_compare},
      {Op::i64_eq, &F::int_compare},
      {Op::i64_ne, &F::int_compare},
      {Op::i64_lt_s, &F::int_compare},
      {Op::i64_lt_u, &F::int_compare},
      {Op::i64_gt_s, &F::int_compare},
      {Op::i64_gt_u, &F::int_compare},
      {Op::i64_le_s, &F::int_compare},
      {Op::i64_le_u, &F::int_compare},
      {Op::i64_ge_s, &F::int_compare},
      {Op::i64_ge_u, &F::int_compare},

      {Op::i32_clz, &F::int_unary, Inst::kIdLzcnt},
      {Op::i32_ctz, &F::int_unary, Inst::kIdTzcnt},
      {Op::i32_popcnt, &F::int_unary, Inst::kIdPopcnt},
      {Op::i64_clz, &F::int_unary, Inst::kIdLzcnt},
      {Op::i64_ctz, &F::int_unary, Inst::kIdTzcnt},
      {Op::i64_popcnt, &F::int_unary, Inst::kIdPopcnt},
      {Op::i32_add, &F::int_add_sub, Inst::kIdAdd},
      {Op::i32_sub, &F::int_add_sub, Inst::kIdSub},
      {Op::i64_add, &F::int_add_sub, Inst::kIdAdd},
      {Op::i64_sub, &F::int_add_sub, Inst::kIdSub},
      {Op::i32_mul, &F::int_binary, Inst::kIdImul},
      {Op::i32_and, &F::int_binary, Inst::kIdAnd},
      {Op::i32_or, &F::int_binary, Inst::kIdOr},
      {Op::i32_xor, &F::int_binary, Inst::kIdXor},
      {Op::i64_mul, &F::int_binary, Inst::kIdImul},
      {Op::i64_and, &F::int_binary, Inst::kIdAnd},
      {Op::i64_or, &F::int_binary, Inst::kIdOr},
      {Op::i64_xor, &F::int_binary, Inst::kIdXor},
      {Op::i32_shl, &F::int_shift, Inst::kIdShl, Inst::kIdShlx},
      {Op::i32_shr_s, &F::int_shift, Inst::kIdSar, Inst::kIdSarx},
      {Op::i32_shr_u, &F::int_shift, Inst::kIdShr, Inst::kIdShrx},
      {Op::i64_shl, &F::int_shift, Inst::kIdShl, Inst::kIdShlx},
      {Op::i64_shr_s, &F::int_shift, Inst::kIdSar, Inst::kIdSarx},
      {Op::i64_shr_u, &F::int_shift, Inst::kIdShr, Inst::kIdShrx},
      {Op::i32_rotl, &F::int_rotate, Inst::kIdRol},
      {Op::i32_rotr, &F::int_rotate, Inst::kIdRor},
      {Op::i64_rotl, &F::int_rotate, Inst::kIdRol},
      {Op::i64_rotr, &F::int_rotate, Inst::kIdRor},

      // The number is the register that the processor divides into.
      {Op::i32_div_s, &F::int_divide, Inst::kIdIdiv, 0, rax},
      {Op::i32_div_u, &F::int_divide, Inst::kIdDiv, 0, rax},
      {Op::i32_rem_s, &F::int_divide, Inst::kIdIdiv, 0, rdx},
      {Op::i32_rem_u, &F::int_divide, Inst::kIdDiv, 0, rdx},
      {Op::i64_div_s, &F::int_divide, Inst::kIdIdiv, 0, rax},
      {Op::i64_div_u, &F::int_divide, Inst::kIdDiv, 0, rax},
      {Op::i64_rem_s, &F::int_divide, Inst::kIdIdiv, 0, rdx},
      {Op::i64_rem_u, &F::int_divide, Inst::kIdDiv, 0, rdx},

      // The number is how many bits are extended.
      {Op::i32_extend8_s, &F::int_extend, 0, 0, 8},
      {Op::i32_extend16_s, &F::int_extend, 0, 0, 16},
      {Op::i64_extend8_s, &F::int_extend, 0, 0, 8},
      {Op::i64_extend16_s, &F::int_extend, 0, 0, 16},
      {Op::i64_extend32_s, &F::int_extend, 0, 0, 32},
      {Op::i64_extend_i32_s, &F::int_extend, 0, 0, 32},
      {Op::i64_extend_i32_u, &F::int_widen},
      {Op::i32_wrap_i64, &F::int_widen},

      {Op::i64_add128, &F::int_add_sub_128, Inst::kIdAdd, Inst::kIdAdc},
      {Op::i64_sub128, &F::int_add_sub_128, Inst::kIdSub, Inst::kIdSbb},
      {Op::i64_mul_wide_s, &F::int_mul_wide, Inst::kIdImul},
      {Op::i64_mul_wide_u, &F::int_mul_wide, Inst::kIdMul},
  };
  return kRows;
}

bool FunctionCompiler::condition_is_next(D& d, bool wide) const {
  const uint8_t* p = image_ + d.next_offset();
  auto takes = [](uint8_t code) {
    return code == vm::op_info(Op::br_if).code || code == vm::op_info(Op::if_).code ||
           code == vm::op_info(Op::select).code;
  };
  if (wide) return *p == vm::op_info(Op::i64_eqz).code && takes(p[1]);
  return takes(*p) || (*p == vm::op_info(Op::i32_eqz).code && takes(p[1]));
}

/// The result of a comparison is in the flags: leaves it there for the next instruction, or makes 0 or 1 of it.
void FunctionCompiler::set_flags(D& d, Cond cond, size_t args, V* result) {
  if (condition_is_next(d)) {
    result->kind = Kind::flags;
    result->reg = static_cast<uint8_t>(cond);
    return;
  }
  uint8_t reg = target(d, false, args, nullptr, nullptr);
  Machine machine(a_);
  rules::truth(machine, static_cast<rules::Cond>(cond), reg);
  result_reg(*result, reg);
}

void FunctionCompiler::compare(D& d, Cond cond, bool wide, const V* args, V* result) {
  const V *a = &args[0], *b = &args[1];
  if (a->kind == Kind::constant && b->kind != Kind::constant) {
    std::swap(a, b);
    cond = Machine::code(rules::mirrored(static_cast<rules::Cond>(cond)));
  }
  uint8_t left = fetch_int(*a);
  if (b->kind == Kind::constant && rules::tests_for_zero(static_cast<rules::Cond>(cond), b->bits)) {
    a_.test(gp(left, wide), gp(left, wide));
  } else {
    asmjit::Operand right = source_int(*b, wide);
    a_.emit(Inst::kIdCmp, gp(left, wide), right);
  }
  set_flags(d, cond, 2, result);
}

void FunctionCompiler::int_compare(D& d, const Row& row, const Imm&, const V* args, V* result) {
  compare(d, Machine::code(rules::condition(row.op)), is_wide(args[0].type), args, result);
}

void FunctionCompiler::int_eqz(D& d, const Row&, const Imm&, const V* args, V* result) {
  Cond cond = test(args[0]);
  set_flags(d, Machine::code(rules::negated(static_cast<rules::Cond>(cond))), 1, result);
}

void FunctionCompiler::int_binary(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const InstId id = row.id;
  const bool wide = is_wide(args[0].type), commutes = rules::commutes(row.op);
  const V *a = &args[0], *b = &args[1];
  if (commutes && (a->kind == Kind::constant || (b->kind == Kind::reg && a->kind != Kind::reg))) std::swap(a, b);
  asmjit::Operand right = source_int(*b, wide);
  uint8_t right_reg = right.isReg() ? static_cast<uint8_t>(right.as<Gp>().id()) : kNoHome;
  if (id == Inst::kIdAnd && condition_is_next(d, wide)) {  // Rule::test_for_zero: only whether it is zero matters
    const Gp left = gp(fetch_int(*a), wide);
    right.isMem() ? a_.emit(Inst::kIdTest, right, left) : a_.emit(Inst::kIdTest, left, right);
    result->kind = Kind::flags;
    result->reg = static_cast<uint8_t>(Cond::kNE);
    return;
  }
  if (id == Inst::kIdImul && right.isImm()) {
    asmjit::Operand left = source_int(*a, wide);
    if (left.isImm()) left = gp(fetch_int(*a), wide);
    uint8_t to = target(d, false, 2, a, nullptr);
    a_.emit(id, gp(to, wide), left, right);
    return result_reg(*result, to);
  }
  uint8_t to = target(d, false, 2, a, nullptr, commutes ? kNoHome : right_reg);
  if (to == right_reg) {
    a_.emit(id, gp(to, wide), source_int(*a, wide));
  } else {
    move_to_int(to, *a);
    a_.emit(id, gp(to, wide), right);
  }
  result_reg(*result, to);
}

void FunctionCompiler::int_add_sub(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const bool sub = row.id == Inst::kIdSub, wide = is_wide(args[0].type);
  const V *a = &args[0], *b = &args[1];
  if (!sub && (a->kind == Kind::constant || (b->kind == Kind::reg && a->kind != Kind::reg))) std::swap(a, b);
  asmjit::Operand right = source_int(*b, wide);
  const bool in_register =
      a->kind == Kind::reg || (a->kind == Kind::local && home_of(static_cast<uint32_t>(a->bits)) != kNoHome);
  if (right.isImm() && in_register) {
    int64_t by = right.as<asmjit::Imm>().value();
    if (sub) by = rules::negative(by, wide);
    if (rules::fits32(static_cast<uint64_t>(by))) {
      uint8_t from = fetch_int(*a);
      uint8_t to = target(d, false, 2, a, nullptr);
      Machine machine(a_);
      rules::add_constant(machine, wide, to, from, static_cast<int32_t>(by));
      return result_reg(*result, to);
    }
  }
  uint8_t right_reg = right.isReg() ? static_cast<uint8_t>(right.as<Gp>().id()) : kNoHome;
  if (!sub && in_register && right_reg != kNoHome) {
    uint8_t from = fetch_int(*a);
    uint8_t to = target(d, false, 2, a, b);
    Machine machine(a_);
    rules::add_by_address(machine, wide, to, from, right_reg);
    return result_reg(*result, to);
  }
  uint8_t to = target(d, false, 2, a, nullptr, right_reg);
  move_to_int(to, *a);
  a_.emit(row.id, gp(to, wide), right);
  result_reg(*result, to);
}

void FunctionCompiler::int_shift(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const V &a = args[0], &b = args[1];
  const bool wide = is_wide(a.type);
  if (b.kind == Kind::constant) {
    const unsigned by = rules::shift_count(b.bits, wide);
    uint8_t to = target(d, false, 2, &a, nullptr);
    move_to_int(to, a);
    if (by != 0) a_.emit(row.id, gp(to, wide), asmjit::Imm(by));
    return result_reg(*result, to);
  }
  asmjit::Operand from = source_int(a, wide);  // Rule::shift_by_register
  if (from.isImm()) from = gp(fetch_int(a), wide);
  uint8_t count = fetch_int(b);
  uint8_t to = target(d, false, 2, &a, &b);
  a_.emit(row.id2, gp(to, wide), from, gp(count, wide));
  result_reg(*result, to);
}

void FunctionCompiler::int_rotate(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const V &a = args[0], &b = args[1];
  const bool wide = is_wide(a.type);
  if (b.kind == Kind::constant) {
    asmjit::Operand from = source_int(a, wide);
    if (from.isImm()) from = gp(fetch_int(a), wide);
    uint8_t to = target(d, false, 2, &a, nullptr);
    const unsigned by = rules::rotate_right_count(b.bits, row.id == Inst::kIdRol, wide);
    a_.emit(Inst::kIdRorx, gp(to, wide), from, asmjit::Imm(by));
    return result_reg(*result, to);
  }
  // Rule::rotate_by_register: the count in rcx, of which the processor takes the low bits; the value anywhere else.
  V value[] = {a};
  take_fixed(rcx, value);
  move_to_int(rcx, b);
  const uint8_t to = target(d, false, 2, value, nullptr, rcx);
  move_to_int(to, value[0]);
  a_.emit(row.id, gp(to, wide), asmjit::x86::cl);
  result_reg(*result, to);
}

void FunctionCompiler::int_divide(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const V &a = args[0], &b = args[1];
  const bool is_signed = row.id == Inst::kIdIdiv, remainder = row.imm == rdx, wide = is_wide(a.type);
  if (divide_by_constant(d, is_signed, remainder, wide, args, result)) return;
  // The divisor waits in r11, the dividend goes to rax, and rdx is clobbered.
  const bool known = b.kind == Kind::constant;
  const uint64_t divisor = wide ? b.bits : static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(b.bits)));
  move_to_int(kScratch, b);
  if (!known) {
    a_.test(gp(kScratch, wide), gp(kScratch, wide));
    trap_if(d, Cond::kZ, TrapCode::IntegerDivideByZero);
  } else if (divisor == 0) {
    trap(d, TrapCode::IntegerDivideByZero);
  }
  take_fixed(rax);
  move_to_int(rax, a);
  take_fixed(rdx);
  if (!is_signed) {
    a_.xor_(w(rdx), w(rdx));
    a_.div(gp(kScratch, wide));
  } else {
    Label done;
    if (!known || static_cast<int64_t>(divisor) == -1) {
      Label divides = a_.new_label();
      a_.cmp(gp(kScratch, wide), -1);
      a_.jne(divides);
      if (remainder) {
        a_.xor_(w(rdx), w(rdx));
      } else {
        a_.neg(gp(rax, wide));
        trap_if(d, Cond::kO, TrapCode::IntegerOverflow);
      }
      done = a_.new_label();
      a_.jmp(done);
      a_.bind(divides);
    }
    if (wide) {
      a_.cqo();
    } else {
      a_.cdq();
    }
    a_.idiv(gp(kScratch, wide));
    if (done.valid()) a_.bind(done);
  }
  result_in(d, row.imm, result);
}

void FunctionCompiler::int_unary(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const bool wide = is_wide(args[0].type);
  asmjit::Operand from = source_int(args[0], wide);
  if (from.isImm()) from = gp(fetch_int(args[0]), wide);
  uint8_t to = target(d, false, 1, &args[0], nullptr);
  a_.emit(row.id, gp(to, wide), from);
  result_reg(*result, to);
}

void FunctionCompiler::int_extend(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const bool wide = is_wide(result->type);
  uint8_t from = fetch_int(args[0]);
  uint8_t to = target(d, false, 1, &args[0], nullptr);
  if (row.imm == 8) {
    a_.movsx(gp(to, wide), asmjit::x86::gpb_lo(from));
  } else if (row.imm == 16) {
    a_.movsx(gp(to, wide), asmjit::x86::gpw(from));
  } else {
    a_.movsxd(q(to), w(from));
  }
  result_reg(*result, to);
}

/// i32.wrap_i64 clears the upper half; i64.extend_i32_u has nothing to do where it is clear already.
void FunctionCompiler::int_widen(D& d, const Row&, const Imm&, const V* args, V* result) {
  const V& a = args[0];
  const bool wrap = is_wide(a.type);
  if (a.kind == Kind::constant) {
    set_const(*result, wrap ? static_cast<uint32_t>(a.bits) : a.bits, result->slot);
    return;
  }
  if (!wrap && a.kind == Kind::reg) {
    clean(a, a.reg);
    result_reg(*result, a.reg);
    return;
  }
  V low = a;
  low.type = vm::kI32;
  asmjit::Operand from = source_int(low, false);
  uint8_t to = target(d, false, 1, &a, nullptr);
  a_.emit(Inst::kIdMov, w(to), from);  // Rule::clear_upper_half
  result_reg(*result, to);
}

/// Operands: low and high half of each. The halves of the first are the places of the result's.
void FunctionCompiler::int_add_sub_128(D&, const Row& row, const Imm&, const V* args, V* results) {
  uint8_t to[2];
  for (int i = 0; i < 2; ++i) {
    to[i] = args[i].kind == Kind::reg ? args[i].reg : take_int();
    move_to_int(to[i], args[i]);
  }
  asmjit::Operand low = source_int(args[2], true), high = source_int(args[3], true);
  a_.emit(row.id, q(to[0]), low);
  a_.emit(row.id2, q(to[1]), high);
  results[1].slot = results[0].slot + 1;
  result_reg(results[0], to[0]);
  result_reg(results[1], to[1]);
}

void FunctionCompiler::int_mul_wide(D&, const Row& row, const Imm&, const V* args, V* results) {
  const V *a = &args[0], *b = &args[1];
  if (b->kind == Kind::reg && b->reg == rax) std::swap(a, b);
  take_fixed(rax);
  take_fixed(rdx);
  asmjit::Operand by = source_int(*b, true);
  if (by.isImm()) by = q(fetch_int(*b));
  move_to_int(rax, *a);
  a_.emit(row.id, by);
  results[1].slot = results[0].slot + 1;
  result_reg(results[0], rax);
  result_reg(results[1], rdx);
}

}  // namespace vmrun::jit::baseline
