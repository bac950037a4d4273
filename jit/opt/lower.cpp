// Lowering: the function's frame, its entry, locals, helpers and what all other parts share.
#include "jit/opt/lower.h"

#include <llvm/BinaryFormat/Dwarf.h>
#include <llvm/IR/DIBuilder.h>
#include <llvm/IR/MDBuilder.h>
#include <llvm/IR/Module.h>

#include "jit/opt/limits.h"
#include "jit/opt/places.h"
#include "vm/base/assert.h"

namespace vmrun::jit::opt {

using llvm::BasicBlock;
using llvm::Type;
using vm::ValType;

Lowering::Lowering(llvm::Module& module, LoweredUnit& unit)
    : module_(module),
      unit_(unit),
      request_(unit.request),
      image_(*request_.module),
      context_(module.getContext()),
      b_(context_),
      alone_(is_alone(unit.request.unit)) {}

llvm::Function* Lowering::run() {
  const vm::ByteRange body = image_.funcs[request_.func_index].body;
  if (body.size() > kMaxBodyBytes && !alone_) {
    reason_ = "a function of " + std::to_string(body.size()) + " bytes";
    return nullptr;
  }
  // What may be inlined into a loop alone is not planned ahead: there are few calls as a rule, and the deepest of its loops is
  // hot.
  if (!alone_) unit_.own_bytes = body.size();
  if (request_.inlining == Inlining::On && !alone_) {
    unit_.plan.emplace(image_, request_.func_index, unit_.callees, kInlineUsual);
  }
  func_type_ = &image_.func_type(request_.func_index);
  v128_ = llvm::FixedVectorType::get(b_.getInt8Ty(), 16);
  llvm::SmallVector<Type*, 3> results{b_.getInt64Ty(), v128_};
  llvm::SmallVector<Type*, 24> params(3, b_.getPtrTy());
  params.append(kIntParams, b_.getInt64Ty());
  params.append(2, b_.getPtrTy());
  params.append(kVectorParams, v128_);
  if (image_.metered) {  // what is left: kFuelParam, kFuelResult
    results.push_back(b_.getInt64Ty());
    params.push_back(b_.getInt64Ty());
  }
  result_type_ = llvm::StructType::get(context_, results);
  guest_type_ = llvm::FunctionType::get(result_type_, params, false);

  // Weak, so that nothing is concluded from its body about calls to it: recursion without end is a trap.
  function_ = llvm::Function::Create(guest_type_, llvm::GlobalValue::WeakAnyLinkage, "unit", module_);
  function_->setDSOLocal(true);
  function_->setCallingConv(llvm::CallingConv::PreserveNone);
  function_->addFnAttr("frame-pointer", "all");
  function_->addFnAttr("no-builtins");
  function_->addFnAttr("warn-stack-size", std::to_string(kMaxFrameBytes));
  function_->addFnAttr(llvm::Attribute::NoRedZone);
  function_->addFnAttr(llvm::Attribute::getWithUWTableKind(context_, llvm::UWTableKind::Async));
  // Frames are set up before anything that can fault: this is the attribute that keeps the prologue at the entry (and
  // does nothing else, as no sanitizer's pass runs).
  function_->addFnAttr(llvm::Attribute::SanitizeType);
  // Pads are found by our own tables; LLVM wants a name.
  function_->setPersonalityFn(
      llvm::cast<llvm::Constant>(module_.getOrInsertFunction("vmrun_pads", b_.getVoidTy()).getCallee()));
  function_->addParamAttrs(0, llvm::AttrBuilder(context_).addDereferenceableAttr(sizeof(vm::Vcpu)));
  function_->addParamAttrs(1, llvm::AttrBuilder(context_).addDereferenceableAttr(sizeof(vm::Instance)));

  module_.addModuleFlag(llvm::Module::Warning, "Debug Info Version", llvm::DEBUG_METADATA_VERSION);
  module_.addModuleFlag(llvm::Module::Warning, "Dwarf Version", 4);
  llvm::DIBuilder debug(module_);
  llvm::DIFile* file = debug.createFile("image", "");
  debug.createCompileUnit(llvm::DISourceLanguageName(llvm::dwarf::DW_LANG_C), file, "vmrun", true, "", 0, "",
                          llvm::DICompileUnit::LineTablesOnly);
  // Its line is where the function begins: what belongs to no instruction is there.
  subprogram_ = debug.createFunction(file, "unit", "unit", file, body.begin, debug.createSubroutineType(nullptr),
                                     body.begin, llvm::DINode::FlagZero, llvm::DISubprogram::SPFlagDefinition);
  function_->setSubprogram(subprogram_);

  tries_.emplace_back();
  LowerConsumer consumer{this};
  D decoder(image_, consumer);
  decoder.decode(request_.func_index);
  debug.finalize();
  if (!failed_ && request_.unit != kWholeFunction && !entered_) {
    failed_ = true;
    reason_ = "no loop at offset " + std::to_string(loop_of(request_.unit));
  }
  return failed_ ? nullptr : function_;
}

void Lowering::unsupported(D& d, std::string what) {
  failed_ = true;
  reason_ = std::move(what) + " at offset " + std::to_string(d.offset());
  d.stop();
}

void Lowering::merge(D& d, size_t values) {
  const uint64_t before = unit_.merged;
  unit_.merged += values;
  if (unit_.merged > kMaxMerged && before <= kMaxMerged) {
    unsupported(d, "more than " + std::to_string(kMaxMerged) + " values at merges");
  }
}

void Lowering::travel(D& d, uint32_t values) {
  if (failed_) return;
  unit_.travelling += values;
  if (values > kMaxAreaValues) {
    return unsupported(d, std::to_string(values) + " parameters, results or thrown values beyond the registers");
  }
  const uint64_t size = unit_.own_bytes + unit_.inlined_bytes + kAreaValueBytes * unit_.travelling;
  if (size > kMaxBodyBytes) unsupported(d, std::to_string(unit_.travelling) + " values outside of registers");
}

void Lowering::travel(D& d, PlaceWalk walk, std::span<const ValType> types) {
  for (ValType t : types) walk.next(t);
  travel(d, walk.area_slots());
}

void Lowering::at(uint32_t offset) {
  place_ = offset;
  if (caller_ != nullptr) {
    place_ = kInlined | static_cast<uint32_t>(unit_.places.size());
    unit_.places.push_back({request_.func_index, offset, called_at_});
  }
  b_.SetCurrentDebugLocation(llvm::DILocation::get(context_, place_, 0, subprogram_));
}

// ---- entry ----------------------------------------------------------------------------------------------------------

void Lowering::begin(D& d) {
  const std::span<const ValType> locals = d.locals();
  unit_.locals += locals.size();
  if (unit_.locals > kMaxLocals) return unsupported(d, std::to_string(unit_.locals) + " locals");
  if (caller_ != nullptr) return begin_inlined(d);
  travel(d, PlaceWalk::params(), func_type_->params);
  travel(d, PlaceWalk::results(), func_type_->results);
  if (failed_) return;
  const bool whole = request_.unit == kWholeFunction;
  cx_ = function_->getArg(0);
  inst_ = function_->getArg(1);
  mem_ = function_->getArg(2);
  entry_ = BasicBlock::Create(context_, "entry", function_);
  b_.SetInsertPoint(entry_);
  at(image_.funcs[request_.func_index].body.begin);

  if (image_.metered) {
    fuel_ = new_alloca(b_.getInt64Ty());
    if (whole) {
      assert_left(function_->getArg(kFuelParam));
      take_fuel(function_->getArg(kFuelParam));
    } else {
      read_fuel();
    }
  }
  for (ValType local : locals) locals_.push_back(new_alloca(type(local)));
  if (alone_) {
    load_locals(d);
    return count_run();
  }
  if (!whole) {
    llvm::Value* slots = b_.CreateIntToPtr(function_->getArg(3), b_.getPtrTy());
    uint32_t slot = 0;
    for (size_t i = 0; i < locals.size(); ++i) {
      b_.CreateStore(load_slot(offset(slots, 8 * size_t{slot}), locals[i]), locals_[i]);
      slot += locals[i].slots();
    }
    count_run();
    // The state of the header's operands is read when the header is met.
    b_.SetInsertPoint(new_block("body"));
  } else {
    PlaceWalk walk = PlaceWalk::params();
    for (size_t i = 0; i < func_type_->params.size(); ++i) {
      const ValType param = locals[i];
      const Place place = walk.next(param);
      llvm::Value* v = nullptr;
      switch (place.in) {
        case Place::In::integer:
          if (param == vm::kI32) assert_clean(function_->getArg(3 + place.index));
          v = from_register(function_->getArg(3 + place.index), param);
          break;
        case Place::In::vector: v = from_register(function_->getArg(11 + place.index), param); break;
        case Place::In::area: v = load_slot(offset(area(), kAreaSlot * place.index), param); break;
      }
      b_.CreateStore(v, locals_[i]);
    }
    count_run();
  }
  zero_locals(d);
}

void Lowering::zero_locals(D& d) {
  const std::span<const ValType> locals = d.locals();
  for (size_t i = func_type_->params.size(); i < locals.size(); ++i) {
    b_.CreateStore(zero(locals[i]), locals_[i]);
  }
}

void Lowering::end_function(D&) {}

void Lowering::count_run() {
  if (!request_.count_runs) return;
  const bool whole = request_.unit == kWholeFunction;
  const bool passed = whole && caller_ == nullptr;
  llvm::Value* code = passed ? function_->getArg(9) : direct(request_.func_index).code;
  llvm::Value* counts = load_field(b_.getPtrTy(), code, layout::func_code::counts);
  const int32_t count = whole ? layout::counts::runs(vm::Tier::opt) : layout::counts::osr_entries(vm::Tier::opt);
  BasicBlock* counted = new_block("counted");
  BasicBlock* go = new_block("go");
  b_.CreateCondBr(b_.CreateIsNotNull(counts), counted, go);
  b_.SetInsertPoint(counted);
  b_.CreateAtomicRMW(llvm::AtomicRMWInst::Add, offset(counts, count), i64(1), llvm::Align(8),
                     llvm::AtomicOrdering::Monotonic);
  b_.CreateBr(go);
  b_.SetInsertPoint(go);
}

// ---- locals ---------------------------------------------------------------------------------------------------------

void Lowering::local_get(D&, uint32_t index, V* result) {
  result->v = b_.CreateLoad(locals_[index]->getAllocatedType(), locals_[index]);
}
void Lowering::local_set(D&, uint32_t index, const V& value) {
  b_.CreateStore(value.v, locals_[index]);
  if (alone_) written_[index] = true;
}
void Lowering::local_tee(D&, uint32_t index, const V& value, V* result) {
  b_.CreateStore(value.v, locals_[index]);
  if (alone_) written_[index] = true;
  result->v = value.v;
}

// ---- instructions ---------------------------------------------------------------------------------------------------

void Lowering::drop(D&, const V&) {}

bool Lowering::lower(D& d, Op op, const vm::Immediate& imm, const V* args, V* results) {
  switch (vm::family(op)) {
    using enum vm::Family;
    case parametric:
    case constant:
    case int_test:
    case int_unary:
    case int_binary:
    case int_divide:
    case int_compare:
    case int_wide:
    case float_unary:
    case float_binary:
    case float_compare:
    case convert: return numeric_op(op, imm, args, results);
    case load:
    case store:
    case memory: return memory_op(d, op, imm, args, results);
    case global:
    case table:
    case reference: return reference_op(d, op, imm, args, results);
    case vector:
    case vector_memory: return vector_op(op, imm, args, results);
    case atomic: return atomic_op(op, imm, args, results);
    case control:
    case local:
    case object: return false;
  }
  return false;
}

void Lowering::op(D& d, Op op, const vm::Immediate& imm, Operands operands, Results outputs) {
  at(d);
  if (!lower(d, op, imm, operands.data(), outputs.data())) unsupported(d, std::string(vm::mnemonic(op)));
}

// ---- values ---------------------------------------------------------------------------------------------------------

Type* Lowering::type(ValType type) {
  switch (type.kind()) {
    case ValType::Kind::i32: return b_.getInt32Ty();
    case ValType::Kind::f32: return b_.getFloatTy();
    case ValType::Kind::f64: return b_.getDoubleTy();
    case ValType::Kind::v128: return v128_;
    default: return b_.getInt64Ty();
  }
}

llvm::Value* Lowering::zero(ValType t) { return llvm::Constant::getNullValue(type(t)); }

BasicBlock* Lowering::new_block(const char* name) { return BasicBlock::Create(context_, name, function_); }

llvm::AllocaInst* Lowering::new_alloca(Type* type) {
  Builder entry(entry_, entry_->begin());
  return entry.CreateAlloca(type);
}

llvm::Value* Lowering::offset(llvm::Value* base, uint64_t offset) {
  return offset == 0 ? base : b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), base, offset);
}

llvm::Value* Lowering::load_field(Type* type, llvm::Value* base, uint64_t at, bool fixed) {
  llvm::LoadInst* load = b_.CreateLoad(type, offset(base, at));
  if (fixed) load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(context_, {}));
  return load;
}

llvm::Value* Lowering::element(llvm::Value* base, llvm::Value* index, uint64_t scale) {
  llvm::Value* wide = b_.CreateZExt(index, b_.getInt64Ty());
  return b_.CreateGEP(b_.getInt8Ty(), base, scale == 1 ? wide : b_.CreateMul(wide, i64(scale)));
}

llvm::Value* Lowering::to_register(llvm::Value* v, ValType t) {
  switch (t.kind()) {
    case ValType::Kind::i32: return b_.CreateZExt(v, b_.getInt64Ty());
    case ValType::Kind::f32:
    case ValType::Kind::f64: {
      Type* vector = lanes(type(t));
      return bytes(b_.CreateInsertElement(llvm::PoisonValue::get(vector), v, uint64_t{0}));
    }
    default: return v;
  }
}

llvm::Value* Lowering::from_register(llvm::Value* v, ValType t) {
  switch (t.kind()) {
    case ValType::Kind::i32: return b_.CreateTrunc(v, b_.getInt32Ty());
    case ValType::Kind::f32:
    case ValType::Kind::f64: return b_.CreateExtractElement(b_.CreateBitCast(v, lanes(type(t))), uint64_t{0});
    default: return v;
  }
}

llvm::Value* Lowering::load_slot(llvm::Value* at, ValType t) {
  return b_.CreateAlignedLoad(type(t), at, llvm::Align(t.kind() == ValType::Kind::f32 || t == vm::kI32 ? 4 : 8));
}

llvm::StoreInst* Lowering::store_slot(llvm::Value* at, llvm::Value* v, ValType t) {
  if (t == vm::kI32) v = b_.CreateZExt(v, b_.getInt64Ty());
  return b_.CreateAlignedStore(v, at, llvm::Align(t == vm::kF32 ? 4 : 8));
}

llvm::Value* Lowering::area() { return load_fixed_ptr(cx_, layout::vcpu::area); }

// ---- helpers and traps ----------------------------------------------------------------------------------------------

llvm::CallBase* Lowering::helper(Helper helper, Type* result, llvm::ArrayRef<llvm::Value*> args, bool may_throw) {
  llvm::Value* table = load_fixed_ptr(cx_, layout::vcpu::helpers);
  llvm::Value* target = load_fixed_ptr(table, 8 * static_cast<uint64_t>(helper));
  BasicBlock* pad = may_throw ? landing_pad() : nullptr;
  save_fuel();
  llvm::SmallVector<llvm::Value*, 10> all;
  // Landing restores no register but the frame's, so what may land is called by the convention that keeps none. Behind
  // four parameters that are not there, its registers are those of the C convention.
  if (pad != nullptr) all.assign(4, llvm::PoisonValue::get(b_.getInt64Ty()));
  all.push_back(cx_);
  all.append(args.begin(), args.end());
  llvm::SmallVector<Type*, 10> types;
  for (llvm::Value* arg : all) types.push_back(arg->getType());
  llvm::FunctionType* type = llvm::FunctionType::get(result, types, false);
  llvm::CallBase* call;
  if (pad != nullptr) {
    BasicBlock* next = new_block("next");
    call = b_.CreateInvoke(type, target, next, pad, all);
    call->setCallingConv(llvm::CallingConv::PreserveNone);
    b_.SetInsertPoint(next);
  } else {
    llvm::CallInst* plain = b_.CreateCall(type, target, all);
    plain->setTailCallKind(llvm::CallInst::TCK_NoTail);  // a trap inside is this frame's
    call = plain;
  }
  call->addFnAttr(llvm::Attribute::NoMerge);  // each call has its own place in the image
  read_fuel();                                // instructions on ranges use some up
  return call;
}

void Lowering::final_helper(Helper which, llvm::ArrayRef<llvm::Value*> args, bool may_throw) {
  llvm::CallBase* call = helper(which, b_.getVoidTy(), args, may_throw);
  call->addFnAttr(llvm::Attribute::NoReturn);
  call->addFnAttr(llvm::Attribute::Cold);
  b_.CreateUnreachable();
}

llvm::MDNode* Lowering::unlikely() { return llvm::MDBuilder(context_).createUnlikelyBranchWeights(); }

void Lowering::trap_if(llvm::Value* condition, vm::TrapCode code) {
  BasicBlock* bad = new_block("trap");
  BasicBlock* good = new_block("checked");
  b_.CreateCondBr(condition, bad, good, unlikely());
  const bool saved = unit_.fuel_saved_in == b_.GetInsertBlock();
  b_.SetInsertPoint(bad);
  if (saved) unit_.fuel_saved_in = bad;
  trap(code);
  b_.SetInsertPoint(good);
  unit_.fuel_saved_in = saved ? good : nullptr;
}

void Lowering::trap(vm::TrapCode code) { final_helper(Helper::trap, {i64(static_cast<uint64_t>(code))}, false); }

void Lowering::assert_clean(llvm::Value* reg) {
  if constexpr (!kCheckInvariants) return;
  die_if(b_.CreateICmpUGT(reg, i64(UINT32_MAX)));
}

void Lowering::die_if(llvm::Value* wrong) {
  BasicBlock* dead = new_block("dead");
  BasicBlock* good = new_block("good");
  b_.CreateCondBr(wrong, dead, good, unlikely());
  b_.SetInsertPoint(dead);
  b_.CreateIntrinsic(b_.getVoidTy(), llvm::Intrinsic::trap, {});
  b_.CreateUnreachable();
  b_.SetInsertPoint(good);
}

void Lowering::poll() {
  llvm::MDNode* name = llvm::MDNode::get(context_, {llvm::MDString::get(context_, "rsp")});
  llvm::Value* sp = b_.CreateIntrinsic(llvm::Intrinsic::read_register, {b_.getInt64Ty()},
                                       {llvm::MetadataAsValue::get(context_, name)});
  llvm::LoadInst* limit = b_.CreateLoad(b_.getInt64Ty(), offset(cx_, layout::vcpu::native_limit));
  mark_ordered(*limit);  // others set it
  BasicBlock* asked = new_block("poll");
  BasicBlock* go = new_block("go");
  b_.CreateCondBr(b_.CreateICmpULT(sp, limit), asked, go, unlikely());
  b_.SetInsertPoint(asked);
  helper(Helper::stack_poll, b_.getVoidTy(), {});
  b_.CreateBr(go);
  b_.SetInsertPoint(go);
}

}  // namespace vmrun::jit::opt
