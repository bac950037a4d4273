// Lowering: blocks, branches, returns, loops and OSR entries.
#include "jit/opt/limits.h"
#include "jit/opt/lower.h"
#include "vm/base/assert.h"

namespace vmrun::jit::opt {

using llvm::BasicBlock;
using vm::ControlKind;
using vm::ValType;

// ---- labels ---------------------------------------------------------------------------------------------------------

BasicBlock* Lowering::new_label(std::span<const ValType> types, const char* name) {
  BasicBlock* label = new_block(name);
  Builder phis(label);
  for (ValType t : types) phis.CreatePHI(type(t), 2);
  return label;
}

llvm::SmallVector<llvm::Value*, 4> Lowering::top(D& d, size_t count) {
  const std::span<V> stack = d.stack();
  llvm::SmallVector<llvm::Value*, 4> values;
  merge(d, count);
  for (const V& value : stack.last(count)) values.push_back(value.v);
  return values;
}

void Lowering::branch_to(D& d, C& target, llvm::ArrayRef<llvm::Value*> values) {
  if (target.kind == ControlKind::func) return emit_return(d, values);
  if (target.exit != 0) return leave(target.exit, target.height, target.br_types(), values);
  if (target.kind == ControlKind::loop && request_.polls) poll();
  if (target.in_allocas) {
    for (size_t i = 0; i < values.size(); ++i) {
      b_.CreateStore(values[i], operand_alloca(target.height + i, values[i]->getType()));
    }
  } else {
    size_t i = 0;
    for (llvm::PHINode& phi : target.label->phis()) phi.addIncoming(values[i++], b_.GetInsertBlock());
  }
  b_.CreateBr(target.label);
}

void Lowering::open(D& d, C& c) {
  c.region = inner_;
  merge(d, c.params.size() + c.results.size());
  if (nesting_ + d.control_depth() > kMaxNesting)
    unsupported(d, "more than " + std::to_string(kMaxNesting) + " open blocks");
  if (!before_unit(d)) return;
  merge(d, c.height);
  c.spilled = true;
  const std::span<V> stack = d.stack();
  for (size_t i = 0; i < c.height; ++i) b_.CreateStore(stack[i].v, operand_alloca(i, stack[i].v->getType()));
}

void Lowering::reload_operands(D& d, const C& c) {
  if (!c.spilled) return;
  const std::span<V> stack = d.stack();
  for (size_t i = 0; i < c.height; ++i) {
    llvm::Type* t = stack[i].v->getType();
    stack[i].v = b_.CreateLoad(t, operand_alloca(i, t));
  }
}

void Lowering::branch(D& d, uint32_t depth) {
  C& target = d.control(depth);
  branch_to(d, target, taken(d, target));
}

void Lowering::from_label(D& d, C& c, Results results) {
  b_.SetInsertPoint(c.label);
  size_t i = 0;
  for (llvm::PHINode& phi : c.label->phis()) results[i++].v = &phi;
  VMRUN_ASSERT(i == c.results.size(), "a label has a phi for each result");
  reload_operands(d, c);
}

// ---- frames ---------------------------------------------------------------------------------------------------------

void Lowering::block(D& d, C& c) {
  open(d, c);
  c.label = new_label(c.results, "end");
}

void Lowering::if_(D& d, C& c, const V& v) {
  at(d);
  open(d, c);
  c.label = new_label(c.results, "end");
  c.saved = static_cast<uint32_t>(saved_.size());
  for (const V& param : d.stack().subspan(c.height)) saved_.push_back(param.v);
  c.otherwise = new_block("else");
  BasicBlock* then = new_block("then");
  b_.CreateCondBr(condition(v), then, c.otherwise);
  b_.SetInsertPoint(then);
}

void Lowering::else_(D& d, C& c, Results params) {
  at(d);
  if (d.reachable()) branch_to(d, c, taken(d, c));
  b_.SetInsertPoint(c.otherwise);
  c.otherwise = nullptr;
  for (size_t i = 0; i < c.params.size(); ++i) params[i].v = saved_[c.saved + i];
  reload_operands(d, c);
}

void Lowering::end(D& d, C& c, Results results) {
  at(d);
  switch (c.kind) {
    case ControlKind::func:
      if (d.reachable()) emit_return(d, taken(d, c));
      return;
    case ControlKind::loop: {
      // Nothing branches to the end of a loop.
      const std::span<V> stack = d.stack();
      if (alone_ && d.control_depth() - 1 == unit_number_) {
        if (d.reachable()) leave(unit_number_, c.height, c.results, top(d, c.results.size()));
        return finish_exits(d);
      }
      if (!d.reachable()) {
        b_.SetInsertPoint(new_block("dead"));
        for (size_t i = 0; i < c.results.size(); ++i) results[i].v = zero(c.results[i]);
        return;
      }
      for (size_t i = 0; i < c.results.size(); ++i) results[i].v = stack[stack.size() - c.results.size() + i].v;
      return;
    }
    case ControlKind::try_table:
    case ControlKind::try_:
    case ControlKind::catch_:
    case ControlKind::catch_all_: end_try(c); return finish(d, c, results);
    default: return finish(d, c, results);
  }
}

void Lowering::finish(D& d, C& c, Results results) {
  if (d.reachable()) branch_to(d, c, taken(d, c));
  if (c.otherwise != nullptr) {  // an if without else hands its parameters on
    b_.SetInsertPoint(c.otherwise);
    branch_to(d, c, llvm::ArrayRef(saved_).slice(c.saved, c.params.size()));
  }
  from_label(d, c, results);
}

// ---- loops and OSR entries ------------------------------------------------------------------------------------------

llvm::AllocaInst* Lowering::operand_alloca(size_t index, llvm::Type* type) {
  llvm::AllocaInst*& alloca = operand_allocas_[{index, type}];
  if (alloca == nullptr) alloca = new_alloca(type);
  return alloca;
}

void Lowering::loop(D& d, C& c) {
  at(d);
  if (alone_ && !entered_) begin_alone(d);
  const std::span<V> stack = d.stack();
  c.region = inner_;
  merge(d, c.params.size());
  const bool unit_here = is_entered() && request_.unit == d.offset();
  if (unit_here || before_unit(d)) {
    merge(d, stack.size());
    // The unit's header, or that of a loop that may be around it.
    c.in_allocas = true;
    for (size_t i = 0; i < stack.size(); ++i) b_.CreateStore(stack[i].v, operand_alloca(i, stack[i].v->getType()));
    c.label = new_block("loop");
    b_.CreateBr(c.label);
    if (unit_here) enter_unit(d, c.label);
    b_.SetInsertPoint(c.label);
    for (size_t i = 0; i < stack.size(); ++i) {
      llvm::Type* t = stack[i].v->getType();
      stack[i].v = b_.CreateLoad(t, operand_alloca(i, t));
    }
    return;
  }
  c.label = new_label(c.params, "loop");
  size_t i = c.height;
  for (llvm::PHINode& phi : c.label->phis()) {
    phi.addIncoming(stack[i].v, b_.GetInsertBlock());
    stack[i++].v = &phi;
  }
  b_.CreateBr(c.label);
  b_.SetInsertPoint(c.label);
}

void Lowering::enter_unit(D& d, BasicBlock* header) {
  entered_ = true;
  // count_run may have split the entry block; its last part has no terminator yet.
  BasicBlock* last = entry_;
  while (last->getTerminator() != nullptr)
    last = last->getTerminator()->getSuccessor(last->getTerminator()->getNumSuccessors() - 1);
  b_.SetInsertPoint(last);
  llvm::Value* slots = b_.CreateIntToPtr(function_->getArg(3), b_.getPtrTy());
  uint32_t slot = 0;
  for (ValType local : d.locals()) slot += local.slots();
  const std::span<V> stack = d.stack();
  uint32_t frame = d.control_depth();  // frames that begin at or beneath operand i have their hidden slots behind them
  auto hidden_beneath = [&](size_t operand) {
    for (; frame > 0 && d.control(frame - 1).height <= operand; --frame) {
      const C& c = d.control(frame - 1);
      if (c.kind != ControlKind::catch_ && c.kind != ControlKind::catch_all_) continue;
      b_.CreateStore(load_slot(offset(slots, 8 * size_t{slot++}), vm::kExnRef), c.exn);
    }
  };
  for (size_t i = 0; i < stack.size(); ++i) {
    hidden_beneath(i);
    if (stack[i].type == vm::kI32) assert_clean(load_field(b_.getInt64Ty(), slots, 8 * size_t{slot}));
    llvm::Value* v = load_slot(offset(slots, 8 * size_t{slot}), stack[i].type);
    b_.CreateStore(v, operand_alloca(i, v->getType()));
    slot += stack[i].type.slots();
  }
  hidden_beneath(stack.size());
  b_.CreateBr(header);
}

// ---- branches -------------------------------------------------------------------------------------------------------

void Lowering::br(D& d, uint32_t depth) {
  at(d);
  branch(d, depth);
}

void Lowering::br_if(D& d, const V& v, uint32_t depth) {
  at(d);
  BasicBlock* take = new_block("take");
  BasicBlock* stay = new_block("stay");
  b_.CreateCondBr(condition(v), take, stay);
  b_.SetInsertPoint(take);
  branch(d, depth);
  b_.SetInsertPoint(stay);
}

void Lowering::br_table(D& d, const V& index, std::span<const uint32_t> depths) {
  at(d);
  // One block per label, which a switch may name often.
  std::map<uint32_t, BasicBlock*> takes;
  BasicBlock* from = b_.GetInsertBlock();
  for (uint32_t depth : depths) {
    BasicBlock*& take = takes[depth];
    if (take != nullptr) continue;
    take = new_block("take");
    b_.SetInsertPoint(take);
    branch(d, depth);
  }
  b_.SetInsertPoint(from);
  llvm::SwitchInst* s = b_.CreateSwitch(index.v, takes[depths.back()], static_cast<unsigned>(depths.size() - 1));
  for (uint32_t i = 0; i + 1 < depths.size(); ++i) s->addCase(b_.getInt32(i), takes[depths[i]]);
}

void Lowering::return_(D& d) {
  at(d);
  C& function = d.control(d.control_depth() - 1);
  emit_return(d, taken(d, function));
}

void Lowering::unreachable(D& d) {
  at(d);
  trap(vm::TrapCode::Unreachable);
}

void Lowering::emit_return(D& d, llvm::ArrayRef<llvm::Value*> values) {
  if (caller_ != nullptr) {
    size_t i = 0;
    for (llvm::PHINode& phi : behind_->phis()) phi.addIncoming(values[i++], b_.GetInsertBlock());
    b_.CreateBr(behind_);
    return;
  }
  if (alone_) return leave(0, 0, func_type_->results, values);
  travel(d, PlaceWalk::results(), func_type_->results);
  PlaceWalk walk = PlaceWalk::results();
  llvm::Value* result = llvm::PoisonValue::get(result_type_);
  for (size_t i = 0; i < values.size(); ++i) {
    const ValType t = func_type_->results[i];
    const Place place = walk.next(t);
    switch (place.in) {
      case Place::In::integer: result = b_.CreateInsertValue(result, to_register(values[i], t), 0); break;
      case Place::In::vector: result = b_.CreateInsertValue(result, to_register(values[i], t), 1); break;
      case Place::In::area: store_slot(offset(area(), kAreaSlot * place.index), values[i], t); break;
    }
  }
  if (fuel_ != nullptr) {
    save_fuel();
    result = b_.CreateInsertValue(result, b_.CreateLoad(b_.getInt64Ty(), fuel_), kFuelResult);
  }
  b_.CreateRet(result);
}

void Lowering::br_on_null(D& d, const V& ref, uint32_t depth, V* result) {
  at(d);
  BasicBlock* take = new_block("take");
  BasicBlock* stay = new_block("stay");
  b_.CreateCondBr(b_.CreateICmpEQ(ref.v, i64(0)), take, stay);
  b_.SetInsertPoint(take);
  branch(d, depth);
  b_.SetInsertPoint(stay);
  result->v = ref.v;
}

void Lowering::br_on_non_null(D& d, const V& ref, uint32_t depth) {
  at(d);
  BasicBlock* take = new_block("take");
  BasicBlock* stay = new_block("stay");
  b_.CreateCondBr(b_.CreateICmpNE(ref.v, i64(0)), take, stay);
  b_.SetInsertPoint(take);
  branch(d, depth);
  b_.SetInsertPoint(stay);
}

void Lowering::br_on_cast(D& d, Op op, const vm::Immediate& imm, const V& ref, uint32_t depth, V* result) {
  at(d);
  // The reference still is the top operand, and both sides take it.
  llvm::Value* passes = is_of(ref.v, imm.type, imm.type.nullable());
  if (op == Op::br_on_cast_fail) passes = b_.CreateNot(passes);
  BasicBlock* take = new_block("take");
  BasicBlock* stay = new_block("stay");
  b_.CreateCondBr(passes, take, stay);
  b_.SetInsertPoint(take);
  branch(d, depth);
  b_.SetInsertPoint(stay);
  result->v = ref.v;
}

}  // namespace vmrun::jit::opt
