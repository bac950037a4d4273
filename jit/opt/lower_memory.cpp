// Lowering: linear memories, globals, tables and references.
#include <llvm/IR/InlineAsm.h>

#include "jit/opt/lower.h"
#include "jit/opt/places.h"
#include "vm/runtime/memory.h"

namespace vmrun::jit::opt {

using vm::ValType;

// ---- addresses ------------------------------------------------------------------------------------------------------

llvm::Value* Lowering::memory(uint32_t index) {
  llvm::Value* memories = load_fixed_ptr(inst_, layout::instance::memories);
  return load_fixed_ptr(memories, 8 * uint64_t{index});
}

bool Lowering::is_guarded(uint32_t index) const {
  return vm::memory_is_guarded(image_.memories[index], !image_.guarded_memories);
}

void Lowering::keep_order(uint32_t index, llvm::Instruction& access) {
  // Others may write to a shared memory at any time: what was loaded from it must not be loaded again.
  if (is_guarded(index) || image_.memories[index].shared) return mark_faulting(access, place_);
  if (auto* store = llvm::dyn_cast<llvm::StoreInst>(&access)) seen_by_others(*store);
}

void Lowering::seen_by_others(llvm::StoreInst& store) {
  for (uint32_t i = 0; i < image_.memories.size(); ++i) {
    if (is_guarded(i)) return mark_ordered(store);
  }
}

llvm::Value* Lowering::memory_base(uint32_t index) {
  return index == 0 ? mem_ : load_fixed_ptr(memory(index), layout::memory::base);
}

llvm::Value* Lowering::address(const vm::MemArg& arg, llvm::Value* index, unsigned bytes) {
  llvm::Value* base = memory_base(arg.memory);
  llvm::Value* wide = b_.CreateZExt(index, b_.getInt64Ty());
  if (is_guarded(arg.memory)) {
    save_fuel();  // the access may fault
    // index + offset + bytes stays below 8 GiB and the guard, all of which is reserved.
    llvm::Value* sum = arg.offset == 0 ? wide : b_.CreateNUWAdd(wide, i64(arg.offset));
    return b_.CreateGEP(b_.getInt8Ty(), base, sum);
  }
  if (arg.offset + bytes < arg.offset) {  // ends beyond every memory
    trap_if(b_.getTrue(), vm::TrapCode::MemoryOutOfBounds);
    return base;
  }
  llvm::Value* beyond = ends_beyond(arg.memory, wide, i64(arg.offset + bytes));
  llvm::Value* at = b_.CreateAdd(wide, i64(arg.offset));
  return b_.CreateGEP(b_.getInt8Ty(), base, zero_if(beyond, at, vm::TrapCode::MemoryOutOfBounds));
}

llvm::Value* Lowering::ends_beyond(uint32_t index, llvm::Value* from, llvm::Value* bytes) {
  const vm::MemoryType& type = image_.memories[index];
  llvm::LoadInst* size = b_.CreateLoad(b_.getInt64Ty(), offset(memory(index), layout::memory::bytes));
  if (type.shared) {
    size->setAtomic(llvm::AtomicOrdering::Acquire);
    size->setAlignment(llvm::Align(8));
  }
  if (!type.limits.is64) return b_.CreateICmpUGT(b_.CreateNUWAdd(from, bytes), size);
  llvm::Value* sum = b_.CreateBinaryIntrinsic(llvm::Intrinsic::uadd_with_overflow, from, bytes);
  return b_.CreateOr(b_.CreateExtractValue(sum, 1), b_.CreateICmpUGT(b_.CreateExtractValue(sum, 0), size));
}

llvm::Value* Lowering::load(const vm::MemArg& arg, llvm::Value* index, llvm::Type* type) {
  llvm::Value* from = address(arg, index, type->getPrimitiveSizeInBits() / 8);
  llvm::LoadInst* value = b_.CreateAlignedLoad(type, from, llvm::Align(1));
  keep_order(arg.memory, *value);
  return value;
}

void Lowering::store(const vm::MemArg& arg, llvm::Value* index, llvm::Value* value) {
  llvm::Value* to = address(arg, index, value->getType()->getPrimitiveSizeInBits() / 8);
  keep_order(arg.memory, *b_.CreateAlignedStore(value, to, llvm::Align(1)));
}

llvm::Value* Lowering::zero_if(llvm::Value* bad, llvm::Value* value, vm::TrapCode code) {
  // A conditional move by the flags that the branch takes, too. The optimiser, which knows what was selected behind the
  // check, does not see through the assembly that does nothing; that the selection is unpredictable keeps it from
  // becoming a branch.
  llvm::Value* selected = b_.CreateSelect(bad, i64(0), value);
  if (auto* select = llvm::dyn_cast<llvm::SelectInst>(selected)) {
    select->setMetadata(llvm::LLVMContext::MD_unpredictable, llvm::MDNode::get(context_, {}));
  }
  llvm::Value* safe = opaque(selected);
  trap_if(bad, code);
  return safe;
}

llvm::Value* Lowering::opaque(llvm::Value* value) {
  llvm::Type* const type = b_.getInt64Ty();
  llvm::InlineAsm* nothing =
      llvm::InlineAsm::get(llvm::FunctionType::get(type, {type}, false), "", "=r,0", /*hasSideEffects=*/true);
  return b_.CreateCall(nothing, {value});
}

llvm::Value* Lowering::checked_index(llvm::Value* index, llvm::Value* size, vm::TrapCode code) {
  // A guest may have compared the same bits with the same size: in its branch the optimiser would know what the check says,
  // and leave out the move that holds where the processor guesses wrong. 32 bits are never compared with a size of 64,
  // unless that is a constant.
  const bool wide = index->getType()->isIntegerTy(64);
  if (!wide) index = b_.CreateZExt(index, b_.getInt64Ty());
  if (wide || llvm::isa<llvm::Constant>(size)) index = opaque(index);
  return zero_if(b_.CreateICmpUGE(index, size), index, code);
}

llvm::Value* Lowering::is_of(llvm::Value* ref, vm::ValType type, bool nullable) {
  const vm::HeapType heap = type.heap();
  llvm::Value* bits = heap.is_concrete() ? number_of(heap.concrete(), TypeUse::As::heap) : i32(heap.bits());
  llvm::Value* wanted = b_.CreateOr(b_.CreateZExt(bits, b_.getInt64Ty()), i64(uint64_t{nullable} << 32));
  return b_.CreateIsNotNull(helper(Helper::ref_test, b_.getInt64Ty(), {inst_, wanted, ref}));
}

// ---- instructions ---------------------------------------------------------------------------------------------------

bool Lowering::memory_op(D& d, Op op, const vm::Immediate& imm, const V* args, V* results) {
  llvm::Type* const i32_type = b_.getInt32Ty();
  llvm::Type* const i64_type = b_.getInt64Ty();
  auto extended = [&](unsigned bits, llvm::Type* to, bool is_signed) {
    llvm::Value* v = load(imm.mem, args[0].v, b_.getIntNTy(bits));
    results[0].v = is_signed ? b_.CreateSExt(v, to) : b_.CreateZExt(v, to);
  };
  auto narrow = [&](unsigned bits) { store(imm.mem, args[0].v, b_.CreateTrunc(args[1].v, b_.getIntNTy(bits))); };
  // clang-format off: a row per instruction
  switch (op) {
    case Op::i32_load: results[0].v = load(imm.mem, args[0].v, i32_type); return true;
    case Op::i64_load: results[0].v = load(imm.mem, args[0].v, i64_type); return true;
    case Op::f32_load: results[0].v = load(imm.mem, args[0].v, b_.getFloatTy()); return true;
    case Op::f64_load: results[0].v = load(imm.mem, args[0].v, b_.getDoubleTy()); return true;
    case Op::i32_load8_s: extended(8, i32_type, true); return true;
    case Op::i32_load8_u: extended(8, i32_type, false); return true;
    case Op::i32_load16_s: extended(16, i32_type, true); return true;
    case Op::i32_load16_u: extended(16, i32_type, false); return true;
    case Op::i64_load8_s: extended(8, i64_type, true); return true;
    case Op::i64_load8_u: extended(8, i64_type, false); return true;
    case Op::i64_load16_s: extended(16, i64_type, true); return true;
    case Op::i64_load16_u: extended(16, i64_type, false); return true;
    case Op::i64_load32_s: extended(32, i64_type, true); return true;
    case Op::i64_load32_u: extended(32, i64_type, false); return true;
    case Op::i32_store:
    case Op::i64_store:
    case Op::f32_store:
    case Op::f64_store: store(imm.mem, args[0].v, args[1].v); return true;
    case Op::i32_store8:
    case Op::i64_store8: narrow(8); return true;
    case Op::i32_store16:
    case Op::i64_store16: narrow(16); return true;
    case Op::i64_store32: narrow(32); return true;
    case Op::memory_size: {
      llvm::LoadInst* bytes =
          b_.CreateLoad(i64_type, offset(memory(imm.mem.memory), layout::memory::bytes));
      bytes->setAtomic(llvm::AtomicOrdering::Acquire);
      bytes->setAlignment(llvm::Align(8));
      llvm::Value* pages = b_.CreateLShr(bytes, i64(image_.memories[imm.mem.memory].page_log2));
      results[0].v = b_.CreateTrunc(pages, type(d.memory_address(imm.mem.memory)));
      return true;
    }
    case Op::memory_grow: {
      llvm::Value* pages = b_.CreateZExt(args[0].v, i64_type);
      llvm::Value* old = helper(Helper::memory_grow, i64_type, {inst_, i32(imm.mem.memory), pages});
      results[0].v = b_.CreateTrunc(old, type(d.memory_address(imm.mem.memory)));
      return true;
    }
    case Op::memory_copy:
    case Op::memory_fill:
    case Op::memory_init:
    case Op::data_drop: return bulk_op(d, op, imm, args);
    default: return false;
  }
  // clang-format on
}

bool Lowering::reference_op(D& d, Op op, const vm::Immediate& imm, const V* args, V* results) {
  llvm::Type* const i64_type = b_.getInt64Ty();
  auto table = [&](uint32_t index) {
    return load_fixed_ptr(load_fixed_ptr(inst_, layout::instance::tables), 8 * uint64_t{index});
  };
  auto table_element = [&](uint32_t index, llvm::Value* at) {
    llvm::Value* t = table(index);
    llvm::Value* in = checked_index(at, table_size(index, t), vm::TrapCode::TableOutOfBounds);
    return element(load_field(b_.getPtrTy(), t, layout::table::elems), in, 8);
  };
  auto wide = [&](unsigned i) { return b_.CreateZExt(args[i].v, i64_type); };
  auto global = [&](uint32_t index) -> llvm::Value* {
    if (index >= image_.imported_globals) {
      llvm::Value* own = load_fixed_ptr(inst_, layout::instance::own_globals);
      return offset(own, uint64_t{index - image_.imported_globals} * sizeof(vm::GlobalInst));
    }
    llvm::Value* globals = load_fixed_ptr(inst_, layout::instance::globals);
    return load_fixed_ptr(globals, 8 * uint64_t{index});
  };
  // clang-format off: a row per instruction
  switch (op) {
    case Op::global_get: results[0].v = load_slot(global(imm.index), image_.globals[imm.index].type.type); return true;
    case Op::global_set:
      seen_by_others(*store_slot(global(imm.index), args[0].v, image_.globals[imm.index].type.type));
      return true;
    case Op::table_get: results[0].v = b_.CreateLoad(i64_type, table_element(imm.index, args[0].v)); return true;
    case Op::table_set:
      seen_by_others(*b_.CreateStore(args[1].v, table_element(imm.index, args[0].v)));
      return true;
    case Op::table_size:
      results[0].v = b_.CreateTrunc(load_field(i64_type, table(imm.index), layout::table::size),
                                    type(d.table_address(imm.index)));
      return true;
    case Op::table_grow: {
      llvm::Value* old = helper(Helper::table_grow, i64_type, {inst_, i32(imm.index), args[0].v, wide(1)});
      results[0].v = b_.CreateTrunc(old, type(d.table_address(imm.index)));
      return true;
    }
    case Op::table_fill:
      helper(Helper::table_fill, b_.getVoidTy(), {inst_, i32(imm.index), wide(0), args[1].v, wide(2)});
      return true;
    case Op::table_copy:
      helper(Helper::table_copy, b_.getVoidTy(),
             {inst_, i64(imm.index | uint64_t{imm.index2} << 32), wide(0), wide(1), wide(2)});
      return true;
    case Op::table_init:
      helper(Helper::table_init, b_.getVoidTy(),
             {inst_, i64(imm.index2 | uint64_t{imm.index} << 32), wide(0), wide(1), wide(2)});
      return true;
    case Op::elem_drop: helper(Helper::elem_drop, b_.getVoidTy(), {inst_, i32(imm.index)}); return true;
    case Op::ref_null: results[0].v = i64(0); return true;
    case Op::ref_is_null:
      results[0].v = b_.CreateZExt(b_.CreateICmpEQ(args[0].v, i64(0)), b_.getInt32Ty());
      return true;
    case Op::ref_eq: results[0].v = b_.CreateZExt(b_.CreateICmpEQ(args[0].v, args[1].v), b_.getInt32Ty()); return true;
    case Op::ref_func: {
      llvm::Value* funcs = load_fixed_ptr(inst_, layout::instance::funcs);
      results[0].v = load_field(i64_type, funcs, 8 * uint64_t{imm.index}, true);
      return true;
    }
    case Op::ref_as_non_null:
      trap_if(b_.CreateICmpEQ(args[0].v, i64(0)), vm::TrapCode::NullReference);
      results[0].v = args[0].v;
      return true;
    case Op::ref_test: results[0].v = b_.CreateZExt(is_of(args[0].v, imm.type, false), b_.getInt32Ty()); return true;
    case Op::ref_test_null: results[0].v = b_.CreateZExt(is_of(args[0].v, imm.type, true), b_.getInt32Ty()); return true;
    case Op::ref_cast:
    case Op::ref_cast_null:
      trap_if(b_.CreateNot(is_of(args[0].v, imm.type, op == Op::ref_cast_null)), vm::TrapCode::CastFailure);
      results[0].v = args[0].v;
      return true;
    case Op::any_convert_extern:
    case Op::extern_convert_any: results[0].v = args[0].v; return true;
    default: return false;
  }
  // clang-format on
}

}  // namespace vmrun::jit::opt
