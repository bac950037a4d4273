// References, tables, sizes and growth of memories, and the bulk instructions.
#include "jit/baseline/compiler.h"

namespace vmrun::jit::baseline {

using asmjit::x86::ptr;

void FunctionCompiler::helper_op(D& d, Helper helper, std::initializer_list<uint64_t> immediates,
                                 std::span<const V* const> operands, V* result, const vm::MemArg* offset_of_first) {
  constexpr uint8_t kArgs[] = {rdx, rcx, r8, r9};
  flush_all(d);
  forget_homes();
  size_t next = 0;
  for (uint64_t immediate : immediates) {
    load_const(kArgs[next++], immediate);
    if (helper == Helper::ref_test) wants_heap(immediate);
  }
  const uint8_t first = kArgs[next];
  for (const V* operand : operands) move_to_int(kArgs[next++], *operand);
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

void FunctionCompiler::ref_test(D& d, bool cast, bool nullable, vm::HeapType heap, const V* args, V* result) {
  const V* operand = args;
  const uint64_t wanted = heap.bits() | static_cast<uint64_t>(nullable) << 32;
  if (!cast) return helper_op(d, Helper::ref_test, {wanted}, {&operand, 1}, result);
  to_slot(d.stack().back());
  const uint32_t slot = args->slot;
  V passes;
  passes.type = vm::kI32;
  helper_op(d, Helper::ref_test, {wanted}, {&operand, 1}, &passes);
  a_.test(w(rax), w(rax));
  trap_if(d, Cond::kZ, TrapCode::CastFailure);
  free_int_ |= 1u << rax;
  set_slot(*result, slot);
}

bool FunctionCompiler::other_op(D& d, Op op, const Imm& imm, const V* args, size_t count, V* results) {
  const V* operands[4] = {};
  for (size_t i = 0; i < count && i < 4; ++i) operands[i] = &args[i];
  auto helper = [&](Helper which, std::initializer_list<uint64_t> immediates) {
    const bool grows = which == Helper::memory_grow || which == Helper::table_grow;
    helper_op(d, which, immediates, {operands, count}, grows ? results : nullptr);
  };
  auto pair = [](uint64_t low, uint64_t high) { return low | high << 32; };
  switch (op) {
    case Op::ref_is_null: {
      Cond cond = test(args[0]);
      set_flags(d, asmjit::x86::negateCond(cond), 1, results);
      return true;
    }
    case Op::ref_as_non_null: {
      Cond cond = test(args[0]);
      trap_if(d, asmjit::x86::negateCond(cond), TrapCode::NullReference);
      uint8_t to = target(d, false, 1, &args[0], nullptr);
      move_to_int(to, args[0]);
      result_reg(*results, to);
      return true;
    }
    case Op::ref_eq: compare(d, Cond::kE, true, args, results); return true;
    case Op::ref_func: {
      uint8_t to = target(d, false, 0, nullptr, nullptr);
      a_.mov(q(to), at(r13, layout::kFuncs));
      a_.mov(q(to), entry_at(to, imm.index, 8));
      result_reg(*results, to);
      return true;
    }
    case Op::any_convert_extern:
    case Op::extern_convert_any: {
      uint8_t to = target(d, false, 1, &args[0], nullptr);
      move_to_int(to, args[0]);
      result_reg(*results, to);
      return true;
    }
    case Op::memory_size: {
      uint8_t to = target(d, false, 0, nullptr, nullptr);
      a_.mov(q(to), at(r13, layout::kMemories));
      a_.mov(q(to), entry_at(to, imm.mem.memory, 8));
      // Where a page is a byte, 4 GiB of them are more than an i32 counts.
      const unsigned log2 = module_->memories[imm.mem.memory].page_log2;
      load_int(to, at(to, layout::kMemoryBytes), log2 == 0 ? results->type : vm::kI64);
      if (log2 != 0) a_.shr(q(to), log2);
      result_reg(*results, to);
      return true;
    }
    case Op::table_size: {
      uint8_t to = target(d, false, 0, nullptr, nullptr);
      Mem size = table_of(imm.index, to);
      size.setSize(0);
      load_int(to, size, results->type);
      result_reg(*results, to);
      return true;
    }
    case Op::table_get: {
      uint8_t entry = table_entry(d, imm.index, args[0], TrapCode::TableOutOfBounds);
      result_reg(*results, entry);
      return true;
    }
    case Op::table_set: {
      uint8_t value = fetch_int(args[1]);
      uint8_t entry = take_int();
      check_index(d, imm.index, entry, index_of(args[0]), TrapCode::TableOutOfBounds);
      a_.mov(q(kScratch), at(kScratch, layout::kTableElems));
      a_.mov(ptr(q(kScratch), q(entry), 3), q(value));
      return true;
    }
    case Op::ref_test:
    case Op::ref_test_null:
    case Op::ref_cast:
    case Op::ref_cast_null: {
      const bool cast = op == Op::ref_cast || op == Op::ref_cast_null;
      ref_test(d, cast, op == Op::ref_test_null || op == Op::ref_cast_null, imm.type.heap(), args, results);
      return true;
    }
    case Op::i64_add128:
    case Op::i64_sub128: add_sub_128(d, op == Op::i64_sub128, args, results); return true;
    case Op::i64_mul_wide_s:
    case Op::i64_mul_wide_u: mul_wide(d, op == Op::i64_mul_wide_s, args, results); return true;
    case Op::memory_grow: helper(Helper::memory_grow, {imm.mem.memory}); return true;
    case Op::memory_copy: helper(Helper::memory_copy, {pair(imm.mem.memory, imm.index2)}); return true;
    case Op::memory_fill: helper(Helper::memory_fill, {imm.mem.memory}); return true;
    case Op::memory_init: helper(Helper::memory_init, {pair(imm.mem.memory, imm.index)}); return true;
    case Op::data_drop: helper(Helper::data_drop, {imm.index}); return true;
    case Op::table_grow: helper(Helper::table_grow, {imm.index}); return true;
    case Op::table_fill: helper(Helper::table_fill, {imm.index}); return true;
    case Op::table_copy: helper(Helper::table_copy, {pair(imm.index, imm.index2)}); return true;
    case Op::table_init: helper(Helper::table_init, {pair(imm.index2, imm.index)}); return true;
    case Op::elem_drop: helper(Helper::elem_drop, {imm.index}); return true;
    default: return atomic_op(d, op, imm, args, count, results);
  }
}

}  // namespace vmrun::jit::baseline
