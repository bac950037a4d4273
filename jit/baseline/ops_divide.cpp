// Division of integers by constants, without dividing: some 4 cycles instead of 10 to 40.
#include <bit>

#include "jit/baseline/compiler.h"
#include "jit/baseline/reciprocal.h"

namespace vmrun::jit::baseline {

/// False: the general way is left, for what may trap.
bool FunctionCompiler::divide_by_constant(D& d, bool is_signed, bool remainder, bool wide, const V* args, V* result) {
  if (args[1].kind != Kind::constant) return false;
  uint64_t divisor = wide ? args[1].bits : static_cast<uint32_t>(args[1].bits);
  bool negative = false;
  if (is_signed) {
    const auto value = wide ? static_cast<int64_t>(divisor) : static_cast<int64_t>(static_cast<int32_t>(divisor));
    if (value == -1) return false;
    negative = value < 0;
    divisor = negative ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  }
  if (divisor == 0) return false;
  if (std::has_single_bit(divisor)) {
    const auto log2 = static_cast<unsigned>(std::countr_zero(divisor));
    if (is_signed) {
      divide_by_power(d, log2, negative, remainder, wide, args, result);
    } else {
      divide_unsigned_by_power(d, log2, remainder, wide, args, result);
    }
  } else if (!is_signed) {
    divide_unsigned(d, divisor, remainder, wide, args, result);
  } else if (wide) {
    divide_signed64(d, divisor, negative, remainder, args, result);
  } else {
    divide_signed32(d, static_cast<uint32_t>(divisor), negative, remainder, args, result);
  }
  return true;
}

/// The result, in a temporary, where the next instruction wants it.
void FunctionCompiler::result_in(D& d, uint8_t from, V* result) {
  uint8_t home = hint(d, false, 2);
  if (home != kNoHome) {
    move_int(home, from);
    from = home;
  }
  result_reg(*result, from);
}

void FunctionCompiler::divide_unsigned_by_power(D& d, unsigned log2, bool remainder, bool wide, const V* args,
                                                V* result) {
  uint8_t to = target(d, false, 2, &args[0], nullptr);
  move_to_int(to, args[0]);
  if (!remainder) {
    if (log2 != 0) a_.shr(gp(to, wide), log2);
  } else if (log2 <= 31) {
    a_.and_(gp(to, wide), static_cast<int32_t>((uint32_t{1} << log2) - 1));
  } else {
    a_.shl(q(to), 64 - log2);
    a_.shr(q(to), 64 - log2);
  }
  result_reg(*result, to);
}

/// Negative dividends are raised by one less than the divisor, so that the shift rounds towards zero.
void FunctionCompiler::divide_by_power(D& d, unsigned log2, bool negative, bool remainder, bool wide, const V* args,
                                       V* result) {
  const unsigned bits = wide ? 64 : 32;
  const uint8_t n = take_int(), more = take_int();
  move_to_int(n, args[0]);
  if (log2 == 0) {
    if (remainder) a_.xor_(w(n), w(n));
    return result_in(d, n, result);
  }
  a_.mov(gp(more, wide), gp(n, wide));
  a_.sar(gp(more, wide), bits - 1);
  a_.shr(gp(more, wide), bits - log2);
  a_.add(gp(n, wide), gp(more, wide));
  if (remainder) {
    a_.shl(gp(n, wide), bits - log2);
    a_.shr(gp(n, wide), bits - log2);
    a_.sub(gp(n, wide), gp(more, wide));
  } else {
    a_.sar(gp(n, wide), log2);
    if (negative) a_.neg(gp(n, wide));
  }
  result_in(d, n, result);
}

void FunctionCompiler::divide_unsigned(D& d, uint64_t divisor, bool remainder, bool wide, const V* args, V* result) {
  take_fixed(rdx);  // mulx multiplies with it
  move_to_int(rdx, args[0]);
  const uint8_t quotient = take_int();
  if (!wide) {
    load_const(kScratch, reciprocal32(static_cast<uint32_t>(divisor)));
    a_.mulx(q(quotient), q(kScratch), q(kScratch));
  } else {
    const Reciprocal64 r = reciprocal64(divisor);
    load_const(kScratch, r.factor);
    a_.mulx(q(quotient), q(kScratch), q(kScratch));
    if (r.add) {
      a_.mov(q(kScratch), q(rdx));
      a_.sub(q(kScratch), q(quotient));
      a_.shr(q(kScratch), 1);
      a_.add(q(quotient), q(kScratch));
    }
    if (r.shift != 0) a_.shr(q(quotient), r.shift);
  }
  if (remainder) {
    subtract_product(rdx, quotient, divisor, wide);
    return result_in(d, rdx, result);
  }
  result_in(d, quotient, result);
}

/// n -= factor * constant; clobbers the factor.
void FunctionCompiler::subtract_product(uint8_t n, uint8_t factor, uint64_t constant, bool wide) {
  if (constant <= 0x7fffffff || !wide) {
    a_.imul(gp(factor, wide), gp(factor, wide), static_cast<int32_t>(constant));
  } else {
    load_const(kScratch, constant);
    a_.imul(q(factor), q(kScratch));
  }
  a_.sub(gp(n, wide), gp(factor, wide));
}

void FunctionCompiler::divide_signed32(D& d, uint32_t divisor, bool negative, bool remainder, const V* args,
                                       V* result) {
  const SignedReciprocal32 r = signed_reciprocal32(divisor);
  const uint8_t n = take_int(), quotient = take_int();
  move_to_int(n, args[0]);
  a_.movsxd(q(n), w(n));
  load_const(quotient, r.factor);
  a_.imul(q(quotient), q(n));
  a_.sar(q(quotient), r.shift);
  a_.mov(q(kScratch), q(n));
  a_.sar(q(kScratch), 63);
  a_.sub(w(quotient), w(kScratch));
  if (remainder) {
    subtract_product(n, quotient, divisor, false);
    return result_in(d, n, result);
  }
  if (negative) a_.neg(w(quotient));
  result_in(d, quotient, result);
}

void FunctionCompiler::divide_signed64(D& d, uint64_t divisor, bool negative, bool remainder, const V* args,
                                       V* result) {
  const Reciprocal64 r = signed_reciprocal64(divisor);
  // The one-operand product is of rax, into rdx and rax.
  take_fixed(rax);
  take_fixed(rdx);
  const uint8_t n = take_int();
  move_to_int(n, args[0]);
  load_const(rax, r.factor);
  a_.imul(q(n));
  if (r.add) a_.add(q(rdx), q(n));
  if (r.shift != 0) a_.sar(q(rdx), r.shift);
  a_.mov(q(rax), q(n));
  a_.sar(q(rax), 63);
  a_.sub(q(rdx), q(rax));
  if (remainder) {
    subtract_product(n, rdx, divisor, true);
    return result_in(d, n, result);
  }
  if (negative) a_.neg(q(rdx));
  result_in(d, rdx, result);
}

}  // namespace vmrun::jit::baseline
