// The check mode. While a function is compiled: that every temporary is free, held by one operand or the instruction's,
// and that operands are where they may be. In the generated code, when the request asks for it: that homes which are
// said to equal their slots do so wherever paths meet, and constants of a loop's header theirs; that nobody reads what is
// said to be read no more; and that the upper half of
// an i32 is zero in parameters, arguments, results and indices. A failure in generated code is an undefined instruction.
#include <algorithm>
#include <bit>
#include <string_view>

#include "jit/baseline/compiler.h"
#include "vm/base/assert.h"

namespace vmrun::jit::baseline {
namespace {

/// So many operands of a function are looked at, and of constants in front of loops, which take code, before all that lies
/// deeper than kUpper is left out: stacks may be thousands deep, and looking at each whenever another is pushed takes the
/// square.
constexpr size_t kMostOperands = size_t{1} << 24, kMostConstants = size_t{1} << 16, kUpper = 64;

}  // namespace

void FunctionCompiler::check_operands(D& d, const char* event) {
  if (!d.reachable()) return;
  const std::string_view name = event;
  if (name == "begin" || name == "end_function") return;
  // The operand on top may be in the home of the local that this instruction sets.
  const bool sets_local = name == "local_set" || name == "local_tee";
  std::span<V> stack = d.stack();
  const size_t settled = std::min(settled_, stack.size());
  const size_t first = checked_operands_ < kMostOperands ? 0 : settled - std::min(settled, kUpper);
  checked_operands_ += stack.size() - first;
  uint32_t held_int = 0, held_vec = 0, slot = first != 0 ? stack[first].slot : operand_base_;
  for (size_t i = first; i < stack.size(); ++i) {
    const V& value = stack[i];
    const bool top = i + 1 == stack.size();
    VMRUN_ASSERT(value.slot >= slot, "operands' slots rise");
    slot = value.slot + value.type.slots();
    VMRUN_ASSERT(i >= settled_ || value.kind == Kind::slot || value.kind == Kind::constant, "settled operands stay so");
    switch (value.kind) {
      case Kind::reg: {
        uint32_t& held = is_vec(value.type) ? held_vec : held_int;
        const uint32_t all = is_vec(value.type) ? all_vec_ : all_int_, bit = 1u << value.reg;
        if ((all & bit) == 0) {
          VMRUN_ASSERT(top && sets_local, "an operand is in a temporary");
          break;
        }
        VMRUN_ASSERT((held & bit) == 0, "a temporary holds one operand");
        held |= bit;
        break;
      }
      case Kind::local: VMRUN_ASSERT(i >= lazy_, "operands that name locals are where they are looked for"); break;
      case Kind::flags: VMRUN_ASSERT(top, "only the latest operand is in the flags"); break;
      default: break;
    }
  }
  VMRUN_ASSERT((owned_int_ | owned_vec_) == 0, "no instruction keeps temporaries");
  VMRUN_ASSERT((held_int & free_int_) == 0 && (held_vec & free_vec_) == 0, "a temporary that is held is not free");
  // Some instructions have popped an operand already, which may be in a register.
  const bool popped = name.starts_with("br_") || name == "if_" || name.ends_with("_indirect") || name.ends_with("_ref");
  const uint32_t lost = (all_int_ & ~(free_int_ | held_int)) | (all_vec_ & ~(free_vec_ | held_vec)) << 16;
  VMRUN_ASSERT(std::popcount(lost) <= (popped ? 1 : 0), "a temporary that nobody holds is free");
  VMRUN_ASSERT(((state_.dirty | state_.raw) & ~state_.loaded) == 0,
               "only what is loaded is newer than its slot, or raw");
}

/// A function, or an entry at a loop, begins: who entered has said which function it is, which polls rely on.
void FunctionCompiler::check_record() {
  if (!check_failed_.valid()) check_failed_ = a_.new_label();
  own_record(r10);
  a_.cmp(q(r9), q(r10));
  a_.jne(check_failed_);
}

/// Paths meet here, with `state_` as the homes' state.
void FunctionCompiler::check_merge(D& d, bool constants) {
  if (!request_.check_merges) return;
  if (!check_failed_.valid()) check_failed_ = a_.new_label();
  for (uint32_t bits = state_.loaded & ~state_.dirty; bits != 0; bits &= bits - 1) {
    const Home& home = homes_[std::countr_zero(bits)];
    const ValType::Kind kind = home.type.kind();
    const bool wide = kind != ValType::Kind::i32 && kind != ValType::Kind::f32;
    Mem slot = slot_mem(home.slot, home.type);
    if (kind == ValType::Kind::v128) {
      a_.vpcmpeqb(x(kVectorScratch), x(home.reg), slot);
      a_.vpmovmskb(w(kScratch), x(kVectorScratch));
      a_.cmp(w(kScratch), 0xffff);
    } else if (home.vec) {
      wide ? a_.vmovq(q(kScratch), x(home.reg)) : a_.vmovd(w(kScratch), x(home.reg));
      a_.cmp(gp(kScratch, wide), slot);
    } else {
      a_.cmp(gp(home.reg, wide), slot);
    }
    a_.jne(check_failed_);
  }
  if (!constants) return;
  const std::span<V> stack = d.stack();
  const size_t upper = checked_constants_ < kMostConstants ? stack.size() : std::min(stack.size(), kUpper);
  for (const V& value : stack.last(upper)) {
    if (value.kind != Kind::constant || value.type == vm::kV128) continue;
    ++checked_constants_;
    load_const(kScratch, value.bits);
    const bool wide = value.type != vm::kI32 && value.type != vm::kF32;
    a_.cmp(gp(kScratch, wide), slot_mem(value.slot, value.type));
    a_.jne(check_failed_);
  }
}

void FunctionCompiler::spoil_slots(HomeMask homes) {
  if (!request_.check_merges) return;
  for (; homes != 0; homes &= homes - 1) {
    const Home& home = homes_[std::countr_zero(homes)];
    Mem slot = slot_mem(home.slot, home.type);
    slot.setSize(8);
    a_.mov(slot, 0x5a5a5a5a);  // changes no flags
  }
}

void FunctionCompiler::emit_upper_check(uint8_t reg, uint8_t scratch) {
  if (!check_failed_.valid()) check_failed_ = a_.new_label();
  a_.mov(q(scratch), q(reg));
  a_.shr(q(scratch), 32);
  a_.jne(check_failed_);
}

void FunctionCompiler::check_params(const FuncType& type, uint8_t scratch) {
  if (!request_.check_merges) return;
  PlaceWalk walk = PlaceWalk::params();
  for (ValType param : type.params) {
    const Place place = walk.next(param);
    if (place.in == Place::In::integer) check_upper(kIntArgs[place.index], param, scratch);
  }
}

void FunctionCompiler::emit_check_failure() {
  if (!check_failed_.valid()) return;
  a_.bind(check_failed_);
  a_.ud2();
}

}  // namespace vmrun::jit::baseline
