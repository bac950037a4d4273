// References, sizes and growth of memories and tables, and the bulk instructions.
#include "jit/baseline/compiler.h"

namespace vmrun::jit::baseline {

namespace {

/// The indices of an instruction as its helper takes them: destination | source << 32, and for init, memory or table |
/// segment << 32.
uint64_t helper_immediate(vm::Imm kind, const vm::Immediate& imm) {
  auto pair = [](uint64_t low, uint64_t high) { return low | high << 32; };
  switch (kind) {
    case vm::Imm::memory: return imm.mem.memory;
    case vm::Imm::memory_memory: return pair(imm.mem.memory, imm.index2);
    case vm::Imm::data_memory: return pair(imm.mem.memory, imm.index);
    case vm::Imm::table_table: return pair(imm.index, imm.index2);
    case vm::Imm::elem_table: return pair(imm.index2, imm.index);
    default: return imm.index;  // data, elem, table
  }
}

}  // namespace

template <Helper which, uint8_t operands>
void FunctionCompiler::ask(D& d, const Row& row, const Imm& imm, const V* args, V* results) {
  constexpr bool grows = which == Helper::memory_grow || which == Helper::table_grow;
  const uint64_t immediate = helper_immediate(vm::op_info(row.op).imm, imm);
  helper_op(d, which, immediate, {args, operands}, grows ? results : nullptr);
}

std::span<const FunctionCompiler::Row> FunctionCompiler::other_rows() {
  using F = FunctionCompiler;
  constexpr auto kRefIsNull = [](F& c, D& d, const Row&, const Imm&, const V* args, V* result) {
    Cond cond = c.test(args[0]);
    c.set_flags(d, asmjit::x86::negateCond(cond), 1, result);
  };
  constexpr auto kRefAsNonNull = [](F& c, D& d, const Row& row, const Imm& imm, const V* args, V* result) {
    Cond cond = c.test(args[0]);
    c.trap_if(d, asmjit::x86::negateCond(cond), TrapCode::NullReference);
    c.ref_same(d, row, imm, args, result);
  };
  constexpr auto kMemoryCopy = [](F& c, D& d, const Row& row, const Imm& imm, const V* args, V* results) {
    if (!c.copy_in_place(d, imm, args)) c.ask<Helper::memory_copy, 3>(d, row, imm, args, results);
  };
  constexpr auto kMemoryFill = [](F& c, D& d, const Row& row, const Imm& imm, const V* args, V* results) {
    if (!c.fill_in_place(d, imm, args)) c.ask<Helper::memory_fill, 3>(d, row, imm, args, results);
  };
  static constexpr Row kRows[] = {
      {Op::ref_is_null, &F::alone<kRefIsNull>},
      {Op::ref_as_non_null, &F::alone<kRefAsNonNull>},
      {Op::ref_eq, &F::ref_eq},
      {Op::ref_func, &F::ref_func},
      {Op::ref_test, &F::ref_test},
      {Op::ref_test_null, &F::ref_test},
      {Op::ref_cast, &F::ref_cast},
      {Op::ref_cast_null, &F::ref_cast},
      {Op::any_convert_extern, &F::ref_same},
      {Op::extern_convert_any, &F::ref_same},

      {Op::memory_size, &F::memory_size},
      {Op::memory_grow, &F::ask<Helper::memory_grow, 1>},
      {Op::memory_copy, &F::alone<kMemoryCopy>},
      {Op::memory_fill, &F::alone<kMemoryFill>},
      {Op::memory_init, &F::ask<Helper::memory_init, 3>},
      {Op::data_drop, &F::ask<Helper::data_drop, 0>},
      {Op::table_size, &F::table_size},
      {Op::table_grow, &F::ask<Helper::table_grow, 2>},
      {Op::table_fill, &F::ask<Helper::table_fill, 3>},
      {Op::table_copy, &F::ask<Helper::table_copy, 3>},
      {Op::table_init, &F::ask<Helper::table_init, 3>},
      {Op::elem_drop, &F::ask<Helper::elem_drop, 0>},
  };
  return kRows;
}

void FunctionCompiler::helper_op(D& d, Helper helper, uint64_t immediate, std::span<const V> operands, V* result,
                                 const vm::MemArg* offset_of_first) {
  constexpr uint8_t kArgs[] = {rcx, r8, r9};
  flush_all(d);
  forget_homes();
  load_const(rdx, immediate);
  if (helper == Helper::ref_test) wants_heap(immediate);
  const uint8_t first = kArgs[0];
  for (size_t i = 0; i < operands.size(); ++i) move_to_int(kArgs[i], operands[i]);
  if (offset_of_first != nullptr && offset_of_first->offset != 0) {
    load_const(kScratch, offset_of_first->offset);
    a_.add(q(first), q(kScratch));
    if (module_->memories[offset_of_first->memory].limits.is64) trap_if(d, Cond::kC, TrapCode::MemoryOutOfBounds);
  }
  a_.mov(q(rsi), q(r13));
  call_helper(helper);
  mark(d);
  owned_int_ = owned_vec_ = 0;
  free_int_ = all_int_;
  free_vec_ = all_vec_;
  if (result == nullptr) return;
  free_int_ &= ~(1u << rax);
  result_reg(*result, rax);
  result->raw = result->type == vm::kI32;
}

/// The code that ends here loads what Helper::ref_test is asked for: a move whose last bytes are the constant, eight of
/// them where it has more than 32 bits.
void FunctionCompiler::wants_heap(uint64_t wanted) {
  const auto heap = vm::HeapType::from_bits(static_cast<uint32_t>(wanted));
  if (heap.is_concrete()) uses_type(here() - (wanted >> 32 != 0 ? 8 : 4), heap.concrete(), TypeUse::As::heap);
}

void FunctionCompiler::test_reference(D& d, const Imm& imm, const V* args, V* result) {
  const uint64_t wanted = imm.type.heap().bits() | static_cast<uint64_t>(imm.type.nullable()) << 32;
  helper_op(d, Helper::ref_test, wanted, {args, 1}, result);
}

void FunctionCompiler::ref_test(D& d, const Row&, const Imm& imm, const V* args, V* result) {
  test_reference(d, imm, args, result);
}

void FunctionCompiler::ref_cast(D& d, const Row&, const Imm& imm, const V* args, V* result) {
  to_slot(d.stack().back());
  const uint32_t slot = args->slot;
  V passes;
  passes.type = vm::kI32;
  test_reference(d, imm, args, &passes);
  a_.test(w(rax), w(rax));
  trap_if(d, Cond::kZ, TrapCode::CastFailure);
  free_int_ |= 1u << rax;
  set_slot(*result, slot);
}

void FunctionCompiler::ref_same(D& d, const Row&, const Imm&, const V* args, V* result) {
  uint8_t to = target(d, false, 1, &args[0], nullptr);
  move_to_int(to, args[0]);
  result_reg(*result, to);
}

void FunctionCompiler::ref_eq(D& d, const Row&, const Imm&, const V* args, V* result) {
  compare(d, Cond::kE, true, args, result);
}

void FunctionCompiler::ref_func(D& d, const Row&, const Imm& imm, const V*, V* result) {
  uint8_t to = target(d, false, 0, nullptr, nullptr);
  a_.mov(q(to), at(r13, layout::instance::funcs));
  a_.mov(q(to), entry_at(to, imm.index, 8));
  result_reg(*result, to);
}

void FunctionCompiler::memory_size(D& d, const Row&, const Imm& imm, const V*, V* result) {
  uint8_t to = target(d, false, 0, nullptr, nullptr);
  a_.mov(q(to), at(r13, layout::instance::memories));
  a_.mov(q(to), entry_at(to, imm.mem.memory, 8));
  // Where a page is a byte, 4 GiB of them are more than an i32 counts.
  const unsigned log2 = module_->memories[imm.mem.memory].page_log2;
  load_int(to, at(to, layout::memory::bytes), log2 == 0 ? result->type : vm::kI64);
  if (log2 != 0) a_.shr(q(to), log2);
  result_reg(*result, to);
}

void FunctionCompiler::table_size(D& d, const Row&, const Imm& imm, const V*, V* result) {
  uint8_t to = target(d, false, 0, nullptr, nullptr);
  Mem size = table_of(imm.index, to);
  size.setSize(0);
  load_int(to, size, result->type);
  result_reg(*result, to);
}

}  // namespace vmrun::jit::baseline
