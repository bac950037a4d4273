// See loop_fuel.h.
#include "jit/opt/loop_fuel.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/Analysis/DomTreeUpdater.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InlineAsm.h>
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

/// What the charges of an iteration come to at most: times the most iterations there are, a number of 63 bits.
constexpr uint64_t kMostUnits = uint64_t{1} << 31;

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
  else if (leave == CmpInst::ICMP_ULE && charge.units < kMostUnits)
    ++charge.units;
  else if (leave != CmpInst::ICMP_ULT)
    return false;
  return true;
}

/// What values are less than what is left as an iteration begins, at most.
class Spent {
 public:
  Spent(const Loop& loop, LoopFuel& fuel) : loop_(loop), fuel_(fuel) {}

  /// None: it is no such value.
  std::optional<uint64_t> of(Value* value) {
    if (const auto known = known_.find(value); known != known_.end()) return known->second;
    known_[value] = std::nullopt;  // what comes round to itself within an iteration is none
    const std::optional<uint64_t> spent = find(value);
    return known_[value] = spent && *spent <= kMostUnits ? spent : std::nullopt;
  }

 private:
  std::optional<uint64_t> find(Value* value) {
    using namespace PatternMatch;
    auto* phi = dyn_cast<PHINode>(value);
    if (phi != nullptr && phi->getParent() == loop_.getHeader()) {
      if (fuel_.left != nullptr && fuel_.left != phi) return std::nullopt;
      fuel_.left = phi;
      return 0;
    }
    auto* i = dyn_cast<Instruction>(value);
    if (i == nullptr || !loop_.contains(i)) return std::nullopt;
    if (phi != nullptr) return greatest(phi->incoming_values());
    Value *before = nullptr, *other = nullptr;
    const APInt* units = nullptr;
    if (match(value, m_Select(m_Value(), m_Value(before), m_Value(other)))) return greatest({before, other});
    if (match(value, m_Add(m_Value(before), m_APInt(units)))) return more(before, -*units);
    if (match(value, m_Sub(m_Value(before), m_APInt(units)))) return more(before, *units);
    const auto* taken = dyn_cast<ExtractValueInst>(value);
    const auto* paid = taken == nullptr ? nullptr : dyn_cast<WithOverflowInst>(taken->getAggregateOperand());
    if (paid == nullptr || paid->getIntrinsicID() != Intrinsic::usub_with_overflow ||
        taken->getIndices() != ArrayRef(0u) || !match(paid->getRHS(), m_APInt(units)))
      return std::nullopt;
    return more(paid->getLHS(), *units);
  }
  std::optional<uint64_t> more(Value* before, const APInt& units) {
    const std::optional<uint64_t> spent = of(before);
    if (!spent || units.ugt(kMostUnits)) return std::nullopt;
    return *spent + units.getZExtValue();
  }
  template <class Values>
  std::optional<uint64_t> greatest(const Values& values) {
    uint64_t most = 0;
    for (Value* value : values) {
      const std::optional<uint64_t> spent = of(value);
      if (!spent) return std::nullopt;
      most = std::max(most, *spent);
    }
    return most;
  }
  std::optional<uint64_t> greatest(std::initializer_list<Value*> values) {
    return greatest<std::initializer_list<Value*>>(values);
  }

  const Loop& loop_;
  LoopFuel& fuel_;
  DenseMap<Value*, std::optional<uint64_t>> known_;
};

}  // namespace

bool stores_fuel(const Function& unit, const StoreInst& store) {
  const DataLayout& layout = unit.getParent()->getDataLayout();
  const Value* pointer = store.getPointerOperand();
  APInt offset(layout.getIndexTypeSizeInBits(pointer->getType()), 0);
  const Value* base = pointer->stripAndAccumulateConstantOffsets(layout, offset, /*AllowNonInbounds=*/true);
  return base == unit.getArg(0) && offset == static_cast<uint64_t>(vm::layout::vcpu::fuel);
}

std::optional<LoopFuel> fuel_of(Function& unit, Loop& loop, SmallVectorImpl<BasicBlock*>& others) {
  LoopFuel fuel;
  for (BasicBlock* block : loop.blocks()) {
    for (Instruction& i : *block) {
      auto* store = dyn_cast<StoreInst>(&i);
      if (store != nullptr && stores_fuel(unit, *store)) fuel.stores.push_back(store);
    }
  }
  if (fuel.stores.empty()) return fuel;
  Spent spent(loop, fuel);
  // It is by what is stored that it is known which of the values is what is left.
  for (StoreInst* store : fuel.stores) {
    if (!spent.of(store->getValueOperand())) return std::nullopt;
  }
  SmallVector<BasicBlock*, 8> exiting;
  loop.getExitingBlocks(exiting);
  for (BasicBlock* block : exiting) {
    auto* branch = dyn_cast<BranchInst>(block->getTerminator());
    Charge charge;
    std::optional<uint64_t> before;
    if (branch != nullptr && is_check(*branch, loop, charge)) before = spent.of(charge.before);
    const bool at_end = block == loop.getLoopLatch();
    if (!before || charge.units > kMostUnits) {
      if (!at_end) others.push_back(block);
      continue;
    }
    if (at_end) return std::nullopt;  // it says when the loop ends, or it goes round for as long as there is fuel
    fuel.most = std::max(fuel.most, *before + charge.units);
    fuel.charges.push_back(charge);
  }
  if (fuel.left == nullptr) return std::nullopt;
  const std::optional<uint64_t> all = spent.of(fuel.left->getIncomingValueForBlock(loop.getLoopLatch()));
  if (!all || *all > fuel.most) return std::nullopt;
  return fuel;
}

PHINode* left_in(const Loop& loop) {
  const Function& unit = *loop.getHeader()->getParent();
  for (BasicBlock* block : loop.blocks()) {
    for (Instruction& i : *block) {
      auto* store = dyn_cast<StoreInst>(&i);
      if (store == nullptr || !stores_fuel(unit, *store)) continue;
      Value* value = store->getValueOperand();
      const APInt* units = nullptr;
      while (
          PatternMatch::match(value, PatternMatch::m_Add(PatternMatch::m_Value(value), PatternMatch::m_APInt(units)))) {
      }
      auto* phi = dyn_cast<PHINode>(value);
      if (phi != nullptr && phi->getParent() == loop.getHeader()) return phi;
    }
  }
  return nullptr;
}

void hide_steps(PHINode& left, Loop& loop) {
  BasicBlock* latch = loop.getLoopLatch();
  if (latch == nullptr) return;
  IRBuilder<> b(latch->getTerminator());
  InlineAsm* same = InlineAsm::get(FunctionType::get(left.getType(), {left.getType()}, false), "", "=r,0", false);
  left.setIncomingValueForBlock(latch, b.CreateCall(same, {left.getIncomingValueForBlock(latch)}));
}

void drop_charges(LoopFuel& fuel, Loop& loop, DominatorTree& tree, LoopInfo& loops) {
  DomTreeUpdater dominators(tree, DomTreeUpdater::UpdateStrategy::Eager);
  for (StoreInst* store : fuel.stores) store->eraseFromParent();
  fuel.stores.clear();
  for (Charge& charge : fuel.charges) {
    BranchInst* const branch = charge.check;
    BasicBlock* const block = branch->getParent();
    const bool first_leaves = !loop.contains(branch->getSuccessor(0));
    BasicBlock *const out = branch->getSuccessor(first_leaves ? 0 : 1), *const in =
                                                                            branch->getSuccessor(first_leaves ? 1 : 0);
    Value* const condition = branch->getCondition();
    out->removePredecessor(block, /*KeepOneInputPHIs=*/true);
    IRBuilder<> b(branch);
    b.CreateBr(in);
    branch->eraseFromParent();
    dominators.applyUpdates({{DominatorTree::Delete, block, out}});
    if (auto* overflow = dyn_cast<ExtractValueInst>(condition)) {
      auto* paid = cast<WithOverflowInst>(overflow->getAggregateOperand());
      for (User* user : make_early_inc_range(paid->users())) {
        auto* taken = dyn_cast<ExtractValueInst>(user);
        if (taken == nullptr || taken->getIndices() != ArrayRef(0u)) continue;
        b.SetInsertPoint(taken);
        taken->replaceAllUsesWith(b.CreateNUWSub(paid->getLHS(), paid->getRHS()));
        taken->eraseFromParent();
      }
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
