// What integer instructions compute, in the solver's terms.
#include "tests/proofs/prover.h"

namespace vmrun::proofs {
namespace {

using vm::Op;

Bits number(const Bits& like, uint64_t value) { return like.ctx().bv_val(value, like.get_sort().bv_size()); }
Bits truth(const Claim& claim) { return z3::ite(claim, claim.ctx().bv_val(1, 32), claim.ctx().bv_val(0, 32)); }
Bits signed_from(const Bits& a, unsigned bits) {
  return z3::sext(a.extract(bits - 1, 0), a.get_sort().bv_size() - bits);
}
Bits distance(const Bits& a, const Bits& b) { return b & number(b, a.get_sort().bv_size() - 1); }
Bits rotate_left(const Bits& a, const Bits& by) {
  const Bits n = distance(a, by);
  const Bits rest = distance(a, number(a, 0) - n);
  return z3::shl(a, n) | z3::lshr(a, rest);
}
Bits count(const Bits& a) {
  Bits sum = number(a, 0);
  for (unsigned i = 0; i < a.get_sort().bv_size(); ++i) {
    sum = sum + z3::zext(a.extract(i, i), a.get_sort().bv_size() - 1);
  }
  return sum;
}
Bits zeros_from(const Bits& a, bool top) {
  const unsigned width = a.get_sort().bv_size();
  Bits result = number(a, width);
  for (unsigned i = 0; i < width; ++i) {  // the bit looked at last is the one that counts
    const unsigned bit = top ? i : width - 1 - i;
    result = z3::ite(a.extract(bit, bit) == a.ctx().bv_val(1, 1), number(a, top ? width - 1 - i : bit), result);
  }
  return result;
}

}  // namespace

Bits compute(Op op, const Bits& a, const Bits& b) {
  switch (op) {
    case Op::i32_add:
    case Op::i64_add: return a + b;
    case Op::i32_sub:
    case Op::i64_sub: return a - b;
    case Op::i32_mul:
    case Op::i64_mul: return a * b;
    case Op::i32_div_s:
    case Op::i64_div_s: return a / b;
    case Op::i32_div_u:
    case Op::i64_div_u: return z3::udiv(a, b);
    case Op::i32_rem_s:
    case Op::i64_rem_s: return z3::srem(a, b);
    case Op::i32_rem_u:
    case Op::i64_rem_u: return z3::urem(a, b);
    case Op::i32_and:
    case Op::i64_and: return a & b;
    case Op::i32_or:
    case Op::i64_or: return a | b;
    case Op::i32_xor:
    case Op::i64_xor: return a ^ b;
    case Op::i32_shl:
    case Op::i64_shl: return z3::shl(a, distance(a, b));
    case Op::i32_shr_s:
    case Op::i64_shr_s: return z3::ashr(a, distance(a, b));
    case Op::i32_shr_u:
    case Op::i64_shr_u: return z3::lshr(a, distance(a, b));
    case Op::i32_rotl:
    case Op::i64_rotl: return rotate_left(a, b);
    case Op::i32_rotr:
    case Op::i64_rotr: return rotate_left(a, number(b, 0) - b);
    case Op::i32_eq:
    case Op::i64_eq: return truth(a == b);
    case Op::i32_ne:
    case Op::i64_ne: return truth(a != b);
    case Op::i32_lt_s:
    case Op::i64_lt_s: return truth(a < b);
    case Op::i32_lt_u:
    case Op::i64_lt_u: return truth(z3::ult(a, b));
    case Op::i32_gt_s:
    case Op::i64_gt_s: return truth(a > b);
    case Op::i32_gt_u:
    case Op::i64_gt_u: return truth(z3::ugt(a, b));
    case Op::i32_le_s:
    case Op::i64_le_s: return truth(a <= b);
    case Op::i32_le_u:
    case Op::i64_le_u: return truth(z3::ule(a, b));
    case Op::i32_ge_s:
    case Op::i64_ge_s: return truth(a >= b);
    case Op::i32_ge_u:
    case Op::i64_ge_u: return truth(z3::uge(a, b));
    default: FAIL("no meaning is written down for ", std::string(vm::op_info(op).mnemonic)); return a;
  }
}

Bits compute(Op op, const Bits& a) {
  switch (op) {
    case Op::i32_eqz:
    case Op::i64_eqz: return truth(a == number(a, 0));
    case Op::i32_clz:
    case Op::i64_clz: return zeros_from(a, true);
    case Op::i32_ctz:
    case Op::i64_ctz: return zeros_from(a, false);
    case Op::i32_popcnt:
    case Op::i64_popcnt: return count(a);
    case Op::i32_extend8_s:
    case Op::i64_extend8_s: return signed_from(a, 8);
    case Op::i32_extend16_s:
    case Op::i64_extend16_s: return signed_from(a, 16);
    case Op::i64_extend32_s: return signed_from(a, 32);
    case Op::i32_wrap_i64: return low(a);
    case Op::i64_extend_i32_s: return z3::sext(a, 32);
    case Op::i64_extend_i32_u: return z3::zext(a, 32);
    default: FAIL("no meaning is written down for ", std::string(vm::op_info(op).mnemonic)); return a;
  }
}

}  // namespace vmrun::proofs
