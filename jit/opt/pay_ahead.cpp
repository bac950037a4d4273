// See pay_ahead.h. The second copy is entered in many places, so each value that both copies define reaches it in many
// ways: SSAUpdater makes the phis.
#include "jit/opt/pay_ahead.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/MDBuilder.h>
#include <llvm/Transforms/Utils/Cloning.h>
#include <llvm/Transforms/Utils/LoopUtils.h>
#include <llvm/Transforms/Utils/SSAUpdater.h>
#include <llvm/Transforms/Utils/ValueMapper.h>

#include <optional>
#include <utility>
#include <vector>

#include "jit/opt/loop_fuel.h"
#include "jit/opt/places.h"
#include "vm/runtime/layout.h"

namespace vmrun::jit::opt {

using namespace llvm;  // NOLINT: this file is about nothing else

namespace {

/// Instructions, before anything is optimised, of a unit that is worth a copy. With 8000 the guests of bench/guests were no
/// faster, and took up to a fifth longer to compile.
constexpr size_t kMostCopied = 3000;
/// What marks loops of the second copy.
constexpr const char kExact[] = "vmrun.exact";

struct AheadCharge {
  WithOverflowInst* paid = nullptr;
  BranchInst* check = nullptr;  // its first successor is the trap
  uint64_t units = 0;
  bool anchor = false;
  uint64_t bound = 0;  // of an anchor: what has to be there
  BasicBlock* at = nullptr;
  Value* before() const { return paid->getLHS(); }
};

class AheadPayer {
 public:
  AheadPayer(Function& unit) : unit_(unit), tree_(unit), loops_(tree_) {}
  void run(std::span<Instruction* const> charges, bool copies);

 private:
  void collect(std::span<Instruction* const> charges);
  void find_rounds();
  void store_each_round(PHINode& phi);
  bool comes_round(const PHINode& phi) const;
  template <class Visit>
  void walk_back(SmallVector<Value*, 16> from, Visit visit) const;
  bool comes_from_elsewhere(Value* value);
  uint64_t needed_behind(Value* value);
  void copy();
  void link(Instruction& value);
  void drop(AheadCharge& charge);

  Function& unit_;
  DominatorTree tree_;
  LoopInfo loops_;
  std::vector<AheadCharge> charges_;
  DenseMap<Value*, size_t> by_paid_;
  // Of headers of loops that may go round without asking anybody else what is left: an iteration is for its anchors.
  SmallPtrSet<const Value*, 16> rounds_;
  DenseMap<Value*, std::optional<bool>> elsewhere_;   // null: being found out
  DenseMap<Value*, std::optional<uint64_t>> needed_;  // null: being found out
  bool irreducible_ = false;
  std::vector<BasicBlock*> blocks_;  // of the first copy that have a twin
  ValueToValueMapTy map_;
};

void AheadPayer::collect(std::span<Instruction* const> charges) {
  for (Instruction* i : charges) {
    if (!tree_.isReachableFromEntry(i->getParent())) continue;
    AheadCharge charge;
    charge.paid = cast<WithOverflowInst>(i);
    charge.check = cast<BranchInst>(i->getParent()->getTerminator());
    charge.units = cast<ConstantInt>(charge.paid->getRHS())->getZExtValue();
    by_paid_[i] = charges_.size();
    charges_.push_back(charge);
  }
}

/// All that `from` may be by charges and phis, those of rounds_ excepted.
template <class Visit>
void AheadPayer::walk_back(SmallVector<Value*, 16> from, Visit visit) const {
  SmallPtrSet<const Value*, 32> seen;
  while (!from.empty()) {
    Value* value = from.pop_back_val();
    if (const auto* left = dyn_cast<ExtractValueInst>(value)) {
      const auto charge = by_paid_.find(left->getAggregateOperand());
      if (charge == by_paid_.end()) continue;
      value = charges_[charge->second].before();
    }
    auto* phi = dyn_cast<PHINode>(value);
    if (phi == nullptr) {
      if (isa<ExtractValueInst>(value) && seen.insert(value).second) from.push_back(value);
      continue;
    }
    if (!seen.insert(phi).second) continue;
    visit(*phi);
    if (!rounds_.contains(phi)) from.append(phi->op_begin(), phi->op_end());
  }
}

bool AheadPayer::comes_round(const PHINode& phi) const {
  const Loop& loop = *loops_.getLoopFor(phi.getParent());
  SmallVector<Value*, 16> from;
  for (unsigned i = 0; i < phi.getNumIncomingValues(); ++i) {
    if (loop.contains(phi.getIncomingBlock(i))) from.push_back(phi.getIncomingValue(i));
  }
  bool round = false;
  walk_back(std::move(from), [&](const PHINode& before) { round |= &before == &phi; });
  return round;
}

void AheadPayer::find_rounds() {
  SmallVector<Value*, 16> from;
  for (const AheadCharge& charge : charges_) from.push_back(charge.before());
  SmallPtrSet<PHINode*, 32> phis;
  walk_back(std::move(from), [&](PHINode& phi) { phis.insert(&phi); });
  const SmallVector<Loop*, 4> loops = loops_.getLoopsInPreorder();
  for (const Loop* loop : reverse(loops)) {  // inner ones first
    for (PHINode& phi : loop->getHeader()->phis()) {
      if (!phis.contains(&phi) || !comes_round(phi)) continue;
      rounds_.insert(&phi);
      store_each_round(phi);
    }
  }
}

/// Who stops the guest in a loop finds about what is left. It is by this, too, that others see which value that is.
void AheadPayer::store_each_round(PHINode& phi) {
  for (const BasicBlock* block = phi.getParent(); block != nullptr;) {
    for (const Instruction& i : *block) {
      const auto* store = dyn_cast<StoreInst>(&i);
      if (store != nullptr && stores_fuel(unit_, *store)) return;
    }
    const auto* branch = dyn_cast<BranchInst>(block->getTerminator());
    const bool charges = branch != nullptr && any_of(charges_, [&](const AheadCharge& c) { return c.check == branch; });
    block = charges ? branch->getSuccessor(1) : nullptr;
  }
  IRBuilder<> b(phi.getParent(), phi.getParent()->getFirstInsertionPt());
  b.SetCurrentDebugLocation(phi.getParent()->getTerminator()->getDebugLoc());
  Value* to = b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), unit_.getArg(0), vm::layout::vcpu::fuel);
  mark_ordered(*b.CreateStore(&phi, to));
}

/// Whether what is left may be another number than what a charge of the same round has left.
bool AheadPayer::comes_from_elsewhere(Value* value) {
  if (const auto* left = dyn_cast<ExtractValueInst>(value)) return !by_paid_.contains(left->getAggregateOperand());
  auto* phi = dyn_cast<PHINode>(value);
  if (phi == nullptr || rounds_.contains(phi)) return true;
  const auto [at, fresh] = elsewhere_.try_emplace(phi, std::nullopt);
  if (!fresh) {
    irreducible_ |= !at->second;
    return at->second.value_or(true);
  }
  bool found = false;
  for (Value* incoming : phi->incoming_values()) found |= comes_from_elsewhere(incoming);
  elsewhere_[phi] = found;
  return found;
}

/// What charges may take off what is left, at most, before the next anchor or wherever it goes elsewhere.
uint64_t AheadPayer::needed_behind(Value* value) {
  const auto [at, fresh] = needed_.try_emplace(value, std::nullopt);
  if (!fresh) {
    irreducible_ |= !at->second;
    return at->second.value_or(0);
  }
  uint64_t most = 0;
  for (User* user : value->users()) {
    if (const auto charge = by_paid_.find(user); charge != by_paid_.end()) {
      const AheadCharge& next = charges_[charge->second];
      if (next.anchor) continue;
      uint64_t behind = 0;
      for (User* left : next.paid->users()) {
        const auto* taken = cast<ExtractValueInst>(left);
        if (taken->getIndices()[0] == 0) behind = std::max(behind, needed_behind(left));
      }
      most = std::max(most, next.units + behind);
    } else if (isa<PHINode>(user) && !rounds_.contains(user)) {
      most = std::max(most, needed_behind(user));
    }
  }
  needed_[value] = most;
  return most;
}

void AheadPayer::copy() {
  SmallVector<BasicBlock*, 16> work;
  for (AheadCharge& charge : charges_) {
    if (charge.bound <= charge.units) continue;
    charge.at = charge.paid->getParent();
    work.push_back(charge.at->splitBasicBlock(charge.paid->getIterator()));
  }
  SmallPtrSet<BasicBlock*, 32> seen(work.begin(), work.end());
  while (!work.empty()) {
    BasicBlock* block = work.pop_back_val();
    blocks_.push_back(block);
    for (BasicBlock* successor : successors(block)) {
      if (seen.insert(successor).second) work.push_back(successor);
    }
  }
  SmallVector<BasicBlock*, 32> copies;
  for (BasicBlock* block : blocks_) {
    BasicBlock* copied = CloneBasicBlock(block, map_, "", &unit_);
    map_[block] = copied;
    copies.push_back(copied);
  }
  remapInstructionsInBlocks(copies, map_);
  const SmallPtrSet<BasicBlock*, 32> inside(copies.begin(), copies.end());
  for (BasicBlock* block : copies) {
    for (PHINode& phi : block->phis()) {
      for (unsigned i = phi.getNumIncomingValues(); i-- > 0;) {
        if (!inside.contains(phi.getIncomingBlock(i))) phi.removeIncomingValue(i, /*DeletePHIIfEmpty=*/false);
      }
    }
  }
  for (Loop* loop : loops_.getLoopsInPreorder()) {
    SmallVector<BasicBlock*, 4> latches;
    loop->getLoopLatches(latches);
    MDNode* id = nullptr;
    for (BasicBlock* latch : latches) {
      auto* copied = cast_or_null<BasicBlock>(map_.lookup(latch));
      if (copied == nullptr) continue;
      LLVMContext& context = unit_.getContext();
      if (id == nullptr) {
        id = MDNode::getDistinct(context,
                                 {nullptr, MDNode::get(context, MDString::get(context, kExact)),
                                  MDNode::get(context, MDString::get(context, "llvm.loop.unroll.disable")),
                                  MDNode::get(context, {MDString::get(context, "llvm.loop.vectorize.enable"),
                                                        ConstantAsMetadata::get(ConstantInt::getFalse(context))})});
        id->replaceOperandWith(0, id);
      }
      copied->getTerminator()->setMetadata(LLVMContext::MD_loop, id);
    }
  }
}

/// Uses of a value's twin may be reached from either copy.
void AheadPayer::link(Instruction& value) {
  auto* twin = cast<Instruction>(map_.lookup(&value));
  SmallVector<Use*, 8> uses;
  for (Use& use : twin->uses()) {
    auto* user = cast<Instruction>(use.getUser());
    if (user->getParent() != twin->getParent() || isa<PHINode>(user)) uses.push_back(&use);
  }
  if (uses.empty()) return;
  SSAUpdater updater;
  updater.Initialize(value.getType(), "");
  updater.AddAvailableValue(value.getParent(), &value);
  updater.AddAvailableValue(twin->getParent(), twin);
  for (Use* use : uses) updater.RewriteUse(*use);
}

void AheadPayer::drop(AheadCharge& charge) {
  IRBuilder<> b(charge.check);
  charge.check->getSuccessor(0)->removePredecessor(charge.check->getParent());
  b.CreateBr(charge.check->getSuccessor(1));
  charge.check->eraseFromParent();
  b.SetInsertPoint(charge.paid);
  Value* left = b.CreateSub(charge.paid->getLHS(), charge.paid->getRHS());
  for (User* user : make_early_inc_range(charge.paid->users())) {
    auto* taken = cast<ExtractValueInst>(user);
    if (taken->getIndices()[0] == 0) taken->replaceAllUsesWith(left);
    taken->eraseFromParent();
  }
  charge.paid->eraseFromParent();
}

void AheadPayer::run(std::span<Instruction* const> charges, bool copies) {
  collect(charges);
  find_rounds();
  size_t size = 0;
  for (const BasicBlock& block : unit_) size += block.size();
  if (!copies || size > kMostCopied) return;
  for (AheadCharge& charge : charges_) charge.anchor = comes_from_elsewhere(charge.before());
  bool gains = false;
  for (AheadCharge& charge : charges_) {
    if (!charge.anchor) continue;
    uint64_t behind = 0;
    for (User* user : charge.paid->users()) {
      if (cast<ExtractValueInst>(user)->getIndices()[0] == 0) behind = std::max(behind, needed_behind(user));
    }
    charge.bound = charge.units + behind;
    gains |= behind != 0;
  }
  if (irreducible_ || !gains) return;
  copy();
  for (AheadCharge& charge : charges_) {
    if (charge.at == nullptr) continue;
    Instruction* jump = charge.at->getTerminator();
    IRBuilder<> b(jump);
    b.SetCurrentDebugLocation(charge.paid->getDebugLoc());
    BasicBlock* go = jump->getSuccessor(0);
    b.CreateCondBr(b.CreateICmpUGE(charge.before(), b.getInt64(charge.bound)), go, cast<BasicBlock>(map_.lookup(go)),
                   MDBuilder(unit_.getContext()).createLikelyBranchWeights());
    jump->eraseFromParent();
  }
  for (BasicBlock* block : blocks_) {
    for (Instruction& i : *block) {
      if (map_.count(&i) != 0) link(i);
    }
  }
  for (AheadCharge& charge : charges_) {
    if (!charge.anchor || charge.at != nullptr) drop(charge);
  }
}

}  // namespace

void pay_ahead(Function& unit, std::span<Instruction* const> charges, bool copies) {
  if (!charges.empty()) AheadPayer(unit).run(charges, copies);
}

bool stays_exact(const Loop& loop) { return findOptionMDForLoop(&loop, kExact) != nullptr; }

}  // namespace vmrun::jit::opt
