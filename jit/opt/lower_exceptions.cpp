// Lowering: throws and tries of both kinds.
//
// A try_table's clauses are code before its body. The older form's clauses come after it, each with the code that it
// leads to: a frame keeps the block in which the next clause is tried. Whether a rethrow wants the exception's
// reference is known only when it comes: it changes the argument of the call that took the exception.
#include "jit/opt/lower.h"
#include "vm/base/assert.h"

namespace vmrun::jit::opt {

using llvm::BasicBlock;
using vm::ControlKind;
using vm::ValType;

// ---- regions --------------------------------------------------------------------------------------------------------

uint32_t Lowering::open_try(D& d, C& c) {
  c.outer_try = inner_;
  open(d, c);
  c.label = new_label(c.results, "end");
  const auto self = static_cast<uint32_t>(tries_.size());
  tries_.push_back({nullptr, new_block("dispatch")});
  inner_ = c.region = self;
  return self;
}

void Lowering::pass_on(uint32_t outer) {
  const Lowering* in = this;
  for (; outer == 0 && in->caller_ != nullptr; outer = in->inner_) in = in->caller_;
  if (outer != 0) {
    b_.CreateBr(in->tries_[outer].dispatch);
  } else {
    final_helper(Helper::resume_throw, {}, false);
  }
}

llvm::Value* Lowering::exception_cell() {
  return b_.CreateIntToPtr(load_field(b_.getInt64Ty(), cx_, layout::vcpu::exception), b_.getPtrTy());
}

BasicBlock* Lowering::match_tag(uint32_t tag) {
  // The tag of the exception, whose address names it in all modules.
  llvm::Value* thrown = load_field(b_.getPtrTy(), exception_cell(), layout::exn::tag);
  llvm::Value* tags = load_fixed_ptr(inst_, layout::instance::tags);
  BasicBlock* match = new_block("match");
  BasicBlock* next = new_block("next");
  b_.CreateCondBr(b_.CreateICmpEQ(thrown, load_fixed_ptr(tags, 8 * size_t{tag})), match, next);
  b_.SetInsertPoint(match);
  return next;
}

void Lowering::load_payload(D& d, uint32_t tag, llvm::SmallVectorImpl<llvm::Value*>& values) {
  const std::vector<ValType>& types = image_.type_def(image_.tags[tag].type).func.params;
  travel(d, static_cast<uint32_t>(types.size()));
  if (types.empty()) return;
  llvm::Value* payload = offset(exception_cell(), layout::exn::payload);
  uint32_t slot = 0;
  for (ValType t : types) {
    values.push_back(load_slot(offset(payload, 8 * size_t{slot}), t));
    slot += t.slots();
  }
}

// ---- the final form -------------------------------------------------------------------------------------------------

void Lowering::try_table(D& d, C& c, std::span<const vm::CatchClause> clauses) {
  at(d);
  BasicBlock* body = b_.GetInsertBlock();
  const uint32_t self = open_try(d, c);
  inner_ = c.outer_try;  // code of the clauses stands outside the try
  b_.SetInsertPoint(tries_[self].dispatch);
  bool takes_all = false;
  for (const vm::CatchClause& clause : clauses) {
    const bool any = clause.kind == vm::CatchKind::catch_all || clause.kind == vm::CatchKind::catch_all_ref;
    const bool want_ref = clause.kind == vm::CatchKind::catch_ref || clause.kind == vm::CatchKind::catch_all_ref;
    BasicBlock* next = nullptr;
    if (!any) next = match_tag(clause.tag);
    llvm::SmallVector<llvm::Value*, 4> values;
    if (!any) load_payload(d, clause.tag, values);
    llvm::Value* exn = helper(Helper::take_exception, b_.getInt64Ty(), {i64(want_ref)});
    if (want_ref) values.push_back(exn);
    merge(d, values.size());
    branch_to(d, d.control(clause.depth + 1), values);
    if (any) {
      takes_all = true;
      break;
    }
    b_.SetInsertPoint(next);
  }
  if (!takes_all) pass_on(c.outer_try);
  inner_ = self;
  b_.SetInsertPoint(body);
}

BasicBlock* Lowering::landing_pad() {
  if (inner_ == 0) return caller_ != nullptr ? caller_->landing_pad() : nullptr;
  Try& t = tries_[inner_];
  if (t.pad == nullptr) {
    t.pad = new_block("pad");
    Builder pad(t.pad);
    pad.SetCurrentDebugLocation(b_.getCurrentDebugLocation());
    llvm::LandingPadInst* landing = pad.CreateLandingPad(llvm::StructType::get(b_.getPtrTy(), b_.getInt32Ty()), 1);
    landing->addClause(llvm::ConstantPointerNull::get(b_.getPtrTy()));  // everything
    if (fuel_ != nullptr) {
      llvm::Value* at = pad.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), cx_, layout::vcpu::fuel);
      pad.CreateStore(pad.CreateLoad(b_.getInt64Ty(), at), fuel_);
    }
    pad.CreateBr(t.dispatch);
  }
  return t.pad;
}

void Lowering::throw_(D& d, uint32_t tag, Operands args) {
  at(d);
  travel(d, static_cast<uint32_t>(args.size()));
  const std::vector<ValType>& types = image_.type_def(image_.tags[tag].type).func.params;
  uint32_t slot = 0;
  for (size_t i = 0; i < args.size(); ++i) {
    store_slot(offset(area(), 8 * size_t{slot}), args[i].v, types[i]);
    slot += types[i].slots();
  }
  final_helper(Helper::throw_, {inst_, i32(tag)}, true);
}

void Lowering::throw_ref(D& d, const V& exn) {
  at(d);
  final_helper(Helper::throw_ref, {exn.v}, true);
}

// ---- the older form -------------------------------------------------------------------------------------------------

void Lowering::try_(D& d, C& c) {
  at(d);
  c.otherwise = tries_[open_try(d, c)].dispatch;
}

void Lowering::begin_catch(D& d, C& c) {
  at(d);
  if (d.reachable()) branch_to(d, c, taken(d, c));
  inner_ = c.region = c.outer_try;
  b_.SetInsertPoint(c.otherwise);
  if (c.exn == nullptr) c.exn = new_alloca(b_.getInt64Ty());
}

void Lowering::take(D& d, C& c) {
  c.taken = helper(Helper::take_exception, b_.getInt64Ty(), {i64(0)});
  b_.CreateStore(c.taken, c.exn);
  reload_operands(d, c);
}

void Lowering::catch_(D& d, C& c, uint32_t tag, Results params) {
  begin_catch(d, c);
  c.otherwise = match_tag(tag);
  llvm::SmallVector<llvm::Value*, 4> values;
  load_payload(d, tag, values);
  take(d, c);
  for (size_t i = 0; i < params.size(); ++i) params[i].v = values[i];
}

void Lowering::catch_all(D& d, C& c) {
  begin_catch(d, c);
  c.otherwise = nullptr;
  take(d, c);
}

void Lowering::end_try(C& c) {
  inner_ = c.outer_try;
  if (c.otherwise == nullptr) return;
  const Builder::InsertPoint here = b_.saveIP();
  b_.SetInsertPoint(c.otherwise);
  c.otherwise = nullptr;
  pass_on(c.outer_try);
  b_.restoreIP(here);
}

void Lowering::delegate(D& d, C& c, uint32_t depth, Results results) {
  at(d);
  // The caller's pad is that of the tries around the loop, and this may pass some of them by.
  if (alone_ && c.outer_try != 0 && d.control_depth() - 2 - depth < unit_number_) {
    return unsupported(d, "a loop by itself that delegates");
  }
  inner_ = c.outer_try;
  const Builder::InsertPoint here = b_.saveIP();
  b_.SetInsertPoint(c.otherwise);
  c.otherwise = nullptr;
  pass_on(d.control(depth + 1).region);
  b_.restoreIP(here);
  finish(d, c, results);
}

void Lowering::rethrow(D& d, uint32_t depth) {
  at(d);
  C& c = d.control(depth);
  // take_exception's arguments are the vCPU and whether the reference is wanted.
  c.taken->setArgOperand(1, i64(1));
  final_helper(Helper::throw_ref, {b_.CreateLoad(b_.getInt64Ty(), c.exn)}, true);
}

}  // namespace vmrun::jit::opt
