// Lowering: loop units, which baseline code calls in a loop's place (jit/crossing/abi.h). All that they know of their caller is
// where its slots are.
#include <llvm/IR/Constants.h>

#include "jit/opt/limits.h"
#include "jit/opt/lower.h"
#include "vm/base/assert.h"

namespace vmrun::jit::opt {

using llvm::BasicBlock;
using vm::ControlKind;
using vm::ValType;

bool Lowering::skips(D& d, bool is_loop) {
  if (!alone_ || entry_ == nullptr) return false;  // `begin` comes first
  if (!entered_) return !is_loop || d.offset() != loop_of(request_.unit);
  unit_.own_bytes = d.offset() - loop_of(request_.unit);
  if (unit_.own_bytes > kMaxBodyBytes)
    unsupported(d, "a loop of more than " + std::to_string(kMaxBodyBytes) + " bytes");
  return failed_;
}

llvm::Value* Lowering::frame_slot(uint32_t slot, ValType type) {
  const uint32_t last = slot + type.slots() - 1;
  if (last == 0) return frame_;
  return b_.CreateConstGEP1_64(b_.getInt8Ty(), frame_, static_cast<uint64_t>(-8 * int64_t{last}));
}

void Lowering::load_locals(D& d) {
  const std::span<const ValType> locals = d.locals();
  frame_ = b_.CreateIntToPtr(function_->getArg(3), b_.getPtrTy());
  written_.assign(locals.size(), false);
  uint32_t slot = 0;
  for (size_t i = 0; i < locals.size(); ++i) {
    b_.CreateStore(load_slot(frame_slot(slot, locals[i]), locals[i]), locals_[i]);
    slot += locals[i].slots();
  }
}

void Lowering::begin_alone(D& d) {
  entered_ = true;
  unit_number_ = d.control_depth() - 1;
  bool in_try = false;
  for (uint32_t number = 1; number < unit_number_; ++number) {
    C& c = d.control(unit_number_ - number);
    c.exit = number;
    switch (c.kind) {
      case ControlKind::try_:
      case ControlKind::try_table: in_try = true; break;
      // They have a slot of their own.
      case ControlKind::catch_:
      case ControlKind::catch_all_: return unsupported(d, "a loop by itself in a catch");
      default: break;
    }
  }
  if (in_try) {
    // As if the loop stood in a try whose handler is the caller's pad.
    inner_ = static_cast<uint32_t>(tries_.size());
    tries_.push_back({nullptr, new_block("thrown")});
  }
  const std::span<V> stack = d.stack();
  uint32_t slot = 0;
  for (const ValType local : d.locals()) slot += local.slots();
  merge(d, stack.size());
  for (V& value : stack) {
    operand_slots_.push_back(slot);
    value.v = load_slot(frame_slot(slot, value.type), value.type);
    slot += value.type.slots();
  }
  operand_slots_.push_back(slot);
}

void Lowering::leave(uint32_t number, size_t height, std::span<const ValType> types,
                     llvm::ArrayRef<llvm::Value*> values) {
  auto at = exits_.find(number);
  if (at == exits_.end()) {
    BasicBlock* block = new_label(types, "exit");
    at = exits_.try_emplace(number, Exit{block, operand_slots_[height], {types.begin(), types.end()}}).first;
  }
  const Exit& exit = at->second;
  size_t i = 0;
  for (llvm::PHINode& phi : exit.block->phis()) phi.addIncoming(values[i++], b_.GetInsertBlock());
  b_.CreateBr(exit.block);
}

void Lowering::store_locals(D& d) {
  const std::span<const ValType> locals = d.locals();
  uint32_t slot = 0;
  for (size_t i = 0; i < locals.size(); ++i) {
    if (written_[i]) {
      merge(d, 1);
      store_slot(frame_slot(slot, locals[i]), b_.CreateLoad(type(locals[i]), locals_[i]), locals[i]);
    }
    slot += locals[i].slots();
  }
}

void Lowering::finish_exits(D& d) {
  if (inner_ != 0) {
    b_.SetInsertPoint(tries_[inner_].dispatch);
    store_locals(d);
    final_helper(Helper::resume_throw, {}, false);
  }
  for (auto& [number, exit] : exits_) {
    b_.SetInsertPoint(exit.block);
    store_locals(d);
    uint32_t slot = exit.slot;
    size_t i = 0;
    for (llvm::PHINode& phi : exit.block->phis()) {
      store_slot(frame_slot(slot, exit.types[i]), &phi, exit.types[i]);
      slot += exit.types[i++].slots();
    }
    save_fuel();
    llvm::Value* result = llvm::PoisonValue::get(result_type_);
    b_.CreateRet(b_.CreateInsertValue(result, i64(number), 0));
  }
  d.stop();
}

}  // namespace vmrun::jit::opt
