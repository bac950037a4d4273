// Division of integers by constants, without dividing: some 4 cycles instead of 10 to 40.
#include <bit>

#include "jit/baseline/compiler.h"
#include "jit/baseline/machine_x86_64.h"

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
  Machine machine(a_);
  rules::divide_unsigned_by_power(machine, wide, to, log2, remainder);
  result_reg(*result, to);
}

void FunctionCompiler::divide_by_power(D& d, unsigned log2, bool negative, bool remainder, bool wide, const V* args,
                                       V* result) {
  const uint8_t n = take_int(), more = take_int();
  move_to_int(n, args[0]);
  Machine machine(a_);
  rules::divide_signed_by_power(machine, wide, n, more, log2, negative, remainder);
  result_in(d, n, result);
}

void FunctionCompiler::divide_unsigned(D& d, uint64_t divisor, bool remainder, bool wide, const V* args, V* result) {
  take_fixed(rdx);  // mulx multiplies with it
  move_to_int(rdx, args[0]);
  const uint8_t quotient = take_int();
  Machine machine(a_);
  if (!wide) {
    rules::divide_unsigned32(machine, quotient, kScratch, double_reciprocal(divisor, 32));
  } else {
    rules::divide_unsigned64(machine, quotient, rdx, kScratch, reciprocal(divisor, 64));
  }
  if (remainder) {
    rules::remainder(machine, wide, rdx, quotient, kScratch, divisor);
    return result_in(d, rdx, result);
  }
  result_in(d, quotient, result);
}

void FunctionCompiler::divide_signed32(D& d, uint32_t divisor, bool negative, bool remainder, const V* args,
                                       V* result) {
  const uint8_t n = take_int(), quotient = take_int();
  move_to_int(n, args[0]);
  Machine machine(a_);
  rules::divide_signed32(machine, quotient, n, kScratch, signed_narrow_reciprocal(divisor, 32));
  if (remainder) {
    rules::remainder(machine, false, n, quotient, kScratch, divisor);
    return result_in(d, n, result);
  }
  if (negative) a_.neg(w(quotient));
  result_in(d, quotient, result);
}

void FunctionCompiler::divide_signed64(D& d, uint64_t divisor, bool negative, bool remainder, const V* args,
                                       V* result) {
  // The one-operand product is of rax, into rdx and rax.
  take_fixed(rax);
  take_fixed(rdx);
  const uint8_t n = take_int();
  move_to_int(n, args[0]);
  Machine machine(a_);
  rules::divide_signed64(machine, rax, rdx, n, signed_reciprocal(divisor, 64));
  if (remainder) {
    rules::remainder(machine, true, n, rdx, kScratch, divisor);
    return result_in(d, n, result);
  }
  if (negative) a_.neg(q(rdx));
  result_in(d, rdx, result);
}

}  // namespace vmrun::jit::baseline
