// Loads, stores, globals and tables' entries.
#include "jit/baseline/compiler.h"
#include "jit/baseline/machine_x86_64.h"

namespace vmrun::jit::baseline {

namespace Inst = asmjit::x86::Inst;
using asmjit::x86::ptr;

/// Guarded memory, Rule::guarded_address: base + zero-extended index + offset, which lands inside the reservation. Any
/// other, Rule::checked_address: compared with the
/// current size; an address beyond it becomes 0 before it is used, even where the processor runs ahead of the check.
asmjit::x86::Mem FunctionCompiler::address(D& d, const vm::MemArg& mem, const V& index, unsigned size) {
  if (mem.memory == 0 && memory0_guarded_) {
    const uint64_t offset = mem.offset;
    if (index.kind == Kind::constant) {
      uint64_t sum = index.bits + offset;
      if (rules::is_displacement(sum)) return at(r14, static_cast<int32_t>(sum));
      load_const(kScratch, sum);
      return ptr(q(r14), q(kScratch));
    }
    const bool near = rules::is_displacement(offset);
    const uint8_t reg = index_of(index, near).reg();
    if (near) return ptr(q(r14), q(reg), 0, static_cast<int32_t>(offset));
    load_const(kScratch, offset);
    a_.add(q(kScratch), q(reg));
    return ptr(q(r14), q(kScratch));
  }
  const bool wide = module_->memories[mem.memory].limits.is64;
  const uint8_t limit = take_int();
  add_offset(d, index_of(index), mem.offset, wide);
  return checked_address(d, mem.memory, limit, size);
}

void FunctionCompiler::add_offset(D& d, Index index, uint64_t offset, bool traps) {
  TrappingMachine machine(a_, [&](Cond cond) { trap_if(d, cond, TrapCode::MemoryOutOfBounds); });
  rules::add_offset(machine, kScratch, index.reg(), offset, traps);
}

asmjit::x86::Mem FunctionCompiler::checked_address(D& d, uint32_t memory, uint8_t limit, unsigned size) {
  a_.mov(q(limit), at(r13, layout::kMemories));
  a_.mov(q(limit), entry_at(limit, memory, 8));
  a_.mov(q(limit), at(limit, layout::kMemoryBytes));
  TrappingMachine machine(a_, [&](Cond cond) { trap_if(d, cond, TrapCode::MemoryOutOfBounds); });
  rules::checked_address(machine, kScratch, limit, size);
  if (memory == 0) return ptr(q(r14), q(kScratch));
  a_.mov(q(limit), at(r13, layout::kMemories));
  a_.mov(q(limit), entry_at(limit, memory, 8));
  a_.add(q(kScratch), at(limit, layout::kMemoryBase));
  return at(kScratch, 0);
}

void FunctionCompiler::load(D& d, Op op, const Imm& imm, const V* args, V* result) {
  const unsigned size = 1u << vm::op_info(op).access_log2;
  if (is_vec(result->type)) {
    uint8_t to = target(d, true, 1, nullptr, nullptr);
    Mem mem = address(d, imm.mem, args[0], size);
    mark(d);
    load_vec(to, mem, result->type);
    return result_reg(*result, to);
  }
  uint8_t to = target(d, false, 1, &args[0], nullptr);
  Mem mem = address(d, imm.mem, args[0], size);
  mem.setSize(size);
  mark(d);
  switch (op) {
    case Op::i32_load:
    case Op::i64_load32_u: a_.mov(w(to), mem); break;
    case Op::i64_load: a_.mov(q(to), mem); break;
    case Op::i32_load8_u:
    case Op::i32_load16_u:
    case Op::i64_load8_u:
    case Op::i64_load16_u: a_.movzx(w(to), mem); break;
    case Op::i32_load8_s:
    case Op::i32_load16_s: a_.movsx(w(to), mem); break;
    case Op::i64_load8_s:
    case Op::i64_load16_s: a_.movsx(q(to), mem); break;
    default: a_.movsxd(q(to), mem); break;  // i64.load32_s
  }
  result_reg(*result, to);
}

void FunctionCompiler::store(D& d, Op op, const Imm& imm, const V* args) {
  const unsigned size = 1u << vm::op_info(op).access_log2;
  const V& value = args[1];
  if (is_vec(value.type)) {
    uint8_t from = fetch_vec(value);
    Mem mem = address(d, imm.mem, args[0], size);
    mark(d);
    store_vec(mem, from, value.type);
    return;
  }
  const auto bits = static_cast<int64_t>(value.bits);
  const bool immediate = value.kind == Kind::constant && (size < 8 || bits == static_cast<int32_t>(bits));
  uint8_t from = immediate ? kNoHome : fetch_int(value);
  Mem mem = address(d, imm.mem, args[0], size);
  mem.setSize(size);
  mark(d);
  if (immediate) {
    int64_t low = size == 1   ? static_cast<int8_t>(bits)
                  : size == 2 ? static_cast<int16_t>(bits)
                              : static_cast<int32_t>(bits);
    a_.mov(mem, asmjit::Imm(low));
    return;
  }
  a_.mov(mem, sized(from, size));
}

void FunctionCompiler::global_access(D& d, bool write, uint32_t index, const V* args, V* result) {
  ValType type = module_->globals[index].type.type;
  auto place = [&]() -> Mem {
    if (index >= module_->imported_globals) {
      a_.mov(q(kScratch), at(r13, layout::kOwnGlobals));
      return entry_at(kScratch, index - module_->imported_globals, layout::kGlobalSize);
    }
    a_.mov(q(kScratch), at(r13, layout::kGlobals));
    a_.mov(q(kScratch), entry_at(kScratch, index, 8));
    return at(kScratch, 0);
  };
  if (!write) {
    uint8_t to = target(d, is_vec(type), 0, nullptr, nullptr);
    Mem from = place();
    if (is_vec(type)) {
      load_vec(to, from, type);
    } else {
      load_int(to, from, type);
    }
    return result_reg(*result, to);
  }
  // f32 is written whole: the upper half of its slot does not matter.
  if (is_vec(type)) {
    uint8_t from = fetch_vec(args[0]);
    store_vec(place(), from, type);
  } else {
    uint8_t from = fetch_int(args[0]);
    clean(args[0], from);
    store_int(place(), from);
  }
}

/// Leaves the address of a table's record in `reg`.
asmjit::x86::Mem FunctionCompiler::table_of(uint32_t table, uint8_t reg) {
  a_.mov(q(reg), at(r13, layout::kTables));
  a_.mov(q(reg), entry_at(reg, table, 8));
  Mem size = at(reg, layout::kTableSize);
  size.setSize(8);
  return size;
}

/// Leaves the address of a table's record in r11 and the checked index in `entry`.
void FunctionCompiler::check_index(D& d, uint32_t table, uint8_t entry, Index index, TrapCode code) {
  TrappingMachine machine(a_, [&](Cond cond) { trap_if(d, cond, code); }, table_of(table, kScratch));
  rules::table_index(machine, entry, index.reg());
}

/// A table's entry, in a temporary.
uint8_t FunctionCompiler::table_entry(D& d, uint32_t table, const V& index, TrapCode code) {
  uint8_t entry = take_int();
  const Index at_index = index_of(index);
  check_index(d, table, entry, at_index, code);
  a_.mov(q(kScratch), at(kScratch, layout::kTableElems));
  a_.mov(q(entry), ptr(q(kScratch), q(entry), 3));
  return entry;
}

}  // namespace vmrun::jit::baseline
