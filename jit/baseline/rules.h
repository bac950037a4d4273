// What the baseline compiler makes of instructions other than the plain machine instruction: each rule is a condition, a
// number or a sequence of machine instructions. tests/proofs/baseline_rules_test.cpp proves each of them; one without a
// proof does not link there.
//
// SEQUENCES are templates over the machine that they run on, which the compiler makes code with (machine_x86_64.h) and the
// proofs calculate with. Registers are numbers; `wide` is 64 bits, else an instruction has 32 and clears the upper half.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "jit/baseline/reciprocal.h"
#include "vm/wasm/opcode.h"

namespace vmrun::jit::baseline {

// clang-format off
#define VMRUN_BASELINE_RULES(X)                                                                        \
  /* operands and conditions */                                                                        \
  X(commute) X(condition) X(mirror) X(negate) X(test_for_zero) X(truth)                                \
  /* sums, shifts */                                                                                   \
  X(subtract_constant) X(add_constant) X(add_by_address) X(shift_by_constant) X(shift_by_register)     \
  X(rotate_by_constant) X(rotate_by_register)                                                          \
  /* division by constants */                                                                          \
  X(divide_unsigned_by_power) X(divide_signed_by_power) X(divide_unsigned32) X(divide_unsigned64)      \
  X(divide_signed32) X(divide_signed64) X(remainder)                                                   \
  /* i32 in 64 bits */                                                                                 \
  X(clear_upper_half) X(load_constant)                                                                 \
  /* addresses and indices */                                                                          \
  X(guarded_address) X(add_offset) X(wrapped_sum) X(checked_address) X(aligned_address) X(table_index) X(branch_index)
// clang-format on

enum class Rule : uint8_t {
#define X(name) name,
  VMRUN_BASELINE_RULES(X)
#undef X
};
#define X(name) +1
inline constexpr size_t kRuleCount = 0 VMRUN_BASELINE_RULES(X);
#undef X

namespace rules {

using vm::Op;

/// Condition codes as the processor numbers them.
enum class Cond : uint8_t { O, NO, B, AE, E, NE, BE, A, S, NS, P, NP, L, GE, LE, G };

// ---- operands and conditions ----------------------------------------------------------------------------------------

/// Rule::commute: either operand of an operation on integers may be the first. Comparisons are mirrored instead.
constexpr bool commutes(Op op) { return vm::family(op) == vm::Family::int_binary && vm::commutes(op); }

/// Rule::condition: the condition under which a comparison is true, after cmp of its operands.
constexpr Cond condition(Op op) {
  switch (op) {
    case Op::i32_eq:
    case Op::i64_eq: return Cond::E;
    case Op::i32_ne:
    case Op::i64_ne: return Cond::NE;
    case Op::i32_lt_s:
    case Op::i64_lt_s: return Cond::L;
    case Op::i32_lt_u:
    case Op::i64_lt_u: return Cond::B;
    case Op::i32_gt_s:
    case Op::i64_gt_s: return Cond::G;
    case Op::i32_gt_u:
    case Op::i64_gt_u: return Cond::A;
    case Op::i32_le_s:
    case Op::i64_le_s: return Cond::LE;
    case Op::i32_le_u:
    case Op::i64_le_u: return Cond::BE;
    case Op::i32_ge_s:
    case Op::i64_ge_s: return Cond::GE;
    default: return Cond::AE;  // ge_u
  }
}

/// Rule::mirror: the same of the operands the other way round.
constexpr Cond mirrored(Cond cond) {
  switch (cond) {
    case Cond::L: return Cond::G;
    case Cond::G: return Cond::L;
    case Cond::LE: return Cond::GE;
    case Cond::GE: return Cond::LE;
    case Cond::B: return Cond::A;
    case Cond::A: return Cond::B;
    case Cond::BE: return Cond::AE;
    case Cond::AE: return Cond::BE;
    default: return cond;
  }
}

/// Rule::negate: what eqz makes of a condition.
constexpr Cond negated(Cond cond) { return static_cast<Cond>(static_cast<uint8_t>(cond) ^ 1); }

/// Rule::test_for_zero: E and NE after `test` of both operands say whether their conjunction is zero, and of one operand
/// with itself what cmp with 0 says.
constexpr bool tests_for_zero(Cond cond, uint64_t constant) {
  return constant == 0 && (cond == Cond::E || cond == Cond::NE);
}

/// Rule::truth: a condition as an i32.
template <class M>
void truth(M& m, Cond cond, uint8_t to) {
  m.set(cond, to);
  m.zero_extend8(to);
}

// ---- sums, shifts ---------------------------------------------------------------------------------------------------

/// Rule::subtract_constant: what is added instead; the addition takes constants of 32 bits with their sign.
constexpr int64_t negative(int64_t constant, bool wide) {
  const auto negated = static_cast<int64_t>(0 - static_cast<uint64_t>(constant));
  return wide ? negated : static_cast<int32_t>(negated);
}

/// Rule::add_constant.
template <class M>
void add_constant(M& m, bool wide, uint8_t to, uint8_t from, int32_t constant) {
  to == from ? m.add_constant(wide, to, constant) : m.lea(wide, to, from, constant);
}

/// Rule::add_by_address: the sum of two registers in a third.
template <class M>
void add_by_address(M& m, bool wide, uint8_t to, uint8_t a, uint8_t b) {
  if (to == a || to == b) {
    m.add(wide, to, to == a ? b : a);
  } else {
    m.lea_sum(wide, to, a, b);
  }
}

/// Rule::shift_by_constant, Rule::rotate_by_constant: counts are taken modulo the width, and rotations to the left are
/// some to the right.
constexpr unsigned shift_count(uint64_t count, bool wide) { return static_cast<unsigned>(count) & (wide ? 63 : 31); }
constexpr unsigned rotate_right_count(uint64_t count, bool left, bool wide) {
  return shift_count(left ? 0 - count : count, wide);
}

// ---- division by constants ------------------------------------------------------------------------------------------

/// Rule::divide_unsigned_by_power: by 2^log2, in place.
template <class M>
void divide_unsigned_by_power(M& m, bool wide, uint8_t n, unsigned log2, bool remainder) {
  if (!remainder) {
    if (log2 != 0) m.shr(wide, n, log2);
  } else if (log2 <= 31) {
    m.and_constant(wide, n, static_cast<int32_t>((uint32_t{1} << log2) - 1));
  } else {
    m.shl(true, n, 64 - log2);
    m.shr(true, n, 64 - log2);
  }
}

/// Rule::divide_signed_by_power: by 2^log2 or its negative, in place, by way of `more`. Negative dividends are raised by
/// one less than the divisor, so that the shift rounds towards zero.
template <class M>
void divide_signed_by_power(M& m, bool wide, uint8_t n, uint8_t more, unsigned log2, bool negative, bool remainder) {
  const unsigned bits = wide ? 64 : 32;
  if (log2 == 0) {
    if (remainder) m.clear(n);
    return;  // by -1 there may be a trap: the general way
  }
  m.mov(wide, more, n);
  m.sar(wide, more, bits - 1);
  m.shr(wide, more, bits - log2);
  m.add(wide, n, more);
  if (remainder) {
    m.shl(wide, n, bits - log2);
    m.shr(wide, n, bits - log2);
    m.sub(wide, n, more);
  } else {
    m.sar(wide, n, log2);
    if (negative) m.neg(wide, n);
  }
}

/// Rule::divide_unsigned32: the dividend is in rdx, an i32 with its upper half clear.
template <class M>
void divide_unsigned32(M& m, uint8_t quotient, uint8_t scratch, uint64_t factor) {
  m.load(scratch, factor);
  m.mulx(quotient, scratch, scratch);
}

/// Rule::divide_unsigned64: the dividend is in rdx.
template <class M>
void divide_unsigned64(M& m, uint8_t quotient, uint8_t n, uint8_t scratch, const Reciprocal& r) {
  m.load(scratch, r.factor);
  m.mulx(quotient, scratch, scratch);
  if (r.add) {
    m.mov(true, scratch, n);
    m.sub(true, scratch, quotient);
    m.shr(true, scratch, 1);
    m.add(true, quotient, scratch);
  }
  if (r.shift != 0) m.shr(true, quotient, r.shift);
}

/// Rule::divide_signed32: by a positive divisor; `n` is an i32, and becomes its sign-extension.
template <class M>
void divide_signed32(M& m, uint8_t quotient, uint8_t n, uint8_t scratch, const NarrowReciprocal& r) {
  m.sign_extend32(n);
  m.load(quotient, r.factor);
  m.imul(true, quotient, n);
  m.sar(true, quotient, r.shift);
  m.mov(true, scratch, n);
  m.sar(true, scratch, 63);
  m.sub(false, quotient, scratch);
}

/// Rule::divide_signed64: by a positive divisor; rax holds the factor, and rdx becomes the quotient.
template <class M>
void divide_signed64(M& m, uint8_t rax, uint8_t rdx, uint8_t n, const Reciprocal& r) {
  m.load(rax, r.factor);
  m.imul_rax(n);
  if (r.add) m.add(true, rdx, n);
  if (r.shift != 0) m.sar(true, rdx, r.shift);
  m.mov(true, rax, n);
  m.sar(true, rax, 63);
  m.sub(true, rdx, rax);
}

/// Rule::remainder: n -= quotient * constant; clobbers the quotient, and r11 for a constant of more than 31 bits.
template <class M>
void remainder(M& m, bool wide, uint8_t n, uint8_t quotient, uint8_t scratch, uint64_t constant) {
  if (constant <= 0x7fffffff || !wide) {
    m.imul_constant(wide, quotient, static_cast<int32_t>(constant));
  } else {
    m.load(scratch, constant);
    m.imul(true, quotient, scratch);
  }
  m.sub(wide, n, quotient);
}

// ---- i32 in 64 bits -------------------------------------------------------------------------------------------------

/// Rule::clear_upper_half: of an i32 whose upper half may be anything, and for i32.wrap_i64. Where the upper half is clear,
/// i64.extend_i32_u is nothing.
template <class M>
void clear_upper_half(M& m, uint8_t to, uint8_t from) {
  m.mov(false, to, from);
}

/// Rule::load_constant: a constant of 64 bits fits an instruction's 32 when these have its sign.
constexpr bool fits32(uint64_t constant) {
  return static_cast<int64_t>(constant) == static_cast<int32_t>(static_cast<uint32_t>(constant));
}

// ---- addresses and indices ------------------------------------------------------------------------------------------

/// Rule::guarded_address: an offset that is added by the instruction itself, which takes 31 bits of it.
constexpr bool is_displacement(uint64_t offset) { return offset <= 0x7fffffff; }

/// Rule::add_offset: the index plus the offset in `to`; where the sum may wrap (`traps`), a trap if it does.
template <class M>
void add_offset(M& m, uint8_t to, uint8_t index, uint64_t offset, bool traps) {
  if (is_displacement(offset)) {
    m.mov(true, to, index);
    if (offset != 0) m.add_constant(true, to, static_cast<int32_t>(offset));
  } else {
    m.load(to, offset);
    m.add(true, to, index);
  }
  if (traps && offset != 0) m.trap_if(Cond::B);
}

/// Rule::wrapped_sum: a trap if the sum of the index and an offset has wrapped.
template <class M>
void wrapped_sum(M& m, uint8_t sum, uint8_t index) {
  m.cmp(true, sum, index);
  m.trap_if(Cond::B);
}

/// Rule::checked_address: `size` bytes at `address` lie within the memory's `limit`, or there is a trap; and where the
/// processor runs ahead of the check, `address` is 0.
template <class M>
void checked_address(M& m, uint8_t address, uint8_t limit, unsigned size) {
  m.sub_constant(limit, static_cast<int32_t>(size));
  m.trap_if(Cond::B);
  m.cmp(true, address, limit);
  m.move_zero(limit);
  m.cmov(Cond::A, true, address, limit);
  m.trap_if(Cond::A);
}

/// Rule::aligned_address: a trap unless the address is a multiple of `size`, a power of two up to 8.
template <class M>
void aligned_address(M& m, uint8_t address, unsigned size) {
  if (size == 1) return;
  m.test_byte(address, static_cast<uint8_t>(size - 1));
  m.trap_if(Cond::NE);
}

/// Rule::table_index: `entry` becomes the index, which is less than the table's size, or there is a trap; 0 where the
/// processor runs ahead.
template <class M>
void table_index(M& m, uint8_t entry, uint8_t index) {
  m.compare_with_size(index);
  m.move_zero(entry);
  m.cmov(Cond::B, true, entry, index);
  m.trap_if(Cond::AE);
}

/// Rule::branch_index: `to` becomes the index or, where it is not less, `count`. Without a branch, so that nothing is
/// read beyond the table even where the processor runs ahead.
template <class M>
void branch_index(M& m, uint8_t to, uint8_t index, uint32_t count) {
  m.load(to, count);
  m.cmp(false, index, to);
  m.cmov(Cond::B, false, to, index);
}

}  // namespace rules
}  // namespace vmrun::jit::baseline
