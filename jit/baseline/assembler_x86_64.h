// asmjit's assembler with a short way for the instructions that baseline code mostly consists of: moves, arithmetic on
// registers, memory and constants, loads and stores of floats. asmjit takes some 12 ns for any instruction, because it
// looks everything up in tables; these take 3. All other forms go to asmjit.
#pragma once

#include <asmjit/x86.h>

namespace vmrun::jit::baseline {

class FastAssembler final : public asmjit::x86::Assembler {
 public:
  // Half of all instructions; these need no look at the operands' kinds.
  using Assembler::mov;
  asmjit::Error mov(const asmjit::x86::Gp& to, const asmjit::x86::Gp& from);
  asmjit::Error mov(const asmjit::x86::Gp& to, const asmjit::x86::Mem& from);
  asmjit::Error mov(const asmjit::x86::Mem& to, const asmjit::x86::Gp& from);

  asmjit::Error _emit(asmjit::InstId id, const asmjit::Operand_& o0, const asmjit::Operand_& o1,
                      const asmjit::Operand_& o2, const asmjit::Operand_* more) override;

 private:
  bool has_room() const;
  asmjit::Error wrote(uint8_t* end);
  /// Writes the instruction at `p` and returns its end; null: not one of ours.
  static uint8_t* encode(uint8_t* p, asmjit::InstId id, const asmjit::Operand_& o0, const asmjit::Operand_& o1);
};

}  // namespace vmrun::jit::baseline
