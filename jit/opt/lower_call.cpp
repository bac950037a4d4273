// Lowering: calls of all kinds. Which registers and slots: jit/crossing/abi.h.
#include <llvm/IR/Constants.h>
#include <llvm/IR/GlobalVariable.h>
#include <llvm/IR/Metadata.h>
#include <llvm/IR/Module.h>

#include "jit/opt/backend.h"
#include "jit/opt/limits.h"
#include "jit/opt/lower.h"

namespace vmrun::jit::opt {

using llvm::BasicBlock;
using vm::ValType;

// ---- who is called --------------------------------------------------------------------------------------------------

Lowering::Callee Lowering::direct(uint32_t func_index) {
  // The unit itself: no better code will come. Who counts its runs wants the record.
  const CompileRequest& unit = unit_.request;
  if (func_index == unit.func_index && unit.unit == kWholeFunction && !unit.count_runs) {
    return {nullptr, inst_, mem_, llvm::PoisonValue::get(b_.getPtrTy())};
  }
  // Not as a fixed value: that would be kept in the frame from call to call, and reloaded from there instead.
  llvm::Value* codes = load_field(b_.getPtrTy(), inst_, layout::instance::codes);
  const uint64_t at = uint64_t{func_index - image_.imported_funcs} * sizeof(vm::FuncCode);
  return {offset(codes, at), inst_, mem_, llvm::PoisonValue::get(b_.getPtrTy())};
}

Lowering::Callee Lowering::through(llvm::Value* record) {
  // A host function has neither instance nor memory: its trampoline ignores what is passed.
  return {load_fixed_ptr(record, layout::func_record::code), load_fixed_ptr(record, layout::func_record::instance),
          load_fixed_ptr(record, layout::func_record::memory0_base), inst_};
}

Lowering::Callee Lowering::callee_of(uint32_t func_index) {
  if (func_index >= image_.imported_funcs) return direct(func_index);
  llvm::Value* funcs = load_fixed_ptr(inst_, layout::instance::funcs);
  return through(load_fixed_ptr(funcs, 8 * uint64_t{func_index}));
}

llvm::Constant* Lowering::number_of(vm::TypeId type, TypeUse::As as) {
  const std::string name = type_symbol(type, as);
  llvm::GlobalVariable* symbol = module_.getNamedGlobal(name);
  if (symbol == nullptr) {
    symbol = new llvm::GlobalVariable(module_, b_.getInt8Ty(), true, llvm::GlobalValue::ExternalLinkage, nullptr, name);
    // Its address is a number that fits in an instruction.
    llvm::Metadata* range[] = {llvm::ConstantAsMetadata::get(b_.getInt64(0)),
                               llvm::ConstantAsMetadata::get(b_.getInt64(uint64_t{1} << 31))};
    symbol->setMetadata(llvm::LLVMContext::MD_absolute_symbol, llvm::MDNode::get(context_, range));
  }
  return llvm::ConstantExpr::getPtrToInt(symbol, b_.getInt32Ty());
}

llvm::Value* Lowering::table_size(uint32_t table, llvm::Value* record) {
  if (const std::optional<uint32_t> fixed = image_.fixed_table_size(table)) return i64(*fixed);
  return load_field(b_.getInt64Ty(), record, layout::table::size);
}

llvm::Value* Lowering::table_entry(uint32_t table, llvm::Value* index) {
  llvm::Value* tables = load_fixed_ptr(inst_, layout::instance::tables);
  llvm::Value* t = load_fixed_ptr(tables, 8 * uint64_t{table});
  llvm::Value* wide = checked_index(index, table_size(table, t), vm::TrapCode::UndefinedElement);
  llvm::Value* elems = load_field(b_.getPtrTy(), t, layout::table::elems);
  return b_.CreateLoad(b_.getPtrTy(), element(elems, wide, 8));
}

void Lowering::check_entry(vm::TypeId type_id, llvm::Value* record) {
  trap_if(b_.CreateIsNull(record), vm::TrapCode::UninitializedElement);
  llvm::Value* type = load_field(b_.getInt32Ty(), record, layout::func_record::type, true);
  llvm::Constant* expected = number_of(type_id, TypeUse::As::id);
  llvm::Value* differs = b_.CreateICmpNE(type, expected);
  if (image_.type_def(type_id).final_) {
    trap_if(differs, vm::TrapCode::IndirectCallTypeMismatch);
  } else {
    BasicBlock* check = new_block("subtype");
    BasicBlock* good = new_block("checked");
    b_.CreateCondBr(differs, check, good, unlikely());
    b_.SetInsertPoint(check);
    helper(Helper::check_callee, b_.getVoidTy(), {inst_, record, expected});
    b_.CreateBr(good);
    b_.SetInsertPoint(good);
  }
}

llvm::Value* Lowering::indirect_record(vm::TypeId type_id, uint32_t table, llvm::Value* index) {
  llvm::Value* record = table_entry(table, index);
  check_entry(type_id, record);
  return record;
}

// ---- the call -------------------------------------------------------------------------------------------------------

llvm::CallBase* Lowering::emit_call(D& d, const vm::FuncType& type, const Callee& callee, Operands args, bool tail) {
  travel(d, PlaceWalk::params(), type.params);
  llvm::SmallVector<llvm::Value*, 24> all{cx_, callee.inst, callee.mem};
  for (unsigned i = 0; i < kIntParams; ++i) all.push_back(llvm::PoisonValue::get(b_.getInt64Ty()));
  all.append({callee.code != nullptr ? callee.code : llvm::PoisonValue::get(b_.getPtrTy()), callee.caller});
  for (unsigned i = 0; i < kVectorParams; ++i) all.push_back(llvm::PoisonValue::get(v128_));
  PlaceWalk walk = PlaceWalk::params();
  for (size_t i = 0; i < args.size(); ++i) {
    const ValType param = type.params[i];
    llvm::Value* v = args[i].v;
    const Place place = walk.next(param);
    switch (place.in) {
      case Place::In::integer: all[3 + place.index] = to_register(v, param); break;
      case Place::In::vector: all[11 + place.index] = to_register(v, param); break;
      case Place::In::area: store_slot(offset(area(), kAreaSlot * place.index), v, param); break;
    }
  }
  // Six parameters, the callee and the caller: what jumps there has no other register than that of what is left.
  const bool crowded = tail && fuel_ != nullptr && !llvm::isa<llvm::PoisonValue>(all[2 + kIntParams]) &&
                       !llvm::isa<llvm::PoisonValue>(callee.caller);
  if (fuel_ != nullptr) {
    save_fuel();
    llvm::Value* left = b_.CreateLoad(b_.getInt64Ty(), fuel_);
    if (crowded) left = llvm::PoisonValue::get(b_.getInt64Ty());
    all.push_back(left);
  }
  llvm::Value* target = function_;
  if (crowded) {
    target = load_fixed_ptr(load_fixed_ptr(cx_, layout::vcpu::helpers), 8 * kTailCallEntry);
  } else if (callee.code != nullptr) {
    llvm::LoadInst* machine = b_.CreateLoad(b_.getPtrTy(), offset(callee.code, layout::func_code::machine));
    machine->setAtomic(llvm::AtomicOrdering::Unordered);  // published by others; what it leads to depends on it
    machine->setAlignment(llvm::Align(8));
    target = machine;
  }
  BasicBlock* pad = tail ? nullptr : landing_pad();
  llvm::CallBase* call;
  if (pad != nullptr) {
    BasicBlock* next = new_block("next");
    call = b_.CreateInvoke(guest_type_, target, next, pad, all);
    b_.SetInsertPoint(next);
  } else {
    llvm::CallInst* plain = b_.CreateCall(guest_type_, target, all);
    if (tail) plain->setTailCallKind(llvm::CallInst::TCK_MustTail);
    // A frame that is there must stay: backtraces name it, and what it may cost was counted.
    if (!tail) plain->setTailCallKind(llvm::CallInst::TCK_NoTail);
    call = plain;
  }
  call->setCallingConv(llvm::CallingConv::PreserveNone);
  call->addFnAttr(llvm::Attribute::NoMerge);
  if (!tail && fuel_ != nullptr) {
    llvm::Value* left = b_.CreateExtractValue(call, kFuelResult);
    assert_left(left);
    take_fuel(left);
  }
  return call;
}

void Lowering::emit_call(D& d, const vm::FuncType& type, const Callee& callee, Operands args, Results results) {
  travel(d, PlaceWalk::results(), type.results);
  llvm::Value* returned = emit_call(d, type, callee, args, false);
  PlaceWalk walk = PlaceWalk::results();
  for (size_t i = 0; i < type.results.size(); ++i) {
    const ValType t = type.results[i];
    const Place place = walk.next(t);
    switch (place.in) {
      case Place::In::integer: {
        llvm::Value* reg = b_.CreateExtractValue(returned, 0);
        if (t == vm::kI32) assert_clean(reg);
        results[i].v = from_register(reg, t);
        break;
      }
      case Place::In::vector: results[i].v = from_register(b_.CreateExtractValue(returned, 1), t); break;
      case Place::In::area: results[i].v = load_slot(offset(area(), kAreaSlot * place.index), t); break;
    }
  }
}

void Lowering::emit_tail_call(D& d, const vm::FuncType& type, const Callee& callee, Operands args) {
  if (alone_) return unsupported(d, "a tail call in a loop by itself");  // it would end the caller's frame too
  b_.CreateRet(emit_call(d, type, callee, args, true));
}

// ---- events ---------------------------------------------------------------------------------------------------------

void Lowering::call(D& d, uint32_t func_index, const vm::FuncType& type, Operands args, Results results) {
  at(d);
  if (unit_.plan) reserve(d, unit_.callees.bytes_of(func_index, kInlineUsual));
  if (wants_inlined(d, func_index, false)) return inline_call(d, func_index, args, results);
  emit_call(d, type, callee_of(func_index), args, results);
}
void Lowering::return_call(D& d, uint32_t func_index, const vm::FuncType& type, Operands args) {
  at(d);
  emit_tail_call(d, type, callee_of(func_index), args);
}

void Lowering::call_indirect(D& d, vm::TypeId type_id, uint32_t table, const vm::FuncType& type, const V& index,
                             Operands args, Results results) {
  at(d);
  if (guess_call(d, type_id, table, type, index.v, args, results)) return;
  emit_call(d, type, through(indirect_record(type_id, table, index.v)), args, results);
}
void Lowering::return_call_indirect(D& d, vm::TypeId type_id, uint32_t table, const vm::FuncType& type, const V& index,
                                    Operands args) {
  at(d);
  emit_tail_call(d, type, through(indirect_record(type_id, table, index.v)), args);
}

void Lowering::call_ref(D& d, vm::TypeId, const vm::FuncType& type, const V& ref, Operands args, Results results) {
  at(d);
  trap_if(b_.CreateICmpEQ(ref.v, i64(0)), vm::TrapCode::NullFunctionReference);
  emit_call(d, type, through(b_.CreateIntToPtr(ref.v, b_.getPtrTy())), args, results);
}
void Lowering::return_call_ref(D& d, vm::TypeId, const vm::FuncType& type, const V& ref, Operands args) {
  at(d);
  trap_if(b_.CreateICmpEQ(ref.v, i64(0)), vm::TrapCode::NullFunctionReference);
  emit_tail_call(d, type, through(b_.CreateIntToPtr(ref.v, b_.getPtrTy())), args);
}

}  // namespace vmrun::jit::opt
