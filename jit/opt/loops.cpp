// Loops whose accesses to guarded memory cannot fault: a copy of the loop with plain accesses, for the optimiser.
//
// An access that may fault is volatile: it stays where it is, and so does all that is stored around it. That keeps LLVM
// from vectorising and from keeping values in registers. For an innermost loop without calls, whose addresses all move
// by a fixed step, the whole range that each will touch is known before the loop is entered. If all of them lie in the
// memory, and no index wraps on its way, no access of the loop can trap: then the order of its loads and stores is
// nobody's business until it ends. So the loop is there twice: the copy behind a check of all ranges has plain accesses
// by 64-bit pointers, the other one stays as it was. Memories never shrink. What the check computes is loop_range.h.
//
// What WebAssembly's 32-bit arithmetic hides from LLVM is said here in the pointers: accesses at a constant distance
// from each other have one pointer that is increased by the step, made from an integer, so that alias analysis takes
// each for an object of its own and compares ranges, not elements, at run time.
//
// What the check reads is frozen: the pointers are made of the very numbers that were checked, whatever LLVM thinks of
// where they come from.
//
// In front of the copy and behind it stands an assembly barrier without instructions: what the loop stores may not be
// moved or dropped past it, because the code there may trap. Builds with assertions look there whether the pointers have stayed in the
// range that was checked.
#include "jit/opt/loops.h"

#include <llvm/Analysis/DomTreeUpdater.h>
#include <llvm/Analysis/ScalarEvolutionExpressions.h>
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

#include "jit/compiler.h"
#include "jit/opt/loop_shape.h"
#include "jit/opt/pay_ahead.h"
#include "jit/opt/places.h"
#include "jit/opt/quiet_nans.h"
#include "jit/opt/rules.h"
#include "vm/runtime/instance.h"
#include "vm/runtime/layout.h"

namespace vmrun::jit::opt {
namespace {

using namespace llvm;  // NOLINT: this file is about nothing else

/// loop_range.h's arithmetic as code in front of the loop.
struct Emitted {
  using Number = Value*;
  using Truth = Value*;
  static constexpr unsigned index_bits = range::kIndexBits;
  IRBuilder<>& b;
  Value* number(int64_t v) { return b.getInt64(static_cast<uint64_t>(v)); }
  Value* add(Value* x, Value* y) { return b.CreateAdd(x, y); }
  Value* sub(Value* x, Value* y) { return b.CreateSub(x, y); }
  Value* mul(Value* x, Value* y) { return b.CreateMul(x, y); }
  Value* quotient(Value* x, Value* y) { return b.CreateUDiv(x, y); }
  Value* remainder(Value* x, Value* y) { return b.CreateURem(x, y); }
  Value* low_bits(Value* x) { return b.CreateAnd(x, b.getInt64(UINT32_MAX)); }
  Value* less_of(Value* x, Value* y) { return b.CreateBinaryIntrinsic(Intrinsic::smin, x, y); }
  Value* greater_of(Value* x, Value* y) { return b.CreateBinaryIntrinsic(Intrinsic::smax, x, y); }
  Value* at_most(Value* x, Value* y) { return b.CreateICmpSLE(x, y); }
  Value* both(Value* x, Value* y) { return b.CreateAnd(x, y); }
  Value* either(Value* x, Value* y) { return b.CreateOr(x, y); }
};

/// What is made of a group in front of the loop.
struct Pointed {
  Value* start = nullptr;  // the first access's address in the memory when the loop begins
  std::optional<range::Reach<Emitted>> reach;
  Value* pointer = nullptr;  // of the first access: at the loop's begin, and later the one that moves
  MDNode* scope = nullptr;
  SmallVector<Metadata*, 4> apart;  // scopes of groups that it does not touch
};

/// Takes one loop.
class Versioner {
 public:
  Versioner(Function& unit, Loop& loop, LoopShape shape, LoopInfo& loops, DominatorTree& tree, ScalarEvolution& se)
      : unit_(unit), loop_(loop), loops_(loops), tree_(tree), se_(se), shape_(std::move(shape)) {
    pointed_.resize(shape_.groups.size());
  }

  void make();

 private:
  Value* check(Instruction* before);
  Value* count(SCEVExpander& expander, IRBuilder<>& b, Value*& good);
  /// The value in front of the loop.
  Value* number(SCEVExpander& expander, const SCEV* s, IRBuilder<>& b) {
    Value* v = expander.expandCodeFor(s, s->getType(), b.GetInsertPoint());
    return isa<Constant>(v) ? v : b.CreateFreeze(v);
  }
  Value* independence(IRBuilder<>& b);
  void use_pointers();
  void use_counter();
  void tell_independence();
  void add_barriers();
  void pay_at_once();
  void assert_reach(BasicBlock* exit);

  Function& unit_;
  Loop& loop_;
  LoopInfo& loops_;
  DominatorTree& tree_;
  ScalarEvolution& se_;
  LoopShape shape_;
  SmallVector<Pointed, 8> pointed_;                // by group
  SmallVector<Value*, 8> steps_;                   // by group
  Value* counted_ = nullptr;                       // how often the back-edge is taken, at most
  Value *fuel_ = nullptr, *least_fuel_ = nullptr;  // what is left in front of the loop, and behind it at the least
  Value *rest_ = nullptr, *last_ = nullptr;        // what is left behind it, and as its last iteration begins, if known
};

/// How often the back-edge is taken; `good` loses what makes that wrong.
Value* Versioner::count(SCEVExpander& expander, IRBuilder<>& b, Value*& good) {
  Emitted a{b};
  Type* const i64 = b.getInt64Ty();
  Value* counted;
  if (shape_.count != nullptr) {
    counted = b.CreateZExt(number(expander, shape_.count, b), i64);
  } else {
    const Exit& exit = shape_.exit;
    Value* start = number(expander, exit.start, b);
    Value* end = number(expander, exit.end, b);
    const bool is_signed = CmpInst::isSigned(exit.stay);
    start = is_signed ? b.CreateSExt(start, i64) : b.CreateZExt(start, i64);
    end = is_signed ? b.CreateSExt(end, i64) : b.CreateZExt(end, i64);
    const bool up = exit.step > 0, inclusive = ICmpInst::isNonStrictPredicate(exit.stay);
    Value* size = a.number(up ? exit.step : -exit.step);
    // Rule::meets, Rule::crosses
    const auto found = exit.stay == CmpInst::ICMP_NE ? range::meets(a, start, end, size, up)
                                                     : range::crosses(a, start, end, size, up, is_signed, inclusive);
    good = a.both(good, found.good);
    counted = found.value;
  }
  good = a.both(good, range::few_enough(a, counted));
  return counted;
}

/// Makes each group's first pointer, and the condition under which no access of the loop can trap or wrap.
Value* Versioner::check(Instruction* before) {
  IRBuilder<> b(before);
  Emitted a{b};
  Type* const i64 = b.getInt64Ty();
  Type* const ptr = b.getPtrTy();
  SCEVExpander expander(se_, "range");
  Value* good = b.getTrue();
  counted_ = count(expander, b, good);
  auto field = [&](Value* from, uint64_t at) { return b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), from, at); };
  // The first two never change, so they may be loaded in front of the loops around this one.
  MDNode* fixed = MDNode::get(unit_.getContext(), {});
  LoadInst* memories = b.CreateLoad(ptr, field(unit_.getArg(1), vm::layout::instance::memories));
  LoadInst* memory = b.CreateLoad(ptr, memories);
  for (LoadInst* load : {memories, memory}) load->setMetadata(LLVMContext::MD_invariant_load, fixed);
  Value* size = b.CreateLoad(i64, field(memory, vm::layout::memory::bytes));
  Value* base = b.CreatePtrToInt(unit_.getArg(2), i64);
  for (auto [group, pointed] : zip(shape_.groups, pointed_)) {
    const Access& first = group.first();
    Value* start = b.CreateZExt(number(expander, first.start, b), i64);
    Value* step = steps_.emplace_back(number(expander, first.step, b));
    // Rule::moves_within: the product is exact.
    Value* way = first.step->isZero() ? b.getInt64(0) : b.CreateNSWMul(counted_, step);
    pointed.reach = range::stays_inside(a, start, way, group.extent(), first.bits, size);  // Rule::stays_inside
    good = a.both(good, pointed.reach->good);
    pointed.start = a.add(start, a.number(first.member.offset));
    pointed.pointer = b.CreateIntToPtr(b.CreateAdd(base, pointed.start), ptr);
  }
  if (shape_.parallel) good = a.both(good, independence(b));
  if (PHINode* left = shape_.fuel.left) {
    // No iteration pays more, and there are no more of them.
    fuel_ = b.CreateFreeze(left->getIncomingValueForBlock(loop_.getLoopPreheader()));
    Value* all = a.mul(a.add(counted_, a.number(1)), a.number(static_cast<int64_t>(shape_.fuel.most)));
    good = a.both(good, b.CreateICmpUGE(fuel_, all));
    least_fuel_ = a.sub(fuel_, all);
    // Where each iteration costs the same, and it is known how many there are, nobody has to count.
    const auto* moving = dyn_cast<SCEVAddRecExpr>(se_.getSCEV(left));
    const bool exact = shape_.count == nullptr || shape_.count == se_.getExitCount(&loop_, loop_.getLoopLatch());
    if (moving != nullptr && moving->getLoop() == &loop_ && moving->isAffine() && exact) {
      if (const auto* step = dyn_cast<SCEVConstant>(moving->getStepRecurrence(se_))) {
        last_ = a.add(fuel_, a.mul(counted_, step->getValue()));
        rest_ = a.add(last_, step->getValue());
      }
    }
  }
  return good;
}

/// Accesses by pointers that are increased, and without volatile.
void Versioner::use_pointers() {
  BasicBlock* header = loop_.getHeader();
  const auto flags = GEPNoWrapFlags::noUnsignedSignedWrap();  // Rule::pointer_moves
  for (auto [group, pointed, step] : zip(shape_.groups, pointed_, steps_)) {
    if (!group.first().step->isZero()) {
      IRBuilder<> top(header, header->begin());
      PHINode* phi = top.CreatePHI(pointed.pointer->getType(), 2);
      IRBuilder<> end(loop_.getLoopLatch()->getTerminator());
      phi->addIncoming(pointed.pointer, loop_.getLoopPreheader());
      phi->addIncoming(end.CreateGEP(end.getInt8Ty(), phi, step, "", flags), loop_.getLoopLatch());
      pointed.pointer = phi;
    }
    for (Access& a : group.members) {
      if (shape_.loads_first && !a.touch.store) a.at->moveBefore(header->getFirstInsertionPt());
      IRBuilder<> b(a.at);
      const int64_t distance = a.touch.distance;
      Value* to = distance == 0 ? pointed.pointer
                                : b.CreateGEP(b.getInt8Ty(), pointed.pointer,
                                              b.getInt64(static_cast<uint64_t>(distance)), "", flags);
      Value* old = getLoadStorePointerOperand(a.at);
      if (auto* load = dyn_cast<LoadInst>(a.at)) {
        load->setOperand(LoadInst::getPointerOperandIndex(), to);
      } else {
        auto* store = cast<StoreInst>(a.at);
        store->setOperand(StoreInst::getPointerOperandIndex(), to);
      }
      make_plain(*a.at);
      RecursivelyDeleteTriviallyDeadInstructions(old);
    }
  }
  for (StoreInst* store : shape_.elsewhere) make_plain(*store);
}

/// A counter that LLVM understands decides when the loop ends.
void Versioner::use_counter() {
  BranchInst* const branch = shape_.exit.branch;
  if (branch == nullptr) return;
  BasicBlock* header = loop_.getHeader();
  IRBuilder<> top(header, header->begin());
  PHINode* done = top.CreatePHI(top.getInt64Ty(), 2);
  IRBuilder<> end(branch);
  done->addIncoming(end.getInt64(0), loop_.getLoopPreheader());
  done->addIncoming(end.CreateNUWAdd(done, end.getInt64(1)), loop_.getLoopLatch());
  Value* old = branch->getCondition();
  const bool first_stays = branch->getSuccessor(0) == header;
  branch->setCondition(first_stays ? end.CreateICmpNE(done, counted_) : end.CreateICmpEQ(done, counted_));
  RecursivelyDeleteTriviallyDeadInstructions(old);
}

Value* Versioner::independence(IRBuilder<>& b) {
  Emitted a{b};
  Value* good = b.getTrue();
  LLVMContext& context = unit_.getContext();
  MDBuilder metadata(context);
  MDNode* domain = metadata.createAnonymousAliasScopeDomain();
  for (Pointed& pointed : pointed_) pointed.scope = metadata.createAnonymousAliasScope(domain);
  for (size_t i = 0; i < pointed_.size(); ++i) {
    for (size_t j = 0; j < pointed_.size(); ++j) {
      const Group &writes = shape_.groups[i], &other = shape_.groups[j];
      Pointed &w = pointed_[i], &o = pointed_[j];
      if (i == j || !writes.stores || (other.stores && j < i)) continue;
      Value* fine = range::lies_apart(a, *w.reach, *o.reach);                            // Rule::lies_apart
      if (range::may_lead(shape_.ordered, other.stores, writes.step(), other.step())) {  // Rule::leads
        const int64_t wanted = range::lead_wanted(writes.touches(), other.touches(), writes.step());
        fine = a.either(fine, range::leads(a, w.start, o.start, writes.step(), wanted));
      } else {
        w.apart.push_back(o.scope);
        o.apart.push_back(w.scope);
      }
      good = a.both(good, fine);
    }
  }
  return good;
}

void Versioner::tell_independence() {
  if (!shape_.parallel) return;
  LLVMContext& context = unit_.getContext();
  for (const auto& [group, pointed] : zip(shape_.groups, pointed_)) {
    for (const Access& a : group.members) {
      a.at->setMetadata(LLVMContext::MD_alias_scope, MDNode::get(context, {pointed.scope}));
      if (!pointed.apart.empty()) a.at->setMetadata(LLVMContext::MD_noalias, MDNode::get(context, pointed.apart));
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

/// Behind the loop: dies by an undefined instruction where a pointer has left the range that was checked.
void Versioner::assert_reach(BasicBlock* exit) {
  SmallVector<BasicBlock*, 4> from(predecessors(exit));
  for (auto [group, pointed] : zip(shape_.groups, pointed_)) {
    if (!isa<PHINode>(pointed.pointer)) continue;
    IRBuilder<> b(exit, exit->begin());
    PHINode* last = b.CreatePHI(pointed.pointer->getType(), static_cast<unsigned>(from.size()));
    for (BasicBlock* block : from) last->addIncoming(pointed.pointer, block);
    b.SetInsertPoint(exit, exit->getFirstInsertionPt());
    // Without the assembly LLVM would compute what it has concluded itself.
    InlineAsm* opaque =
        InlineAsm::get(FunctionType::get(b.getInt64Ty(), {b.getPtrTy()}, false), "", "=r,0", /*hasSideEffects=*/true);
    Value* at = b.CreateSub(b.CreateCall(opaque, {last}), b.CreatePtrToInt(unit_.getArg(2), b.getInt64Ty()));
    const range::Extent extent = group.extent();
    const int64_t offset = group.first().member.offset;
    Value* low = b.CreateAdd(at, b.getInt64(static_cast<uint64_t>(extent.lowest - offset)));
    Value* high = b.CreateAdd(at, b.getInt64(static_cast<uint64_t>(extent.highest - offset)));
    Value* outside = b.CreateOr(b.CreateICmpSLT(low, pointed.reach->low), b.CreateICmpSGT(high, pointed.reach->high));
    DomTreeUpdater dominators(tree_, DomTreeUpdater::UpdateStrategy::Eager);
    b.SetInsertPoint(
        SplitBlockAndInsertIfThen(outside, b.GetInsertPoint(), /*Unreachable=*/true, nullptr, &dominators, &loops_));
    b.CreateIntrinsic(b.getVoidTy(), Intrinsic::trap, {});
  }
}

void Versioner::add_barriers() {
  SmallVector<BasicBlock*, 4> exits;
  loop_.getUniqueExitBlocks(exits);
  if constexpr (kCheckInvariants) {
    for (BasicBlock* exit : exits) assert_reach(exit);
  }
  if (!shape_.stores) return;
  LLVMContext& context = unit_.getContext();
  InlineAsm* barrier = InlineAsm::get(FunctionType::get(Type::getVoidTy(context), false), "", "~{memory}", true);
  exits.push_back(loop_.getLoopPreheader());
  for (BasicBlock* block : exits) {
    IRBuilder<> b(block, block->getFirstInsertionPt());
    b.CreateCall(barrier)->setDoesNotThrow();
  }
}

/// Who stops the guest in the copy finds all of it paid for; behind it, what was used up is known.
void Versioner::pay_at_once() {
  BasicBlock* before = loop_.getLoopPreheader();
  PHINode* left = shape_.fuel.left;
  left->setIncomingValueForBlock(before, fuel_);
  IRBuilder<> b(before->getTerminator());
  auto store = [&](Value* units) {
    Value* to = b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), unit_.getArg(0), vm::layout::vcpu::fuel);
    mark_ordered(*b.CreateStore(units, to));
  };
  store(least_fuel_);
  BasicBlock* exit = loop_.getUniqueExitBlock();
  b.SetInsertPoint(exit, exit->begin());
  Value* behind = left->getIncomingValueForBlock(loop_.getLoopLatch());
  if (rest_ != nullptr) {
    for (PHINode& phi : exit->phis()) {
      Value* value = phi.getIncomingValueForBlock(loop_.getLoopLatch());
      if (value == left) phi.setIncomingValueForBlock(loop_.getLoopLatch(), last_);
      if (value == behind) phi.setIncomingValueForBlock(loop_.getLoopLatch(), rest_);
    }
    behind = rest_;
  }
  PHINode* rest = b.CreatePHI(left->getType(), 1);
  rest->addIncoming(behind, loop_.getLoopLatch());
  b.SetInsertPoint(exit, exit->getFirstInsertionPt());
  store(rest);
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
  const bool metered = shape_.fuel.left != nullptr;
  if (metered) drop_charges(shape_.fuel, loop_, tree_, loops_);
  formDedicatedExitBlocks(&loop_, &tree_, &loops_, nullptr, true);
  formDedicatedExitBlocks(slow, &tree_, &loops_, nullptr, true);
  if (metered) pay_at_once();
  use_pointers();
  use_counter();
  tell_independence();
  add_barriers();
  DeleteDeadPHIs(loop_.getHeader());
  se_.forgetLoop(&loop_);
  se_.forgetBlockAndLoopDispositions();
}

/// Whether plain loads of the loop may give constants, which plain stores have put there: new operands to fold.
bool may_load_constants(const LoopShape& shape) {
  bool loads = false, constants = false;
  for (const Group& group : shape.groups) {
    for (const Access& a : group.members) {
      const auto* store = dyn_cast<StoreInst>(a.at);
      loads |= store == nullptr;
      constants |= store != nullptr && may_become_constant(*store->getValueOperand());
    }
  }
  return loads && constants;
}

/// Whether what such a loop has loaded may be used behind it.
bool gives_away(const Loop& loop, ScalarEvolution& se) {
  SmallVector<BasicBlock*, 4> exits;
  loop.getUniqueExitBlocks(exits);
  for (BasicBlock* exit : exits) {
    for (PHINode& phi : exit->phis()) {
      for (Value* v : phi.incoming_values()) {
        if (!se.isSCEVable(v->getType()) || (!loop.isLoopInvariant(v) && !isa<SCEVAddRecExpr>(se.getSCEV(v))))
          return true;
      }
    }
  }
  return false;
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
    if (loop->isInnermost() && loop->isLoopSimplifyForm() && !stays_exact(*loop)) innermost.push_back(loop);
  }
  bool changed = false, folds_behind = false;
  SmallPtrSet<const BasicBlock*, 16> folding;
  for (Loop* loop : innermost) {
    formLCSSA(*loop, tree, &loops, &se);
    std::optional<LoopShape> shape = shape_of(unit, *loop, tree, se, target);
    if (!shape) continue;
    if (may_load_constants(*shape)) {
      folding.insert_range(loop->blocks());
      folds_behind |= gives_away(*loop, se);
    }
    Versioner(unit, *loop, std::move(*shape), loops, tree, se).make();
    changed = true;
  }
  if (!changed) return PreservedAnalyses::all();
  if (!folding.empty()) quiet_operands(unit, folds_behind ? nullptr : &folding);
  analyses.invalidate(unit, PreservedAnalyses::none());
  FunctionPassManager tidy;
  tidy.addPass(EarlyCSEPass(/*UseMemorySSA=*/true));
  tidy.addPass(createFunctionToLoopPassAdaptor(LICMPass(LICMOptions()), /*UseMemorySSA=*/true));
  tidy.run(unit, analyses);
  return PreservedAnalyses::none();
}

}  // namespace vmrun::jit::opt
