#include "interp/careful/ir_reads.h"

#include <string_view>

#include "vm/base/assert.h"

namespace vmrun::interp::ir {

Use operand_of(const Function& f, const Inst& y, OperandField from) {
  return reads_low_half(y, from) ? Use::low(f, y.*from) : Use::whole(y.*from);
}

void read(Inst& x, OperandField to, const Use& use) {
  VMRUN_ASSERT(!use.is_const(), "an operand in a register");
  VMRUN_ASSERT(!use.is_low() || reads_low_half(x, to), "the instruction reads no more than the lower half");
  x.*to = use.reg();
}

namespace {

/// Whether what `x` computes is an i32, where the operation says so.
bool gives_i32(const Function& f, const Inst& x) {
  auto i32 = [&](uint32_t reg) { return f.regs[reg].i32; };
  switch (x.kind) {
    case Kind::binary:
    case Kind::unary:
    case Kind::load: return vm::gives(x.op, vm::kI32);
    case Kind::binary2:
    case Kind::load_op: return vm::gives(x.op2, vm::kI32);
    case Kind::move: return (x.flags & kConstA) != 0 ? x.imm <= UINT32_MAX : i32(x.a);
    case Kind::select: return i32(x.a) && i32(x.b);
    case Kind::min_max: return reads_i32(x.op) || (i32(x.a) && i32(x.b));
    default: return true;  // calls, globals and the like: the convention says so
  }
}

bool reads_what_there_is(const vm::Module& module, const Function& f, const Inst& x) {
  auto i32 = [&](uint32_t reg) { return f.regs[reg].i32; };
  if (x.kind == Kind::min_max) return !reads_i32(x.op) || f.regs[x.d].i32 || (i32(x.a) && i32(x.b));
  for (uint32_t i = 0; x.kind == Kind::generic && i < x.count; i++) {
    if (generic_takes_i32(module, f, x, i) && !i32(f.extra[x.list + i])) return false;
  }
  return true;
}

}  // namespace

bool generic_takes_i32(const vm::Module& module, const Function& f, const Inst& x, uint32_t i) {
  const char letter = vm::has_own_rule(x.op) ? '*' : vm::signature(x.op).param[i];
  return letter == 'i' || (letter == 'p' && !module.memories[f.immediates[x.imm].mem.memory].limits.is64);
}

int32_t find_type_error(const vm::Module& module, const Function& f) {
  for (size_t i = 0; i < f.code.size(); i++) {
    const Inst& x = f.code[i];
    if (x.kind == Kind::nop) continue;
    if (x.d != kNoReg && f.regs[x.d].i32 && !gives_i32(f, x)) return static_cast<int32_t>(i);
    if (!reads_what_there_is(module, f, x)) return static_cast<int32_t>(i);
  }
  return -1;
}

}  // namespace vmrun::interp::ir
