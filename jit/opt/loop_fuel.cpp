// See loop_fuel.h.
#include "jit/opt/loop_fuel.h"

#include <llvm/Analysis/DomTreeUpdater.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/PatternMatch.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>
#include <llvm/Transforms/Utils/Local.h>

#include <algorithm>

#include "vm/runtime/layout.h"

namespace vmrun::jit::opt {

using namespace llvm;  // NOLINT: this file is about nothing else

namespace {

/// What all charges of an iteration come to at most: times the most iterations there are, a number of 63 bits.
constexpr uint64_t kMostUnits = uint64_t{1} << 31;

bool is_fuel(const Function& unit, const Value* pointer) {
  const DataLayout& layout = unit.getParent()->getDataLayout();
  APInt offset(layout.getIndexTypeSizeInBits(pointer->getType()), 0);
  const Value* base = pointer->stripAndAccumulateConstantOffsets(layout, offset, /*AllowNonInbounds=*/true);
  return base == unit.getArg(0) && offset == static_cast<uint64_t>(vm::layout::vcpu::fuel);
}

/// Whether the branch leaves the loop where less than a constant is left; `charge` says of what.
bool is_check(BranchInst& branch, const Loop& loop, Charge& charge) {
  if (!branch.isConditional()) return false;
  const bool first_leaves = !loop.contains(branch.getSuccessor(0)),
             second_leaves = !loop.contains(branch.getSuccessor(1));
  if (first_leaves == second_leaves) return false;
  Value* const condition = branch.getCondition();
  charge.check = &branch;
  if (auto* overflow = dyn_cast<ExtractValueInst>(condition)) {
    auto* paid = dyn_cast<WithOverflowInst>(overflow->getAggregateOperand());
    if (paid == nullptr || paid->getIntrinsicID() != Intrinsic::usub_with_overflow ||
        overflow->getIndices() != ArrayRef(1u))
      return false;
    const auto* units = dyn_cast<ConstantInt>(paid->getRHS());
    if (units == nullptr || !first_leaves) return false;
    charge.before = paid->getLHS();
    charge.units = units->getZExtValue();
    return true;
  }
  auto* compare = dyn_cast<ICmpInst>(condition);
  if (compare == nullptr || !compare->getOperand(0)->getType()->isIntegerTy(64)) return false;
  const auto* bound = dyn_cast<ConstantInt>(compare->getOperand(1));
  if (bound == nullptr) return false;
  CmpInst::Predicate leave = compare->getPredicate();
  if (!first_leaves) leave = CmpInst::getInversePredicate(leave);
  charge.before = compare->getOperand(0);
  charge.units = bound->getZExtValue();
  if (leave == CmpInst::ICMP_EQ && charge.units == 0)
    charge.units = 1;  // less than one
  else if (leave != CmpInst::ICMP_ULT)
    return false;
  return true;
}

/// Whether `left` is what a charge leaves.
bool is_left(const Value* left, const Charge& charge) {
  using namespace PatternMatch;
  const auto* taken = dyn_cast<ExtractValueInst>(left);
  if (taken != nullptr) {
    const auto* paid = dyn_cast<WithOverflowInst>(taken->getAggregateOperand());
    return paid != nullptr && paid->getIntrinsicID() == Intrinsic::usub_with_overflow &&
           taken->getIndices() == ArrayRef(0u) && paid->getLHS() == charge.before &&
           match(paid->getRHS(), m_SpecificInt(charge.units));
  }
  return match(left, m_Add(m_Specific(charge.before), m_SpecificInt(APInt(64, -charge.units)))) ||
         match(left, m_Sub(m_Specific(charge.before), m_SpecificInt(charge.units)));
}

}  // namespace

bool LoopFuel::has(const StoreInst& store) const {
  return std::any_of(charges.begin(), charges.end(), [&](const Charge& charge) { return charge.store == &store; });
}

std::optional<LoopFuel> fuel_of(Function& unit, Loop& loop) {
  LoopFuel fuel;
  SmallVector<StoreInst*, 4> stores;
  for (BasicBlock* block : loop.blocks()) {
    for (Instruction& i : *block) {
      auto* store = dyn_cast<StoreInst>(&i);
      if (store != nullptr && is_fuel(unit, store->getPointerOperand())) stores.push_back(store);
    }
  }
  if (stores.empty()) return fuel;
  SmallVector<BasicBlock*, 8> exiting;
  loop.getExitingBlocks(exiting);
  for (BasicBlock* block : exiting) {
    if (block == loop.getLoopLatch()) continue;
    auto* branch = dyn_cast<BranchInst>(block->getTerminator());
    Charge charge;
    if (branch == nullptr || !is_check(*branch, loop, charge)) return std::nullopt;
    const auto store =
        std::find_if(stores.begin(), stores.end(), [&](StoreInst* s) { return is_left(s->getValueOperand(), charge); });
    if (store == stores.end()) return std::nullopt;
    charge.store = *store;
    stores.erase(store);
    fuel.most += charge.units;
    if (fuel.most > kMostUnits) return std::nullopt;
    if (auto* phi = dyn_cast<PHINode>(charge.before); phi != nullptr && phi->getParent() == loop.getHeader()) {
      if (fuel.left != nullptr && fuel.left != phi) return std::nullopt;
      fuel.left = phi;
    }
    fuel.charges.push_back(charge);
  }
  if (!stores.empty() || fuel.left == nullptr) return std::nullopt;
  return fuel;
}

void drop_charges(LoopFuel& fuel, Loop& loop, DominatorTree& tree, LoopInfo& loops) {
  DomTreeUpdater dominators(tree, DomTreeUpdater::UpdateStrategy::Eager);
  for (Charge& charge : fuel.charges) {
    BranchInst* const branch = charge.check;
    BasicBlock* const block = branch->getParent();
    const bool first_leaves = !loop.contains(branch->getSuccessor(0));
    BasicBlock *const out = branch->getSuccessor(first_leaves ? 0 : 1), *const in =
                                                                            branch->getSuccessor(first_leaves ? 1 : 0);
    Value* const condition = branch->getCondition();
    Value* const left = charge.store->getValueOperand();
    out->removePredecessor(block, /*KeepOneInputPHIs=*/true);
    IRBuilder<> b(branch);
    b.CreateBr(in);
    branch->eraseFromParent();
    dominators.applyUpdates({{DominatorTree::Delete, block, out}});
    charge.store->eraseFromParent();
    if (auto* taken = dyn_cast<ExtractValueInst>(left)) {
      // Not from charge.before: the charge in front of this one has replaced that.
      auto* paid = cast<WithOverflowInst>(taken->getAggregateOperand());
      b.SetInsertPoint(taken);
      taken->replaceAllUsesWith(b.CreateNUWSub(paid->getLHS(), paid->getRHS()));
      RecursivelyDeleteTriviallyDeadInstructions(taken);
    }
    RecursivelyDeleteTriviallyDeadInstructions(condition);
  }
  // What the checks kept apart is one block again.
  SmallVector<BasicBlock*, 8> blocks(loop.blocks());
  for (BasicBlock* block : blocks) {
    if (block != loop.getHeader()) MergeBlockIntoPredecessor(block, &dominators, &loops);
  }
}

}  // namespace vmrun::jit::opt
