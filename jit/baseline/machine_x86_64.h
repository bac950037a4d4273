// The machine of rules.h as it makes code.
#pragma once

#include <asmjit/x86.h>

#include <optional>

#include "jit/baseline/assembler_x86_64.h"
#include "jit/baseline/rules.h"

namespace vmrun::jit::baseline {

static_assert(static_cast<int>(rules::Cond::B) == static_cast<int>(asmjit::x86::CondCode::kB) &&
              static_cast<int>(rules::Cond::A) == static_cast<int>(asmjit::x86::CondCode::kA) &&
              static_cast<int>(rules::Cond::G) == static_cast<int>(asmjit::x86::CondCode::kG) &&
              static_cast<int>(rules::Cond::NE) == static_cast<int>(asmjit::x86::CondCode::kNE));

class Machine {
 public:
  using Gp = asmjit::x86::Gp;
  using Cond = rules::Cond;
  explicit Machine(FastAssembler& a) : a_(a) {}

  void mov(bool wide, uint8_t to, uint8_t from) { a_.mov(gp(to, wide), gp(from, wide)); }
  /// Instructions that change no flags.
  void load(uint8_t to, uint64_t bits) {
    bits <= 0xffffffff ? a_.mov(gp(to, false), static_cast<uint32_t>(bits))
                       : a_.mov(gp(to, true), static_cast<int64_t>(bits));
  }
  void move_zero(uint8_t to) { a_.mov(gp(to, false), 0); }
  void clear(uint8_t to) { a_.xor_(gp(to, false), gp(to, false)); }
  void add(bool wide, uint8_t to, uint8_t from) { a_.add(gp(to, wide), gp(from, wide)); }
  void sub(bool wide, uint8_t to, uint8_t from) { a_.sub(gp(to, wide), gp(from, wide)); }
  void add_constant(bool wide, uint8_t to, int32_t by) { a_.add(gp(to, wide), by); }
  void sub_constant(uint8_t to, int32_t by) { a_.sub(gp(to, true), by); }
  void and_constant(bool wide, uint8_t to, int32_t with) { a_.and_(gp(to, wide), with); }
  void imul(bool wide, uint8_t to, uint8_t by) { a_.emit(asmjit::x86::Inst::kIdImul, gp(to, wide), gp(by, wide)); }
  void imul_constant(bool wide, uint8_t to, int32_t by) { a_.imul(gp(to, wide), gp(to, wide), by); }
  /// rdx times `by`: the upper half of the product, and the lower one.
  void mulx(uint8_t high, uint8_t low, uint8_t by) { a_.mulx(gp(high, true), gp(low, true), gp(by, true)); }
  /// rax times `by`, signed, into rdx and rax.
  void imul_rax(uint8_t by) { a_.imul(gp(by, true)); }
  void neg(bool wide, uint8_t to) { a_.neg(gp(to, wide)); }
  void shl(bool wide, uint8_t to, unsigned by) { a_.shl(gp(to, wide), by); }
  void shr(bool wide, uint8_t to, unsigned by) { a_.shr(gp(to, wide), by); }
  void sar(bool wide, uint8_t to, unsigned by) { a_.sar(gp(to, wide), by); }
  void sign_extend32(uint8_t reg) { a_.movsxd(gp(reg, true), gp(reg, false)); }
  void lea(bool wide, uint8_t to, uint8_t base, int32_t by) {
    a_.lea(gp(to, wide), asmjit::x86::ptr(gp(base, true), by));
  }
  void lea_sum(bool wide, uint8_t to, uint8_t base, uint8_t index) {
    a_.lea(gp(to, wide), asmjit::x86::ptr(gp(base, true), gp(index, true)));
  }
  void cmp(bool wide, uint8_t a, uint8_t b) { a_.cmp(gp(a, wide), gp(b, wide)); }
  void test_byte(uint8_t reg, uint8_t mask) { a_.test(asmjit::x86::gpb_lo(reg), mask); }
  void cmov(Cond cond, bool wide, uint8_t to, uint8_t from) { a_.cmov(code(cond), gp(to, wide), gp(from, wide)); }
  void set(Cond cond, uint8_t to) { a_.set(code(cond), asmjit::x86::gpb_lo(to)); }
  void zero_extend8(uint8_t reg) { a_.movzx(gp(reg, false), asmjit::x86::gpb_lo(reg)); }

  static asmjit::x86::CondCode code(Cond cond) { return static_cast<asmjit::x86::CondCode>(cond); }

 protected:
  static Gp gp(uint8_t reg, bool wide) {
    if (wide) return asmjit::x86::gpq(reg);
    return asmjit::x86::gpd(reg);
  }
  FastAssembler& a_;
};

/// The same, with what to do for a trap, and the size of a table: where it lies or, if it cannot change, what it is.
template <class Trap>
class TrappingMachine : public Machine {
 public:
  TrappingMachine(FastAssembler& a, Trap trap, const asmjit::x86::Mem& size = {},
                  std::optional<uint32_t> fixed_size = {})
      : Machine(a), trap_(std::move(trap)), size_(size), fixed_size_(fixed_size) {}
  void trap_if(Cond cond) { trap_(code(cond)); }
  void compare_with_size(uint8_t index) {
    fixed_size_ ? a_.cmp(gp(index, true), *fixed_size_) : a_.cmp(gp(index, true), size_);
  }

 private:
  Trap trap_;
  asmjit::x86::Mem size_;
  std::optional<uint32_t> fixed_size_;
};

}  // namespace vmrun::jit::baseline
