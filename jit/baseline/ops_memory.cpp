// Loads, stores, globals and tables' entries.
#include "jit/baseline/compiler.h"
#include "jit/baseline/machine_x86_64.h"

namespace vmrun::jit::baseline {

namespace Inst = asmjit::x86::Inst;
using asmjit::x86::ptr;

std::span<const FunctionCompiler::Row> FunctionCompiler::memory_rows() {
  using F = FunctionCompiler;
  // The number of a load is how many bits of the register it names: 32 clear the upper half.
  static constexpr Row kRows[] = {
      {Op::i32_load, &F::int_load, 0, 0, 32},
      {Op::i64_load, &F::int_load, 0, 0, 64},
      {Op::f32_load, &F::float_load},
      {Op::f64_load, &F::float_load},
      {Op::v128_load, &F::float_load},
      {Op::i32_load8_s, &F::int_load_extended, Inst::kIdMovsx, 0, 32},
      {Op::i32_load8_u, &F::int_load_extended, Inst::kIdMovzx, 0, 32},
      {Op::i32_load16_s, &F::int_load_extended, Inst::kIdMovsx, 0, 32},
      {Op::i32_load16_u, &F::int_load_extended, Inst::kIdMovzx, 0, 32},
      {Op::i64_load8_s, &F::int_load_extended, Inst::kIdMovsx, 0, 64},
      {Op::i64_load8_u, &F::int_load_extended, Inst::kIdMovzx, 0, 32},
      {Op::i64_load16_s, &F::int_load_extended, Inst::kIdMovsx, 0, 64},
      {Op::i64_load16_u, &F::int_load_extended, Inst::kIdMovzx, 0, 32},
      {Op::i64_load32_s, &F::int_load_extended, Inst::kIdMovsxd, 0, 64},
      {Op::i64_load32_u, &F::int_load, 0, 0, 32},
      {Op::i32_store, &F::int_store},
      {Op::i64_store, &F::int_store},
      {Op::f32_store, &F::float_store},
      {Op::f64_store, &F::float_store},
      {Op::v128_store, &F::float_store},
      {Op::i32_store8, &F::int_store},
      {Op::i32_store16, &F::int_store},
      {Op::i64_store8, &F::int_store},
      {Op::i64_store16, &F::int_store},
      {Op::i64_store32, &F::int_store},
      {Op::global_get, &F::global_get},
      {Op::global_set, &F::global_set},
      {Op::table_get, &F::table_get},
      {Op::table_set, &F::table_set},
  };
  return kRows;
}

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
  a_.mov(q(limit), at(r13, layout::instance::memories));
  a_.mov(q(limit), entry_at(limit, memory, 8));
  a_.mov(q(limit), at(limit, layout::memory::bytes));
  TrappingMachine machine(a_, [&](Cond cond) { trap_if(d, cond, TrapCode::MemoryOutOfBounds); });
  rules::checked_address(machine, kScratch, limit, size);
  if (memory == 0) return ptr(q(r14), q(kScratch));
  a_.mov(q(limit), at(r13, layout::instance::memories));
  a_.mov(q(limit), entry_at(limit, memory, 8));
  a_.add(q(kScratch), at(limit, layout::memory::base));
  return at(kScratch, 0);
}

void FunctionCompiler::int_load(D& d, const Row& row, const Imm& imm, const V* args, V* result) {
  uint8_t to = target(d, false, 1, &args[0], nullptr);
  Mem mem = address(d, imm.mem, args[0], access_size(row));
  mark(d);
  a_.mov(gp(to, row.imm == 64), mem);
  result_reg(*result, to);
}

void FunctionCompiler::int_load_extended(D& d, const Row& row, const Imm& imm, const V* args, V* result) {
  const unsigned size = access_size(row);
  uint8_t to = target(d, false, 1, &args[0], nullptr);
  Mem mem = address(d, imm.mem, args[0], size);
  mem.setSize(size);
  mark(d);
  a_.emit(row.id, gp(to, row.imm == 64), mem);
  result_reg(*result, to);
}

void FunctionCompiler::float_load(D& d, const Row& row, const Imm& imm, const V* args, V* result) {
  uint8_t to = target(d, true, 1, nullptr, nullptr);
  Mem mem = address(d, imm.mem, args[0], access_size(row));
  mark(d);
  load_vec(to, mem, result->type);
  result_reg(*result, to);
}

void FunctionCompiler::int_store(D& d, const Row& row, const Imm& imm, const V* args, V*) {
  const unsigned size = access_size(row);
  const V& value = args[1];
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

void FunctionCompiler::float_store(D& d, const Row& row, const Imm& imm, const V* args, V*) {
  uint8_t from = fetch_vec(args[1]);
  Mem mem = address(d, imm.mem, args[0], access_size(row));
  mark(d);
  store_vec(mem, from, args[1].type);
}

asmjit::x86::Mem FunctionCompiler::global_place(uint32_t index) {
  if (index >= module_->imported_globals) {
    a_.mov(q(kScratch), at(r13, layout::instance::own_globals));
    return entry_at(kScratch, index - module_->imported_globals, layout::global::bytes);
  }
  a_.mov(q(kScratch), at(r13, layout::instance::globals));
  a_.mov(q(kScratch), entry_at(kScratch, index, 8));
  return at(kScratch, 0);
}

void FunctionCompiler::global_get(D& d, const Row&, const Imm& imm, const V*, V* result) {
  const bool vec = is_vec(result->type);
  uint8_t to = target(d, vec, 0, nullptr, nullptr);
  Mem from = global_place(imm.index);
  if (vec) {
    load_vec(to, from, result->type);
  } else {
    load_int(to, from, result->type);
  }
  result_reg(*result, to);
}

/// f32 is written whole: the upper half of its slot does not matter.
void FunctionCompiler::global_set(D&, const Row&, const Imm& imm, const V* args, V*) {
  const ValType type = module_->globals[imm.index].type.type;
  if (is_vec(type)) {
    uint8_t from = fetch_vec(args[0]);
    store_vec(global_place(imm.index), from, type);
  } else {
    uint8_t from = fetch_int(args[0]);
    clean(args[0], from);
    store_int(global_place(imm.index), from);
  }
}

/// Leaves the address of a table's record in `reg`.
asmjit::x86::Mem FunctionCompiler::table_of(uint32_t table, uint8_t reg) {
  a_.mov(q(reg), at(r13, layout::instance::tables));
  a_.mov(q(reg), entry_at(reg, table, 8));
  Mem size = at(reg, layout::table::size);
  size.setSize(8);
  return size;
}

/// Leaves the address of a table's record in r11 and the checked index in `entry`.
void FunctionCompiler::check_index(D& d, uint32_t table, uint8_t entry, Index index, TrapCode code) {
  TrappingMachine machine(
      a_, [&](Cond cond) { trap_if(d, cond, code); }, table_of(table, kScratch), module_->fixed_table_size(table));
  rules::table_index(machine, entry, index.reg());
}

/// A table's entry, in a temporary.
uint8_t FunctionCompiler::table_entry(D& d, uint32_t table, const V& index, TrapCode code) {
  uint8_t entry = take_int();
  const Index at_index = index_of(index);
  check_index(d, table, entry, at_index, code);
  a_.mov(q(kScratch), at(kScratch, layout::table::elems));
  a_.mov(q(entry), ptr(q(kScratch), q(entry), 3));
  return entry;
}

void FunctionCompiler::table_get(D& d, const Row&, const Imm& imm, const V* args, V* result) {
  result_reg(*result, table_entry(d, imm.index, args[0], TrapCode::TableOutOfBounds));
}

void FunctionCompiler::table_set(D& d, const Row&, const Imm& imm, const V* args, V*) {
  uint8_t value = fetch_int(args[1]);
  uint8_t entry = take_int();
  check_index(d, imm.index, entry, index_of(args[0]), TrapCode::TableOutOfBounds);
  a_.mov(q(kScratch), at(kScratch, layout::table::elems));
  a_.mov(ptr(q(kScratch), q(entry), 3), q(value));
}

}  // namespace vmrun::jit::baseline
