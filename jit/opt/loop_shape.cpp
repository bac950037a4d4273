// Looking at a loop: see loop_shape.h.
#include "jit/opt/loop_shape.h"

#include <llvm/Analysis/IVDescriptors.h>
#include <llvm/Analysis/ScalarEvolutionExpressions.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/Transforms/Utils/ScalarEvolutionExpander.h>

#include "jit/opt/places.h"

namespace vmrun::jit::opt {

using namespace llvm;  // NOLINT: this file is about nothing else

int64_t Group::step() const {
  const auto* fixed = dyn_cast<SCEVConstant>(first().step);
  return fixed == nullptr ? 0 : fixed->getAPInt().getSExtValue();
}

range::Extent Group::extent() const {
  range::Extent extent;
  for (const Access& a : members) extent = range::extent_of(extent, a.member);
  return extent;
}

SmallVector<range::Touch, 4> Group::touches() const {
  SmallVector<range::Touch, 4> touches;
  for (const Access& a : members) touches.push_back(a.touch);
  return touches;
}

namespace {

/// Instructions of a loop that is worth a copy.
constexpr unsigned kMostInstructions = 400;
/// Pointers that are checked: each costs some six instructions in front of the loop.
constexpr unsigned kMostGroups = 12;
/// Iterations beneath which the check costs what it gains.
constexpr unsigned kFewIterations = 6;
/// Iterations at most beneath which LLVM makes no vectors of a loop: what is left over of an unrolled loop goes round n & 7 times.
constexpr unsigned kFewestForVectors = 16;
/// Pairs of groups that are compared, where one of the two is stored to.
constexpr unsigned kMostPairs = 16;
/// Loads that may be moved to the begin of an iteration: more would not stay in registers.
constexpr unsigned kMostLoadsFirst = 16;
/// What computing the number of iterations may cost, in instructions.
constexpr unsigned kExpansionBudget = 24;

class Observer {
 public:
  Observer(Function& unit, Loop& loop, DominatorTree& tree, ScalarEvolution& se, const TargetTransformInfo& target)
      : unit_(unit), loop_(loop), tree_(tree), se_(se), target_(target) {}

  std::optional<LoopShape> look() {
    // A loop that may end in the midst of an iteration is not vectorised, and a copy gains nothing else of weight: what
    // looks for a difference or a delimiter mostly ends before it has paid for the check.
    SmallVector<BasicBlock*, 4> others;
    std::optional<LoopFuel> fuel = fuel_of(unit_, loop_, others);
    if (!fuel || (fuel->left != nullptr && !others.empty())) return std::nullopt;
    shape_.fuel = std::move(*fuel);
    exiting_ = metered() ? loop_.getLoopLatch() : loop_.getExitingBlock();
    if (exiting_ == nullptr || !loop_.isLoopExiting(exiting_)) return std::nullopt;
    find_order();
    if (!carries_little() || !find_accesses() || !find_count()) return std::nullopt;
    find_independence();
    return std::move(shape_);
  }

 private:
  bool metered() const { return shape_.fuel.left != nullptr; }
  void find_order();
  bool carries_little();
  bool sums_up(const PHINode& phi) const;
  bool find_accesses();
  bool find_count();
  APInt most_rounds();
  bool find_exit();
  std::optional<Access> describe(Instruction& at, Value* pointer, Type* type) const;
  bool add(Access access);
  void find_independence();

  Function& unit_;
  Loop& loop_;
  DominatorTree& tree_;
  ScalarEvolution& se_;
  const TargetTransformInfo& target_;
  LoopShape shape_;
  BasicBlock* exiting_ = nullptr;       // the one exit but for those of charges
  SmallVector<BasicBlock*, 8> blocks_;  // if `ordered`, in their order
  unsigned place_ = 0;
};

/// A loop that charges falls into blocks at its checks, none of which leaves it where it is copied.
void Observer::find_order() {
  blocks_.append(loop_.block_begin(), loop_.block_end());
  shape_.ordered = blocks_.size() == 1;
  if (!metered()) return;
  SmallVector<BasicBlock*, 8> chain;
  for (BasicBlock* at = loop_.getHeader();;) {
    chain.push_back(at);
    if (at == exiting_) break;
    BasicBlock* next = nullptr;
    for (BasicBlock* successor : successors(at)) {
      if (!loop_.contains(successor) || successor == next) continue;
      if (next != nullptr) return;
      next = successor;
    }
    at = next;
  }
  blocks_ = std::move(chain);
  shape_.ordered = true;
}

std::optional<Access> Observer::describe(Instruction& at, Value* pointer, Type* type) const {
  const SCEV* address = se_.getSCEV(pointer);
  Value* base = unit_.getArg(2);
  const auto* root = dyn_cast<SCEVUnknown>(se_.getPointerBase(address));
  if (root == nullptr || root->getValue() != base) return std::nullopt;
  const SCEV* offset = se_.getMinusSCEV(address, se_.getSCEV(base));
  if (isa<SCEVCouldNotCompute>(offset)) return std::nullopt;
  Type* const i64 = Type::getInt64Ty(unit_.getContext());
  Access access;
  access.at = &at;
  access.touch.store = isa<StoreInst>(at);
  access.touch.place = place_;
  access.touch.bytes = access.member.bytes = static_cast<int64_t>(type->getPrimitiveSizeInBits().getFixedValue() / 8);
  access.x = offset;
  const SCEV* rest = offset;
  int64_t constant = 0;
  if (const auto* sum = dyn_cast<SCEVAddExpr>(offset); sum != nullptr && sum->getNumOperands() == 2) {
    const auto* c = dyn_cast<SCEVConstant>(sum->getOperand(0));
    if (c != nullptr && c->getAPInt().getActiveBits() <= range::kIndexBits) {
      constant = static_cast<int64_t>(c->getAPInt().getZExtValue());
      rest = sum->getOperand(1);
    }
  }
  if (const auto* narrow = dyn_cast<SCEVZeroExtendExpr>(rest); narrow != nullptr) {
    access.x = narrow->getOperand();
    access.bits = access.x->getType()->getIntegerBitWidth();
    access.member.offset = constant;
    if (access.bits > range::kIndexBits) return std::nullopt;
  }
  access.start = access.x;
  access.step = se_.getZero(i64);
  if (se_.isLoopInvariant(access.x, &loop_)) return access;
  const auto* moving = dyn_cast<SCEVAddRecExpr>(access.x);
  if (moving == nullptr || moving->getLoop() != &loop_ || !moving->isAffine()) return std::nullopt;
  const SCEV* step = moving->getStepRecurrence(se_);
  const auto* fixed = dyn_cast<SCEVConstant>(step);
  if (fixed != nullptr ? !fixed->getAPInt().isSignedIntN(range::kIndexBits) : access.bits == range::kWide) {
    return std::nullopt;
  }
  access.start = moving->getStart();
  access.step = se_.getNoopOrSignExtend(step, i64);
  return access;
}

bool Observer::add(Access access) {
  for (Group& group : shape_.groups) {
    const Access& first = group.first();
    if (first.step != access.step || first.bits != access.bits) continue;
    const auto* apart = dyn_cast<SCEVConstant>(se_.getMinusSCEV(access.x, first.x));
    if (apart == nullptr || !apart->getAPInt().isSignedIntN(range::kIndexBits + 2)) continue;  // wide_limit()
    access.member.apart = apart->getAPInt().getSExtValue();
    access.touch.distance = access.member.apart + access.member.offset - first.member.offset;
    group.members.push_back(access);
    group.stores |= access.touch.store;
    return true;
  }
  if (shape_.groups.size() == kMostGroups) return false;
  shape_.groups.emplace_back().members.push_back(access);
  shape_.groups.back().stores = access.touch.store;
  return true;
}

/// Whether all that a value goes into, within the loop, is a sum or the like of values of that iteration.
bool Observer::sums_up(const PHINode& phi) const {
  const Value* const last = phi.getIncomingValueForBlock(loop_.getLoopLatch());
  unsigned opcode = 0;
  for (const Value* sum = &phi; sum != last;) {
    const Instruction* next = nullptr;
    for (const User* user : sum->users()) {
      const auto* i = cast<Instruction>(user);
      if (!loop_.contains(i)) continue;
      if (next != nullptr) return false;
      next = i;
    }
    if (next == nullptr ||
        (!next->isAssociative() && next->getOpcode() != Instruction::FAdd && next->getOpcode() != Instruction::FMul))
      return false;
    if (opcode != 0 && next->getOpcode() != opcode) return false;
    opcode = next->getOpcode();
    sum = next;
  }
  for (const User* user : last->users()) {
    if (user != &phi && loop_.contains(cast<Instruction>(user))) return false;
  }
  return true;
}

/// Whether what is carried from iteration to iteration moves by steps, is summed up or so, or comes from the one
/// before: a chain of other values is what the loop waits for, and nothing is gained by a copy.
bool Observer::carries_little() {
  for (PHINode& phi : loop_.getHeader()->phis()) {
    if (se_.isSCEVable(phi.getType()) && isa<SCEVAddRecExpr>(se_.getSCEV(&phi))) continue;
    if (&phi == shape_.fuel.left) continue;
    RecurrenceDescriptor descriptor;
    if (RecurrenceDescriptor::isReductionPHI(&phi, &loop_, descriptor, nullptr, nullptr, &tree_, &se_)) continue;
    // The exits of charges take it along, which is no reduction to LLVM, and they are not in the copy.
    if (metered() && sums_up(phi)) continue;
    if (!RecurrenceDescriptor::isFixedOrderRecurrence(&phi, &loop_, &tree_)) return false;
  }
  return true;
}

bool Observer::find_accesses() {
  for (BasicBlock* block : blocks_) {
    for (Instruction& i : *block) {
      if (++place_ > kMostInstructions) return false;
      if (auto* load = dyn_cast<LoadInst>(&i)) {
        if (!load->isVolatile()) continue;
        std::optional<Access> access = describe(i, load->getPointerOperand(), load->getType());
        if (!access || isStrongerThanUnordered(load->getOrdering()) || !add(*access)) return false;
      } else if (auto* store = dyn_cast<StoreInst>(&i)) {
        if (shape_.fuel.has(*store)) continue;
        shape_.stores = true;
        if (!store->isVolatile() || is_ordered(*store)) {
          shape_.elsewhere.push_back(store);
          continue;
        }
        std::optional<Access> access = describe(i, store->getPointerOperand(), store->getValueOperand()->getType());
        if (!access || store->isAtomic() || !add(*access)) return false;
      } else if (isa<CallBase>(i) ? !isa<IntrinsicInst>(i) || i.mayHaveSideEffects() : i.mayReadOrWriteMemory()) {
        return false;
      }
    }
  }
  return !shape_.groups.empty();
}

/// How often the back-edge is taken at most, as far as that is known before the loop runs.
APInt Observer::most_rounds() {
  const auto* most = dyn_cast<SCEVConstant>(se_.getConstantMaxBackedgeTakenCount(&loop_));
  return most != nullptr ? most->getAPInt() : APInt::getMaxValue(range::kIndexBits);
}

bool Observer::find_count() {
  SmallVector<const SCEV*, 8> needed;
  Instruction* before = loop_.getLoopPreheader()->getTerminator();
  SCEVExpander expander(se_, "range");
  const SCEV* count = metered() ? se_.getExitCount(&loop_, exiting_, ScalarEvolution::SymbolicMaximum)
                                : se_.getSymbolicMaxBackedgeTakenCount(&loop_);
  if (isa<SCEVCouldNotCompute>(count)) {
    if (!find_exit()) return false;
    needed.append({shape_.exit.start, shape_.exit.end});
  } else {
    const auto* fixed = dyn_cast<SCEVConstant>(count);
    if (fixed != nullptr && fixed->getAPInt().ult(kFewIterations)) return false;
    if (fixed == nullptr && most_rounds().ult(kFewestForVectors - 1)) return false;
    if (count->getType()->getIntegerBitWidth() > 2 * range::kIndexBits) return false;
    if (expander.isHighCostExpansion(count, &loop_, kExpansionBudget, &target_, before)) return false;
    needed.push_back(count);
    shape_.count = count;
  }
  for (const Group& group : shape_.groups) needed.append({group.first().start, group.first().step});
  for (const SCEV* s : needed) {
    if (!expander.isSafeToExpandAt(s, before)) return false;
  }
  return true;
}

bool Observer::find_exit() {
  BasicBlock* latch = loop_.getLoopLatch();
  if (exiting_ != latch) return false;
  auto* branch = dyn_cast<BranchInst>(latch->getTerminator());
  auto* compare = branch == nullptr || !branch->isConditional() ? nullptr : dyn_cast<ICmpInst>(branch->getCondition());
  if (compare == nullptr || !compare->getOperand(0)->getType()->isIntegerTy(range::kIndexBits)) return false;
  CmpInst::Predicate stay = compare->getPredicate();
  if (branch->getSuccessor(0) != loop_.getHeader()) stay = CmpInst::getInversePredicate(stay);
  const SCEV* left = se_.getSCEV(compare->getOperand(0));
  const SCEV* right = se_.getSCEV(compare->getOperand(1));
  if (se_.isLoopInvariant(left, &loop_)) {
    std::swap(left, right);
    stay = CmpInst::getSwappedPredicate(stay);
  }
  const auto* moving = dyn_cast<SCEVAddRecExpr>(left);
  if (moving == nullptr || moving->getLoop() != &loop_ || !moving->isAffine() || !se_.isLoopInvariant(right, &loop_)) {
    return false;
  }
  const auto* step = dyn_cast<SCEVConstant>(moving->getStepRecurrence(se_));
  if (step == nullptr || step->isZero() || step->getAPInt().isMinSignedValue()) return false;
  shape_.exit = {branch, stay, moving->getStart(), step->getAPInt().getSExtValue(), right};
  if (stay == CmpInst::ICMP_NE) return true;
  if (!CmpInst::isRelational(stay)) return false;
  const bool less = ICmpInst::isLT(stay) || ICmpInst::isLE(stay);
  return less == (shape_.exit.step > 0);
}

/// Whether iterations may be made independent by a check of where the groups lie.
void Observer::find_independence() {
  if (!shape_.stores || !shape_.elsewhere.empty()) return;
  unsigned pairs = 0;
  unsigned loads = 0, first_store = UINT32_MAX, last_load = 0;
  for (const Group& group : shape_.groups) {
    for (const Access& a : group.members) {
      if (a.touch.store) first_store = std::min(first_store, a.touch.place);
      if (a.touch.store) continue;
      last_load = std::max(last_load, a.touch.place);
      ++loads;
    }
    if (!group.stores) continue;
    pairs += shape_.groups.size() - 1;
    if (!range::keeps_to_itself(group.touches(), group.step(), shape_.ordered)) return;  // Rule::keeps_to_itself
  }
  if (pairs > kMostPairs) return;
  const bool mixed = shape_.ordered && last_load > first_store;
  if (mixed && loads > kMostLoadsFirst) return;
  shape_.parallel = true;
  shape_.loads_first = mixed;
}

}  // namespace

std::optional<LoopShape> shape_of(Function& unit, Loop& loop, DominatorTree& tree, ScalarEvolution& se,
                                  const TargetTransformInfo& target) {
  return Observer(unit, loop, tree, se, target).look();
}

}  // namespace vmrun::jit::opt
