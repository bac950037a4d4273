// The machine that the baseline compiler's sequences (jit/baseline/rules.h) run on in proofs: it calculates with the
// solver's bits, as the processor's manual says of its instructions (Intel SDM volume 2).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "jit/baseline/rules.h"
#include "tests/proofs/prover.h"

namespace vmrun::proofs::baseline {

namespace rules = jit::baseline::rules;
using jit::baseline::Rule;
using rules::Cond;
using vm::Op;

/// Each rule has a proof, or the tests do not link.
template <Rule rule>
void prove(Prover& p);

inline constexpr uint8_t rax = 0, rdx = 2, n = 3, q = 4, s = 5;  // registers, as the compiler numbers those that matter

/// Integer registers and flags after some instructions. What an instruction does to flags that no rule looks at is left
/// out: they are anything from then on.
class Machine {
 public:
  explicit Machine(Prover& p) : p_(p), trapped(p.truth(false)) {
    for (unsigned i = 0; i < 16; ++i) regs.push_back(p.any64("r" + std::to_string(i)));
  }

  void mov(bool wide, uint8_t to, uint8_t from) { write(wide, to, read(wide, from)); }
  void load(uint8_t to, uint64_t bits) { regs[to] = p_.value(bits, 64); }
  void load(uint8_t to, const Bits& bits) { regs[to] = bits; }
  void move_zero(uint8_t to) { regs[to] = p_.value(0, 64); }
  void clear(uint8_t to) { regs[to] = p_.value(0, 64), forget_flags(); }
  void add(bool wide, uint8_t to, uint8_t from) { add(wide, to, read(wide, from)); }
  void sub(bool wide, uint8_t to, uint8_t from) { write(wide, to, subtract(read(wide, to), read(wide, from))); }
  void add_constant(bool wide, uint8_t to, int32_t by) { add(wide, to, constant(wide, by)); }
  void sub_constant(uint8_t to, int32_t by) { write(true, to, subtract(read(true, to), constant(true, by))); }
  void and_constant(bool wide, uint8_t to, int32_t with) {
    write(wide, to, read(wide, to) & constant(wide, with)), forget_flags();
  }
  void imul(bool wide, uint8_t to, uint8_t by) { write(wide, to, read(wide, to) * read(wide, by)), forget_flags(); }
  void imul_constant(bool wide, uint8_t to, int32_t by) {
    write(wide, to, read(wide, to) * constant(wide, by)), forget_flags();
  }
  void mulx(uint8_t high, uint8_t low, uint8_t by) {
    const Bits product = z3::zext(regs[rdx], 64) * z3::zext(regs[by], 64);
    regs[low] = product.extract(63, 0);
    regs[high] = product.extract(127, 64);
  }
  void imul_rax(uint8_t by) {
    const Bits product = z3::sext(regs[rax], 64) * z3::sext(regs[by], 64);
    regs[rax] = product.extract(63, 0);
    regs[rdx] = product.extract(127, 64);
    forget_flags();
  }
  void neg(bool wide, uint8_t to) { write(wide, to, -read(wide, to)), forget_flags(); }
  void shl(bool wide, uint8_t to, unsigned by) {
    write(wide, to, z3::shl(read(wide, to), count(wide, by))), forget_flags();
  }
  void shr(bool wide, uint8_t to, unsigned by) {
    write(wide, to, z3::lshr(read(wide, to), count(wide, by))), forget_flags();
  }
  void sar(bool wide, uint8_t to, unsigned by) {
    write(wide, to, z3::ashr(read(wide, to), count(wide, by))), forget_flags();
  }
  void sign_extend32(uint8_t reg) { regs[reg] = z3::sext(read(false, reg), 32); }
  void lea(bool wide, uint8_t to, uint8_t base, int32_t by) {
    const Bits sum = regs[base] + constant(true, by);
    write(wide, to, wide ? sum : low(sum));
  }
  void lea_sum(bool wide, uint8_t to, uint8_t base, uint8_t index) {
    const Bits sum = regs[base] + regs[index];
    write(wide, to, wide ? sum : low(sum));
  }
  void cmp(bool wide, uint8_t a, uint8_t b) { subtract(read(wide, a), read(wide, b)); }
  void test(bool wide, uint8_t a, uint8_t b) { conjunction(read(wide, a) & read(wide, b)); }
  void test_byte(uint8_t reg, uint8_t mask) { conjunction(regs[reg].extract(7, 0) & p_.value(mask, 8)); }
  void cmov(Cond cond, bool wide, uint8_t to, uint8_t from) {
    write(wide, to, z3::ite(holds(cond), read(wide, from), read(wide, to)));
  }
  void set(Cond cond, uint8_t to) {
    const Bits byte = z3::ite(holds(cond), p_.value(1, 8), p_.value(0, 8));
    regs[to] = z3::concat(regs[to].extract(63, 8), byte);
  }
  void zero_extend8(uint8_t reg) { regs[reg] = z3::zext(regs[reg].extract(7, 0), 56); }
  void trap_if(Cond cond) { trapped = trapped || holds(cond); }
  void compare_with_size(uint8_t index) { subtract(regs[index], *size); }

  Bits read(bool wide, uint8_t reg) const { return wide ? regs[reg] : low(regs[reg]); }
  void write(bool wide, uint8_t to, const Bits& value) { regs[to] = wide ? value : clean(value); }
  Claim holds(Cond cond) const {
    const unsigned code = static_cast<unsigned>(cond);
    const Claim basic = [&] {
      switch (code >> 1) {
        case 0: return *overflow;
        case 1: return *carry;
        case 2: return *zero;
        case 3: return *carry || *zero;
        case 4: return *sign;
        case 6: return *sign != *overflow;
        default: return *zero || *sign != *overflow;
      }
    }();
    return (code & 1) != 0 ? !basic : basic;
  }

 private:
  Bits constant(bool wide, int32_t v) const {
    return p_.value(wide ? static_cast<uint64_t>(int64_t{v}) : static_cast<uint32_t>(v), wide ? 64 : 32);
  }
  Bits count(bool wide, unsigned by) const { return p_.value(by & (wide ? 63 : 31), wide ? 64 : 32); }
  static Claim negative(const Bits& v) {
    const unsigned top = v.get_sort().bv_size() - 1;
    return v.extract(top, top) == v.ctx().bv_val(1, 1);
  }
  void results(const Bits& v) {
    zero = v == v.ctx().bv_val(0, v.get_sort().bv_size());
    sign = negative(v);
  }
  void add(bool wide, uint8_t to, const Bits& by) {
    const Bits from = read(wide, to), sum = from + by;
    results(sum);
    carry = z3::ult(sum, from);
    overflow = negative((from ^ sum) & (by ^ sum));
    write(wide, to, sum);
  }
  Bits subtract(const Bits& a, const Bits& b) {
    const Bits difference = a - b;
    results(difference);
    carry = z3::ult(a, b);
    overflow = negative((a ^ b) & (a ^ difference));
    return difference;
  }
  void conjunction(const Bits& v) {
    results(v);
    carry = overflow = p_.truth(false);
  }
  void forget_flags() { carry = zero = sign = overflow = std::nullopt; }

  Prover& p_;
  std::optional<Claim> carry, zero, sign, overflow;

 public:
  std::vector<Bits> regs;
  Claim trapped;
  std::optional<Bits> size;  // of the table
};

inline Bits any(Prover& p, const char* name, bool wide) { return p.any(name, wide ? 64 : 32); }
/// A register that holds an operand: an i32 with its upper half clear.
inline Bits held(const Bits& operand) { return operand.get_sort().bv_size() == 32 ? clean(operand) : operand; }
inline Op pick(bool wide, Op narrow_op, Op wide_op) { return wide ? wide_op : narrow_op; }

}  // namespace vmrun::proofs::baseline
