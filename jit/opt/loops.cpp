// Loops whose accesses to guarded memory cannot fault: a copy of the loop with plain accesses, for the optimiser.
//
// An access that may fault is volatile: it stays where it is, and so does all that is stored around it. That keeps LLVM
// from vectorising and from keeping values in registers. For an innermost loop without calls, whose addresses all move
// by a fixed step, the whole range that each will touch is known before the loop is entered. If all of them lie in the
// memory, and no 32-bit index wraps on its way, no access of the loop can trap: then the order of its loads and stores
// is nobody's business until it ends. So the loop is there twice: the copy behind a check of all ranges has plain
// accesses by 64-bit pointers, the other one stays as it was. Memories never shrink.
//
// What WebAssembly's 32-bit arithmetic hides from LLVM is said here in the pointers: accesses at a constant distance
// from each other have one pointer that is increased by the step, made from an integer, so that alias analysis takes
// each for an object of its own and compares ranges, not elements, at run time.
//
// Behind the copy stands an assembly barrier without instructions: what the loop stored may not be moved or dropped
// past it, because the code behind may trap.
#include "jit/opt/loops.h"

#include <llvm/Analysis/IVDescriptors.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/Analysis/ScalarEvolutionExpressions.h>
#include <llvm/Analysis/TargetTransformInfo.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/MDBuilder.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Scalar/LoopPassManager.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>
#include <llvm/Transforms/Utils/Cloning.h>
#include <llvm/Transforms/Utils/Local.h>
#include <llvm/Transforms/Utils/LoopSimplify.h>
#include <llvm/Transforms/Utils/LoopUtils.h>
#include <llvm/Transforms/Utils/ScalarEvolutionExpander.h>

#include <optional>

#include "jit/abi.h"
#include "vm/instance.h"

namespace vmrun::jit::opt {
namespace {

using namespace llvm;  // NOLINT: this file is about nothing else

/// Instructions of a loop that is worth a copy.
constexpr unsigned kMostInstructions = 400;
/// Pointers that are checked: each costs some six instructions in front of the loop.
constexpr unsigned kMostGroups = 12;
/// Iterations beneath which the check costs what it gains.
constexpr unsigned kFewIterations = 6;
/// Pairs of groups that are compared, where one of the two is stored to.
constexpr unsigned kMostPairs = 16;
/// Loads that may be moved to the begin of an iteration: more would not stay in registers.
constexpr unsigned kMostLoadsFirst = 16;
/// What computing the number of iterations may cost, in instructions.
constexpr unsigned kExpansionBudget = 24;

/// An access at mem + zext(x) + k of `bytes` bytes, where x has 32 bits and may wrap, or 64 and does not.
struct Access {
  Instruction* at = nullptr;
  const SCEV* x = nullptr;  // affine in the loop, or invariant
  const SCEV* start = nullptr;
  const SCEV* step = nullptr;  // i64, signed; zero for invariant ones
  uint64_t k = 0;
  uint64_t bytes = 0;
  bool store = false;
  unsigned place = 0;    // in its block
  int64_t distance = 0;  // from the address of its group's first
  int64_t end() const { return distance + static_cast<int64_t>(bytes); }
};
struct Group {
  SmallVector<Access, 4> members;
  bool stores = false;
  Value* start = nullptr;  // the first's address in the memory when the loop begins
  Value* low = nullptr;    // all that is accessed lies in [low, high)
  Value* high = nullptr;
  Value* pointer = nullptr;  // of the first, at the loop's begin
  MDNode* scope = nullptr;
  SmallVector<Metadata*, 4> apart;  // scopes of groups that it does not touch
  const Access& first() const { return members.front(); }
  /// Bytes from one iteration's address to the next one's; 0 if that is not known.
  int64_t step() const {
    const auto* fixed = dyn_cast<SCEVConstant>(first().step);
    return fixed == nullptr ? 0 : fixed->getAPInt().getSExtValue();
  }
};

/// The one exit of a loop, at its end, where it goes on while a moving value compares with a fixed one. Without what
/// the check says, LLVM cannot count its iterations: the value may step over the end and wrap.
struct Exit {
  BranchInst* branch = nullptr;
  CmpInst::Predicate stay = CmpInst::BAD_ICMP_PREDICATE;
  const SCEV* start = nullptr;
  int64_t step = 0;
  const SCEV* end = nullptr;
};

/// Takes one loop.
class Versioner {
 public:
  Versioner(Function& unit, Loop& loop, LoopInfo& loops, DominatorTree& tree, ScalarEvolution& se,
            const TargetTransformInfo& target)
      : unit_(unit), loop_(loop), loops_(loops), tree_(tree), se_(se), target_(target) {}

  bool run() {
    if (!carries_little() || !find_accesses() || !find_count()) return false;
    find_independence();
    make();
    return true;
  }

 private:
  bool carries_little();
  bool find_accesses();
  bool find_count();
  bool find_exit();
  Value* count(SCEVExpander& expander, Instruction* before, Value*& good);
  std::optional<Access> describe(Instruction& at, Value* pointer, Type* type) const;
  bool small(const Access& access) const;
  bool add(Access access);
  void make();
  Value* check(Instruction* before);
  Value* expand(SCEVExpander& expander, const SCEV* s, Instruction* before) {
    return expander.expandCodeFor(s, s->getType(), before->getIterator());
  }
  void find_independence();
  int64_t distance_wanted(const Group& writes, const Group& reads) const;
  Value* independence(IRBuilder<>& b);
  void use_pointers();
  void use_counter();
  void tell_independence();
  void add_barriers();

  Function& unit_;
  Loop& loop_;
  LoopInfo& loops_;
  DominatorTree& tree_;
  ScalarEvolution& se_;
  const TargetTransformInfo& target_;
  SmallVector<Group, 8> groups_;
  const SCEV* count_ = nullptr;  // of back-edges taken, at most
  Exit exit_;                    // where LLVM finds no count
  Value* counted_ = nullptr;     // how often the back-edge is taken, at run time
  unsigned place_ = 0;
  bool stores_ = false;
  bool stores_elsewhere_ = false;  // into globals
  bool parallel_ = false;          // the check makes sure that no iteration reads or writes what an earlier one wrote
  bool loads_first_ = false;       // and then all loads of an iteration may come before its stores
};

std::optional<Access> Versioner::describe(Instruction& at, Value* pointer, Type* type) const {
  const SCEV* address = se_.getSCEV(pointer);
  Value* base = unit_.getArg(2);
  const auto* root = dyn_cast<SCEVUnknown>(se_.getPointerBase(address));
  if (root == nullptr || root->getValue() != base) return std::nullopt;
  const SCEV* offset = se_.getMinusSCEV(address, se_.getSCEV(base));
  if (isa<SCEVCouldNotCompute>(offset)) return std::nullopt;
  Type* const i64 = Type::getInt64Ty(unit_.getContext());
  Access access;
  access.at = &at;
  access.store = isa<StoreInst>(at);
  access.place = place_;
  access.bytes = type->getPrimitiveSizeInBits().getFixedValue() / 8;
  const SCEV* rest = offset;
  if (const auto* sum = dyn_cast<SCEVAddExpr>(offset); sum != nullptr && sum->getNumOperands() == 2) {
    const auto* c = dyn_cast<SCEVConstant>(sum->getOperand(0));
    if (c != nullptr && c->getAPInt().getActiveBits() <= 32) {
      access.k = c->getAPInt().getZExtValue();
      rest = sum->getOperand(1);
    }
  }
  if (const auto* wide = dyn_cast<SCEVZeroExtendExpr>(rest); wide != nullptr) {
    access.x = wide->getOperand();
  } else {  // the optimiser has seen that the index does not wrap
    access.k = 0;
    access.x = offset;
  }
  access.start = access.x;
  access.step = se_.getZero(i64);
  if (se_.isLoopInvariant(access.x, &loop_)) return small(access) ? std::optional(access) : std::nullopt;
  const auto* moving = dyn_cast<SCEVAddRecExpr>(access.x);
  if (moving == nullptr || moving->getLoop() != &loop_ || !moving->isAffine()) return std::nullopt;
  const SCEV* step = moving->getStepRecurrence(se_);
  const auto* fixed = dyn_cast<SCEVConstant>(step);
  if (fixed != nullptr ? !fixed->getAPInt().isSignedIntN(32) : access.x->getType()->getIntegerBitWidth() > 32) {
    return std::nullopt;
  }
  access.start = moving->getStart();
  access.step = se_.getNoopOrSignExtend(step, i64);
  return small(access) ? std::optional(access) : std::nullopt;
}

/// Whether 64 bits are enough for all sums that are made of the address.
bool Versioner::small(const Access& access) const {
  return se_.getUnsignedRangeMax(access.start).getActiveBits() <= 40;
}

bool Versioner::add(Access access) {
  for (Group& group : groups_) {
    const Access& first = group.first();
    if (first.step != access.step || first.x->getType() != access.x->getType()) continue;
    const auto* apart = dyn_cast<SCEVConstant>(se_.getMinusSCEV(access.x, first.x));
    if (apart == nullptr) continue;
    access.distance = apart->getAPInt().getSExtValue() + static_cast<int64_t>(access.k - first.k);
    group.members.push_back(access);
    group.stores |= access.store;
    return true;
  }
  if (groups_.size() == kMostGroups) return false;
  groups_.emplace_back().members.push_back(access);
  groups_.back().stores = access.store;
  return true;
}

/// Whether what is carried from iteration to iteration moves by steps, is summed up or so, or comes from the one
/// before: a chain of other values is what the loop waits for, and nothing is gained by a copy.
bool Versioner::carries_little() {
  for (PHINode& phi : loop_.getHeader()->phis()) {
    if (se_.isSCEVable(phi.getType()) && isa<SCEVAddRecExpr>(se_.getSCEV(&phi))) continue;
    RecurrenceDescriptor descriptor;
    if (RecurrenceDescriptor::isReductionPHI(&phi, &loop_, descriptor, nullptr, nullptr, &tree_, &se_)) continue;
    if (!RecurrenceDescriptor::isFixedOrderRecurrence(&phi, &loop_, &tree_)) return false;
  }
  return true;
}

bool Versioner::find_accesses() {
  for (BasicBlock* block : loop_.blocks()) {
    for (Instruction& i : *block) {
      if (++place_ > kMostInstructions) return false;
      if (auto* load = dyn_cast<LoadInst>(&i)) {
        if (!load->isVolatile()) continue;
        std::optional<Access> access = describe(i, load->getPointerOperand(), load->getType());
        if (!access || load->isAtomic() || !add(*access)) return false;
      } else if (auto* store = dyn_cast<StoreInst>(&i)) {
        stores_ = true;
        if (!store->isVolatile()) {
          stores_elsewhere_ = true;
          continue;
        }
        std::optional<Access> access = describe(i, store->getPointerOperand(), store->getValueOperand()->getType());
        if (!access || store->isAtomic() || !add(*access)) return false;
      } else if (isa<CallBase>(i) ? !isa<IntrinsicInst>(i) || i.mayHaveSideEffects() : i.mayReadOrWriteMemory()) {
        return false;
      }
    }
  }
  return !groups_.empty();
}

bool Versioner::find_count() {
  SmallVector<const SCEV*, 8> needed;
  Instruction* before = loop_.getLoopPreheader()->getTerminator();
  SCEVExpander expander(se_, "range");
  count_ = se_.getSymbolicMaxBackedgeTakenCount(&loop_);
  if (isa<SCEVCouldNotCompute>(count_)) {
    count_ = nullptr;
    if (!find_exit()) return false;
    needed.append({exit_.start, exit_.end});
  } else {
    const auto* fixed = dyn_cast<SCEVConstant>(count_);
    if (fixed != nullptr && fixed->getAPInt().ult(kFewIterations)) return false;
    if (expander.isHighCostExpansion(count_, &loop_, kExpansionBudget, &target_, before)) return false;
    needed.push_back(count_);
  }
  for (const Group& group : groups_) needed.append({group.first().start, group.first().step});
  for (const SCEV* s : needed) {
    if (!expander.isSafeToExpandAt(s, before)) return false;
  }
  return true;
}

bool Versioner::find_exit() {
  BasicBlock* latch = loop_.getLoopLatch();
  if (loop_.getExitingBlock() != latch) return false;
  auto* branch = dyn_cast<BranchInst>(latch->getTerminator());
  auto* compare = branch == nullptr || !branch->isConditional() ? nullptr : dyn_cast<ICmpInst>(branch->getCondition());
  if (compare == nullptr || !compare->getOperand(0)->getType()->isIntegerTy(32)) return false;
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
  exit_ = {branch, stay, moving->getStart(), step->getAPInt().getSExtValue(), right};
  switch (stay) {
    case CmpInst::ICMP_NE: return true;
    case CmpInst::ICMP_ULT:
    case CmpInst::ICMP_ULE:
    case CmpInst::ICMP_SLT:
    case CmpInst::ICMP_SLE: return exit_.step > 0;
    case CmpInst::ICMP_UGT:
    case CmpInst::ICMP_UGE:
    case CmpInst::ICMP_SGT:
    case CmpInst::ICMP_SGE: return exit_.step < 0;
    default: return false;
  }
}

/// How often the back-edge is taken; `good` loses what makes that wrong.
Value* Versioner::count(SCEVExpander& expander, Instruction* before, Value*& good) {
  IRBuilder<> b(before);
  Type* const i64 = b.getInt64Ty();
  if (count_ != nullptr) {
    Value* count = b.CreateZExtOrTrunc(expand(expander, count_, before), i64);
    if (count_->getType()->getIntegerBitWidth() > 32) {
      good = b.CreateAnd(good, b.CreateICmpULT(count, b.getInt64(uint64_t{1} << 32)));
    }
    return count;
  }
  const bool up = exit_.step > 0;
  Value* const step = b.getInt64(static_cast<uint64_t>(up ? exit_.step : -exit_.step));
  Value* start = expand(expander, exit_.start, before);
  Value* end = expand(expander, exit_.end, before);
  if (exit_.stay == CmpInst::ICMP_NE) {
    // The first meeting is the one without wrapping, if there is one.
    Value* way = b.CreateZExt(up ? b.CreateSub(end, start) : b.CreateSub(start, end), i64);
    good = b.CreateAnd(good, b.CreateICmpEQ(b.CreateURem(way, step), b.getInt64(0)));
    return b.CreateUDiv(way, step);
  }
  const bool is_signed = CmpInst::isSigned(exit_.stay);
  start = is_signed ? b.CreateSExt(start, i64) : b.CreateZExt(start, i64);
  end = is_signed ? b.CreateSExt(end, i64) : b.CreateZExt(end, i64);
  // The first value that ends the loop or lies beyond it.
  if (ICmpInst::isNonStrictPredicate(exit_.stay))
    end = b.CreateAdd(end, b.getInt64(static_cast<uint64_t>(up ? 1 : -1)));
  Value* way = up ? b.CreateSub(end, start) : b.CreateSub(start, end);
  way = b.CreateBinaryIntrinsic(Intrinsic::smax, way, b.getInt64(0));
  Value* steps = b.CreateUDiv(b.CreateAdd(way, b.CreateSub(step, b.getInt64(1))), step);
  Value* last = b.CreateMul(steps, step);
  last = up ? b.CreateAdd(start, last) : b.CreateSub(start, last);
  const int64_t limit = up ? (is_signed ? INT32_MAX : UINT32_MAX) : (is_signed ? INT32_MIN : 0);
  Value* bound = b.getInt64(static_cast<uint64_t>(limit));
  good = b.CreateAnd(good, up ? b.CreateICmpSLE(last, bound) : b.CreateICmpSGE(last, bound));
  return steps;
}

/// Makes each group's first pointer, and the condition under which no access of the loop can trap or wrap.
Value* Versioner::check(Instruction* before) {
  IRBuilder<> b(before);
  Type* const i64 = b.getInt64Ty();
  Type* const ptr = b.getPtrTy();
  SCEVExpander expander(se_, "range");
  Value* good = b.getTrue();
  Value* count = counted_ = this->count(expander, before, good);
  auto require = [&](Value* condition) { good = b.CreateAnd(good, condition); };
  auto field = [&](Value* from, uint64_t at) { return b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), from, at); };
  Value* memories = b.CreateLoad(ptr, field(unit_.getArg(1), offsetof(vm::Instance, memories)));
  Value* memory = b.CreateLoad(ptr, memories);
  Value* size = b.CreateLoad(i64, field(memory, offsetof(vm::MemoryInst, bytes)));
  Value* base = b.CreatePtrToInt(unit_.getArg(2), i64);
  for (Group& group : groups_) {
    const Access& first = group.first();
    int64_t below = INT64_MAX, nearest = INT64_MAX, above = INT64_MIN;
    for (const Access& a : group.members) {
      below = std::min(below, a.distance - static_cast<int64_t>(a.k));
      nearest = std::min(nearest, a.distance);
      above = std::max(above, a.end());
    }
    auto plus = [&](Value* v, int64_t n) { return b.CreateAdd(v, b.getInt64(static_cast<uint64_t>(n))); };
    group.start = plus(b.CreateZExtOrTrunc(expand(expander, first.start, before), i64), static_cast<int64_t>(first.k));
    // Counts are below 2^32 and steps of 32 bits, so this is exact.
    Value* low = group.start;
    Value* high = group.start;
    if (!first.step->isZero()) {
      Value* way = b.CreateMul(count, expand(expander, first.step, before));
      auto farthest = [&](Intrinsic::ID id) {
        return b.CreateAdd(group.start, b.CreateBinaryIntrinsic(id, way, b.getInt64(0)));
      };
      if (!se_.isKnownNonNegative(first.step)) low = farthest(Intrinsic::smin);
      if (!se_.isKnownNonPositive(first.step)) high = farthest(Intrinsic::smax);
    }
    group.low = plus(low, nearest);
    group.high = plus(high, above);
    require(b.CreateICmpSGE(plus(low, below), b.getInt64(0)));
    require(b.CreateICmpSLE(group.high, size));
    group.pointer = b.CreateIntToPtr(b.CreateAdd(base, group.start), ptr);
  }
  require(independence(b));
  return good;
}

/// Accesses by pointers that are increased, and without volatile.
void Versioner::use_pointers() {
  BasicBlock* header = loop_.getHeader();
  SCEVExpander expander(se_, "range");
  for (Group& group : groups_) {
    Value* pointer = group.pointer;
    const SCEV* step = group.first().step;
    if (!step->isZero()) {
      Value* by = expand(expander, step, loop_.getLoopPreheader()->getTerminator());
      IRBuilder<> top(header, header->begin());
      PHINode* phi = top.CreatePHI(pointer->getType(), 2);
      IRBuilder<> end(loop_.getLoopLatch()->getTerminator());
      phi->addIncoming(pointer, loop_.getLoopPreheader());
      phi->addIncoming(end.CreateGEP(end.getInt8Ty(), phi, by, "", GEPNoWrapFlags::inBounds()), loop_.getLoopLatch());
      pointer = phi;
    }
    for (Access& a : group.members) {
      if (loads_first_ && !a.store) a.at->moveBefore(header->getFirstInsertionPt());
      IRBuilder<> b(a.at);
      Value* to = a.distance == 0
                      ? pointer
                      : b.CreateInBoundsGEP(b.getInt8Ty(), pointer, b.getInt64(static_cast<uint64_t>(a.distance)));
      Value* old = getLoadStorePointerOperand(a.at);
      if (auto* load = dyn_cast<LoadInst>(a.at)) {
        load->setVolatile(false);
        load->setOperand(LoadInst::getPointerOperandIndex(), to);
      } else {
        auto* store = cast<StoreInst>(a.at);
        store->setVolatile(false);
        store->setOperand(StoreInst::getPointerOperandIndex(), to);
      }
      RecursivelyDeleteTriviallyDeadInstructions(old);
    }
  }
}

/// A counter that LLVM understands decides when the loop ends.
void Versioner::use_counter() {
  if (exit_.branch == nullptr) return;
  BasicBlock* header = loop_.getHeader();
  IRBuilder<> top(header, header->begin());
  PHINode* done = top.CreatePHI(top.getInt64Ty(), 2);
  IRBuilder<> end(exit_.branch);
  done->addIncoming(end.getInt64(0), loop_.getLoopPreheader());
  done->addIncoming(end.CreateNUWAdd(done, end.getInt64(1)), loop_.getLoopLatch());
  Value* old = exit_.branch->getCondition();
  const bool first_stays = exit_.branch->getSuccessor(0) == header;
  exit_.branch->setCondition(first_stays ? end.CreateICmpNE(done, counted_) : end.CreateICmpEQ(done, counted_));
  RecursivelyDeleteTriviallyDeadInstructions(old);
}

/// Whether iterations may be made independent by a check of where the groups lie.
void Versioner::find_independence() {
  if (!stores_ || stores_elsewhere_) return;
  const bool one_block = loop_.getNumBlocks() == 1;
  unsigned pairs = 0;
  for (const Group& group : groups_) {
    if (!group.stores) continue;
    pairs += groups_.size() - 1;
    // Among themselves: what is stored lies apart, within a step, and is not read by later iterations.
    const int64_t step = std::abs(group.step());
    int64_t from = INT64_MAX, to = INT64_MIN;
    for (const Access& w : group.members) {
      if (!w.store) continue;
      from = std::min(from, w.distance);
      to = std::max(to, w.end());
      for (const Access& other : group.members) {
        if (other.store ? &other != &w && other.distance < w.end() && w.distance < other.end() : !one_block) return;
      }
    }
    if (to - from > step || distance_wanted(group, group) > 0) return;
  }
  if (pairs > kMostPairs) return;
  parallel_ = true;
  if (!one_block) return;
  unsigned loads = 0, first_store = UINT32_MAX, last_load = 0;
  for (const Group& group : groups_) {
    for (const Access& a : group.members) {
      loads += !a.store;
      if (a.store) first_store = std::min(first_store, a.place);
      if (!a.store) last_load = std::max(last_load, a.place);
    }
  }
  loads_first_ = last_load > first_store;
  if (loads_first_ && loads > kMostLoadsFirst) parallel_ = loads_first_ = false;
}

/// How far, in the direction in which both move, what `reads` begins with must lie from what `writes` begins with, for
/// no load to see what was stored before it.
int64_t Versioner::distance_wanted(const Group& writes, const Group& reads) const {
  const int64_t step = writes.step();
  int64_t wanted = INT64_MIN;
  for (const Access& w : writes.members) {
    for (const Access& r : reads.members) {
      if (!w.store || r.store) continue;
      // The next load after the store: in the same iteration or the next one.
      const int64_t later = w.place < r.place ? 0 : std::abs(step);
      wanted = std::max(wanted, (step > 0 ? w.end() - r.distance : r.end() - w.distance) - later);
    }
  }
  return wanted;
}

Value* Versioner::independence(IRBuilder<>& b) {
  Value* good = b.getTrue();
  if (!parallel_) return good;
  LLVMContext& context = unit_.getContext();
  MDBuilder metadata(context);
  MDNode* domain = metadata.createAnonymousAliasScopeDomain();
  for (Group& group : groups_) group.scope = metadata.createAnonymousAliasScope(domain);
  for (size_t i = 0; i < groups_.size(); ++i) {
    for (size_t j = 0; j < groups_.size(); ++j) {
      Group& writes = groups_[i];
      Group& other = groups_[j];
      if (i == j || !writes.stores || (other.stores && j < i)) continue;
      Value* apart = b.CreateOr(b.CreateICmpSLE(writes.high, other.low), b.CreateICmpSLE(other.high, writes.low));
      const bool follows =
          loop_.getNumBlocks() == 1 && !other.stores && writes.step() != 0 && writes.step() == other.step();
      if (follows) {
        Value* ahead =
            writes.step() > 0 ? b.CreateSub(other.start, writes.start) : b.CreateSub(writes.start, other.start);
        Value* wanted = b.getInt64(static_cast<uint64_t>(distance_wanted(writes, other)));
        apart = b.CreateOr(apart, b.CreateICmpSGE(ahead, wanted));
      } else {
        writes.apart.push_back(other.scope);
        other.apart.push_back(writes.scope);
      }
      good = b.CreateAnd(good, apart);
    }
  }
  return good;
}

void Versioner::tell_independence() {
  if (!parallel_) return;
  LLVMContext& context = unit_.getContext();
  for (const Group& group : groups_) {
    for (const Access& a : group.members) {
      a.at->setMetadata(LLVMContext::MD_alias_scope, MDNode::get(context, {group.scope}));
      if (!group.apart.empty()) a.at->setMetadata(LLVMContext::MD_noalias, MDNode::get(context, group.apart));
    }
  }
  MDNode* accesses = MDNode::getDistinct(context, {});
  for (BasicBlock* block : loop_.blocks()) {
    for (Instruction& i : *block) {
      if (i.mayReadOrWriteMemory()) i.setMetadata(LLVMContext::MD_access_group, accesses);
    }
  }
  MDNode* parallel = MDNode::get(context, {MDString::get(context, "llvm.loop.parallel_accesses"), accesses});
  MDNode* id = MDNode::getDistinct(context, {nullptr, parallel});
  id->replaceOperandWith(0, id);
  loop_.setLoopID(id);
}

void Versioner::add_barriers() {
  if (!stores_) return;
  LLVMContext& context = unit_.getContext();
  InlineAsm* barrier = InlineAsm::get(FunctionType::get(Type::getVoidTy(context), false), "", "~{memory}", true);
  SmallVector<BasicBlock*, 4> exits;
  loop_.getUniqueExitBlocks(exits);
  for (BasicBlock* exit : exits) {
    IRBuilder<> b(exit, exit->getFirstInsertionPt());
    b.CreateCall(barrier)->setDoesNotThrow();
  }
}

void Versioner::make() {
  BasicBlock* front = loop_.getLoopPreheader();
  Value* good = check(front->getTerminator());
  BasicBlock* fast = SplitBlock(front, front->getTerminator()->getIterator(), &tree_, &loops_);
  ValueToValueMapTy map;
  SmallVector<BasicBlock*, 8> blocks;
  SmallVector<BasicBlock*, 4> exits;
  loop_.getUniqueExitBlocks(exits);
  Loop* slow = cloneLoopWithPreheader(fast, front, &loop_, map, "", &loops_, &tree_, blocks);
  remapInstructionsInBlocks(blocks, map);
  Instruction* jump = front->getTerminator();
  IRBuilder<> b(jump);
  b.CreateCondBr(good, fast, slow->getLoopPreheader(), MDBuilder(unit_.getContext()).createLikelyBranchWeights());
  jump->eraseFromParent();
  for (BasicBlock* exit : exits) {
    for (PHINode& phi : exit->phis()) {
      se_.forgetValue(&phi);
      for (unsigned i = 0, n = phi.getNumIncomingValues(); i < n; ++i) {
        Value* mapped = map.lookup(phi.getIncomingValue(i));
        phi.addIncoming(mapped != nullptr ? mapped : phi.getIncomingValue(i),
                        cast<BasicBlock>(map.lookup(phi.getIncomingBlock(i))));
      }
    }
    tree_.changeImmediateDominator(exit, tree_.findNearestCommonDominator(tree_[exit]->getIDom()->getBlock(), front));
  }
  // What the copy that stays exact gains by unrolling is not worth its time.
  LLVMContext& context = unit_.getContext();
  MDNode* stay = MDNode::get(context, MDString::get(context, "llvm.loop.unroll.disable"));
  MDNode* scalar = MDNode::get(context, {MDString::get(context, "llvm.loop.vectorize.enable"),
                                         ConstantAsMetadata::get(ConstantInt::getFalse(context))});
  MDNode* id = MDNode::getDistinct(context, {nullptr, stay, scalar});
  id->replaceOperandWith(0, id);
  slow->setLoopID(id);
  formDedicatedExitBlocks(&loop_, &tree_, &loops_, nullptr, true);
  formDedicatedExitBlocks(slow, &tree_, &loops_, nullptr, true);
  use_pointers();
  use_counter();
  tell_independence();
  add_barriers();
  DeleteDeadPHIs(loop_.getHeader());
  se_.forgetLoop(&loop_);
  se_.forgetBlockAndLoopDispositions();
}

}  // namespace

llvm::PreservedAnalyses VersionLoops::run(llvm::Function& unit, llvm::FunctionAnalysisManager& analyses) {
  auto& loops = analyses.getResult<LoopAnalysis>(unit);
  if (loops.empty()) return PreservedAnalyses::all();
  auto& tree = analyses.getResult<DominatorTreeAnalysis>(unit);
  auto& se = analyses.getResult<ScalarEvolutionAnalysis>(unit);
  auto& target = analyses.getResult<TargetIRAnalysis>(unit);
  SmallVector<Loop*, 16> innermost;
  for (Loop* loop : loops.getLoopsInPreorder()) {
    if (loop->isInnermost() && loop->isLoopSimplifyForm()) innermost.push_back(loop);
  }
  bool changed = false;
  for (Loop* loop : innermost) {
    formLCSSA(*loop, tree, &loops, &se);
    changed |= Versioner(unit, *loop, loops, tree, se, target).run();
  }
  if (!changed) return PreservedAnalyses::all();
  analyses.invalidate(unit, PreservedAnalyses::none());
  FunctionPassManager tidy;
  tidy.addPass(EarlyCSEPass(/*UseMemorySSA=*/true));
  tidy.addPass(createFunctionToLoopPassAdaptor(LICMPass(LICMOptions()), /*UseMemorySSA=*/true));
  tidy.run(unit, analyses);
  return PreservedAnalyses::none();
}

}  // namespace vmrun::jit::opt
