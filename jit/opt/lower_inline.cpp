// Lowering: callees in place of their calls.
//
// The callee's instance, memory and vCPU are the caller's: it is a function of the same module, called directly, or
// through a table that was found to hold this very instance's record of it. Its parameters and results are SSA values;
// nothing goes through the area. What it throws lands in the tries around the call, as in those of its own.
//
// What the machine then has is one frame, which is checked once, with all that it contains. Bounds: limits.h.
#include "jit/opt/limits.h"
#include "jit/opt/lower.h"

namespace vmrun::jit::opt {

using llvm::BasicBlock;
using vm::ValType;

namespace {

CompileRequest as_unit(CompileRequest request, uint32_t func_index) {
  request.func_index = func_index;
  request.unit = kWholeFunction;
  return request;
}

}  // namespace

Lowering::Lowering(Lowering& caller, uint32_t func_index, uint32_t open_blocks)
    : module_(caller.module_),
      unit_(caller.unit_),
      request_(as_unit(caller.request_, func_index)),
      image_(caller.image_),
      caller_(&caller),
      depth_(caller.depth_ + 1),
      called_at_(caller.place_),
      nesting_(caller.nesting_ + open_blocks),
      context_(caller.context_),
      b_(context_),
      function_(caller.function_),
      subprogram_(caller.subprogram_),
      result_type_(caller.result_type_),
      v128_(caller.v128_),
      guest_type_(caller.guest_type_),
      entry_(caller.entry_),
      cx_(caller.cx_),
      inst_(caller.inst_),
      mem_(caller.mem_),
      func_type_(&image_.func_type(func_index)) {
  tries_.emplace_back();
  fuel_ = caller.fuel_;
}

uint32_t Lowering::recursions(uint32_t func_index) const {
  uint32_t count = 0;
  for (const Lowering* in = this; in != nullptr; in = in->caller_) count += in->request_.func_index == func_index;
  return count;
}

void Lowering::reserve(D& d, uint64_t bytes) {
  if (depth_ != 0 || !unit_.plan) return;
  uint32_t loops = 0;
  for (uint32_t i = 0; i < d.control_depth(); ++i) loops += d.control(i).kind == vm::ControlKind::loop;
  unit_.plan->pass(loops, bytes);
  unit_.reserved_bytes = unit_.plan->to_come(loops + 1);
  unit_.reserved_within = unit_.plan->to_come(loops);
}

bool Lowering::wants_inlined(D& d, uint32_t func_index, bool indirect) {
  if (request_.inlining == Inlining::Off || func_index < image_.imported_funcs) return false;
  const InlineLimits& limits = request_.inlining == Inlining::All ? kInlineAll : kInlineUsual;
  const uint32_t size = image_.funcs[func_index].body.size();
  if (size > (indirect ? limits.indirect_bytes : limits.direct_bytes) || depth_ >= limits.depth) return false;
  const uint64_t taken = unit_.inlined_bytes + (depth_ == 0 ? unit_.reserved_bytes : unit_.reserved_within);
  if (taken + size > limits.unit_bytes + unit_.own_bytes * limits.unit_percent / 100) return false;
  if (unit_.own_bytes + unit_.inlined_bytes + size > kMaxBodyBytes) return false;
  if (recursions(func_index) > limits.recursions) return false;
  if (before_unit(d)) {
    // What is not in a loop together with the unit's falls away.
    uint32_t loops = 0;
    for (uint32_t i = 0; i < d.control_depth(); ++i) loops += d.control(i).kind == vm::ControlKind::loop;
    if (loops == 0) return false;
  }
  const Callees::Facts& facts = unit_.callees.facts(func_index);
  if (!facts.possible || unit_.locals + facts.locals > kMaxInlinedLocals) return false;
  return facts.returns || request_.inlining == Inlining::All;
}

void Lowering::inline_call(D& d, uint32_t func_index, Operands args, Results results) {
  Lowering callee(*this, func_index, d.control_depth());
  for (const V& arg : args) callee.arguments_.push_back(arg.v);
  callee.behind_ = new_label(callee.func_type_->results, "behind");
  unit_.inlined_bytes += image_.funcs[func_index].body.size();
  callee.b_.SetInsertPoint(b_.GetInsertBlock());
  LowerConsumer consumer{&callee};
  D(image_, consumer).decode(func_index);
  if (callee.failed_) {
    failed_ = true;
    reason_ = std::move(callee.reason_);
    return d.stop();
  }
  b_.SetInsertPoint(callee.behind_);
  size_t i = 0;
  for (llvm::PHINode& phi : callee.behind_->phis()) results[i++].v = &phi;
}

void Lowering::begin_inlined(D& d) {
  at(image_.funcs[request_.func_index].body.begin);
  for (ValType local : d.locals()) locals_.push_back(new_alloca(type(local)));
  for (size_t i = 0; i < arguments_.size(); ++i) b_.CreateStore(arguments_[i], locals_[i]);
  count_run();
  zero_locals(d);
}

bool Lowering::guess_call(D& d, vm::TypeId type_id, uint32_t table, const vm::FuncType& type, llvm::Value* index,
                          Operands args, Results results) {
  if (request_.inlining == Inlining::Off) return false;
  if (unit_.plan) reserve(d, unit_.callees.bytes_of(table, type_id, kInlineUsual));
  llvm::SmallVector<uint32_t, kMostTargets> likely;
  for (uint32_t func_index : unit_.callees.in_table(table, type_id)) {
    if (wants_inlined(d, func_index, true)) likely.push_back(func_index);
  }
  if (likely.empty()) return false;
  BasicBlock* join = new_label(type.results, "join");
  auto go_on = [&] {
    merge(d, type.results.size());
    size_t i = 0;
    for (llvm::PHINode& phi : join->phis()) phi.addIncoming(results[i++].v, b_.GetInsertBlock());
    b_.CreateBr(join);
  };
  llvm::Value* record = table_entry(table, index);
  llvm::Value* funcs = load_fixed_ptr(inst_, layout::instance::funcs);
  for (uint32_t func_index : likely) {
    if (!wants_inlined(d, func_index, true)) continue;  // those before have used up what there was
    BasicBlock* guessed = new_block("guessed");
    BasicBlock* other = new_block("other");
    // The record is this instance's own, and of the wanted type: it needs no further check.
    llvm::Value* own = load_fixed_ptr(funcs, 8 * uint64_t{func_index});
    b_.CreateCondBr(b_.CreateICmpEQ(record, own), guessed, other);
    b_.SetInsertPoint(guessed);
    inline_call(d, func_index, args, results);
    if (failed_) return true;
    go_on();
    b_.SetInsertPoint(other);
  }
  check_entry(type_id, record);
  emit_call(d, type, through(record), args, results);
  go_on();
  b_.SetInsertPoint(join);
  size_t i = 0;
  for (llvm::PHINode& phi : join->phis()) results[i++].v = &phi;
  return true;
}

}  // namespace vmrun::jit::opt
