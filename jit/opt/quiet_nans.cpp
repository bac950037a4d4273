// Signalling NaNs.
//
// An arithmetic instruction of WebAssembly never gives a signalling NaN. One of LLVM may: x * 1 is x for it, and so is a
// number that is demoted after it was promoted, whenever it finds out that the factor is 1. What it may give is a NaN
// that it makes itself, which is quiet, or that of an operand. So before it looks at a unit, each operand that might be
// a signalling NaN is passed through `canonicalize`, which makes it quiet; then, whatever is folded, and however late,
// there is no signalling NaN to be found.
//
// Which values cannot be signalling is found over all of a unit at once: results of arithmetic, quiet constants, and
// what only carries such values on. They are looked at as lanes of 32 and of 64 bits, because a v128 is bytes between
// instructions.
//
// Most of that goes again: the processor's own instructions make their operands quiet. In front of vectorisation, whose
// estimates it would spoil, it goes where nothing can be folded any more, because the other operand holds something that
// never turns out to be a constant; before code generation it goes wherever code generation itself will not fold. What
// stays is where an operand is used in another way too: a folded result is such a use.
#include "jit/opt/quiet_nans.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/PostOrderIterator.h>
#include <llvm/ADT/SmallPtrSet.h>
#include <llvm/Analysis/InstructionSimplify.h>
#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>

#include <optional>

namespace vmrun::jit::opt {
namespace {

using namespace llvm;  // NOLINT: this file is about nothing else

/// Sets of widths: as lanes of which a value holds no signalling NaN.
using Lanes = uint8_t;
constexpr Lanes kNone = 0, kFloat = 1, kDouble = 2, kBoth = kFloat | kDouble;

/// The lanes of a type, if they are floats.
Lanes lanes_of(const Type* type) {
  const Type* lane = type->getScalarType();
  return lane->isFloatTy() ? kFloat : lane->isDoubleTy() ? kDouble : kNone;
}

bool is(const Value* v, Intrinsic::ID id) {
  const auto* call = dyn_cast<IntrinsicInst>(v);
  return call != nullptr && call->getIntrinsicID() == id;
}
bool is_canonicalize(const Value* v) { return is(v, Intrinsic::canonicalize); }

/// Whether a result is a quiet NaN or none, of quiet operands at least.
bool is_arithmetic(const Instruction& i) {
  switch (i.getOpcode()) {
    case Instruction::FAdd:
    case Instruction::FSub:
    case Instruction::FMul:
    case Instruction::FDiv:
    case Instruction::FRem:
    case Instruction::FPTrunc:
    case Instruction::FPExt: return lanes_of(i.getType()) != kNone;
    case Instruction::Call: break;
    default: return false;
  }
  const auto* call = dyn_cast<IntrinsicInst>(&i);
  if (call == nullptr) return false;
  switch (call->getIntrinsicID()) {
    case Intrinsic::sqrt:
    case Intrinsic::ceil:
    case Intrinsic::floor:
    case Intrinsic::trunc:
    case Intrinsic::roundeven:
    case Intrinsic::nearbyint:
    case Intrinsic::rint: return true;
    default: return false;
  }
}

/// Whether nothing depends on which NaN an operand is.
bool only_asks(const Instruction& i) {
  if (isa<FCmpInst, FPToSIInst, FPToUIInst>(i)) return true;
  return is(&i, Intrinsic::fptosi_sat) || is(&i, Intrinsic::fptoui_sat) || is_canonicalize(&i);
}

/// Whether an instruction gives (parts of) its operands, but for signs.
bool only_carries(const Instruction& i) {
  if (isa<PHINode, SelectInst, FreezeInst, BitCastInst, ExtractElementInst, InsertElementInst, ShuffleVectorInst>(i)) {
    return true;
  }
  return i.getOpcode() == Instruction::FNeg || is(&i, Intrinsic::fabs) || is(&i, Intrinsic::copysign) ||
         is(&i, Intrinsic::minimum) || is(&i, Intrinsic::maximum);
}

template <class Float, class Bits>
bool has_signalling(StringRef bytes, Bits quiet) {
  for (size_t at = 0; at < bytes.size(); at += sizeof(Bits)) {
    Bits bits;
    memcpy(&bits, bytes.data() + at, sizeof bits);
    Float lane;
    memcpy(&lane, &bits, sizeof lane);
    if (lane != lane && (bits & quiet) == 0) return true;
  }
  return false;
}

Lanes lanes_of_constant(const Constant* c) {
  if (c->isNullValue() || isa<PoisonValue>(c)) return kBoth;
  if (const auto* number = dyn_cast<ConstantFP>(c)) return number->getValueAPF().isSignaling() ? kNone : kBoth;
  if (const auto* data = dyn_cast<ConstantDataVector>(c)) {
    const StringRef bytes = data->getRawDataValues();
    if (bytes.size() % sizeof(uint64_t) != 0) return kNone;
    return (has_signalling<float, uint32_t>(bytes, 1u << 22) ? kNone : kFloat) |
           (has_signalling<double, uint64_t>(bytes, uint64_t{1} << 51) ? kNone : kDouble);
  }
  const auto* vector = dyn_cast<FixedVectorType>(c->getType());
  if (vector == nullptr || lanes_of(vector) == kNone) return kNone;
  for (unsigned i = 0; i < vector->getNumElements(); ++i) {
    const Constant* lane = c->getAggregateElement(i);
    if (lane == nullptr || !isa<ConstantFP, PoisonValue>(lane) || lanes_of_constant(lane) == kNone) return kNone;
  }
  return lanes_of(vector);
}

/// What is known of the values of a unit.
class Known {
 public:
  explicit Known(Function& unit) {
    // What has not been looked at yet is taken for quiet: what comes around a loop needs another look.
    const ReversePostOrderTraversal<Function*> order(&unit);
    look_at_all(order);
    if (!looked_ahead_) return;
    while (look_at_all(order)) {
    }
  }

  bool is_quiet(const Value* v) const {
    const Lanes wanted = lanes_of(v->getType());
    return (of(v) & wanted) == wanted;
  }
  void set_quiet(const Value* v) { quiet_[v] = kBoth; }

 private:
  /// False: nothing has changed.
  bool look_at_all(const ReversePostOrderTraversal<Function*>& order) {
    bool changed = false;
    for (BasicBlock* block : order) {
      for (Instruction& i : *block) {
        if (!may_carry(i)) continue;
        const Lanes now = look(i);
        auto [known, first] = quiet_.try_emplace(&i, now);
        changed |= !first && known->second != now;
        known->second = now;
      }
    }
    return changed;
  }

  static bool may_carry(const Value& v) { return v.getType()->isFPOrFPVectorTy() || v.getType()->isVectorTy(); }

  Lanes of(const Value* v) const {
    if (const auto* c = dyn_cast<Constant>(v)) return lanes_of_constant(c);
    if (!isa<Instruction>(v)) return kNone;
    auto known = quiet_.find(v);
    if (known != quiet_.end()) return known->second;
    if (!may_carry(*v)) return kNone;
    looked_ahead_ = true;
    return kBoth;
  }

  Lanes look(const Instruction& i) const {
    const Lanes own = lanes_of(i.getType());
    if (is_arithmetic(i) || is_canonicalize(&i) || isa<SIToFPInst, UIToFPInst>(i)) return own;
    switch (i.getOpcode()) {
      case Instruction::PHI: {
        Lanes all = kBoth;
        for (const Value* v : cast<PHINode>(i).incoming_values()) all &= of(v);
        return all;
      }
      case Instruction::Select: return of_select(cast<SelectInst>(i));
      case Instruction::BitCast: return own != kNone ? of(i.getOperand(0)) & own : of(i.getOperand(0));
      case Instruction::Freeze:
      case Instruction::FNeg: return of(i.getOperand(0));
      case Instruction::ExtractElement: return of(i.getOperand(0)) & own;
      case Instruction::InsertElement:
      case Instruction::ShuffleVector: return of(i.getOperand(0)) & of(i.getOperand(1)) & own;
      default: break;
    }
    if (is(&i, Intrinsic::fabs) || is(&i, Intrinsic::copysign)) return of(i.getOperand(0));
    if (is(&i, Intrinsic::minimum) || is(&i, Intrinsic::maximum)) return of(i.getOperand(0)) & of(i.getOperand(1));
    return kNone;
  }

  /// A minimum that is taken only of numbers (Lowering::float_min) is a number.
  Lanes of_select(const SelectInst& i) const {
    const Value* extreme = i.getFalseValue();
    const auto* unordered = dyn_cast<FCmpInst>(i.getCondition());
    if (unordered != nullptr && unordered->getPredicate() == CmpInst::FCMP_UNO &&
        (is(extreme, Intrinsic::minimum) || is(extreme, Intrinsic::maximum))) {
      const auto* call = cast<IntrinsicInst>(extreme);
      if (call->getArgOperand(0) == unordered->getOperand(0) && call->getArgOperand(1) == unordered->getOperand(1)) {
        return of(i.getTrueValue());
      }
    }
    return of(i.getTrueValue()) & of(extreme);
  }

  DenseMap<const Value*, Lanes> quiet_;
  mutable bool looked_ahead_ = false;
};

/// Whether all that is made of a value does not depend on which NaN it is. `indifferent` answers for a use that does
/// not carry the value on.
template <class Indifferent>
class Uses {
 public:
  explicit Uses(Indifferent indifferent) : indifferent_(indifferent) {}

  bool all_indifferent(const Value* v) {
    seen_.clear();
    return walk(v);
  }
  bool is_indifferent(const Use& use) {
    seen_.clear();
    return walk(use);
  }

 private:
  static constexpr unsigned kMostValues = 64;

  bool walk(const Value* v) {
    if (!seen_.insert(v).second) return true;
    if (seen_.size() > kMostValues) return false;
    for (const Use& use : v->uses()) {
      if (!walk(use)) return false;
    }
    return true;
  }
  bool walk(const Use& use) {
    const auto* user = cast<Instruction>(use.getUser());
    if (only_asks(*user) || indifferent_(use)) return true;
    return only_carries(*user) && (user->getType()->isFPOrFPVectorTy() || user->getType()->isVectorTy()) && walk(user);
  }

  Indifferent indifferent_;
  SmallPtrSet<const Value*, 16> seen_;
};

/// Passes operands through `canonicalize`.
class Quieter {
 public:
  explicit Quieter(Function& unit) : known_(unit), uses_(&is_operand) {}

  void take(Instruction& arithmetic) {
    for (Use& operand : arithmetic.operands()) {
      if (lanes_of(operand->getType()) != kNone && !known_.is_quiet(operand)) operand.set(quieted(operand, arithmetic));
    }
  }

  /// What was added, or is there from an earlier run, and is of no use.
  void simplify(IntrinsicInst& canonicalize) {
    Value* v = canonicalize.getArgOperand(0);
    if (auto* phi = dyn_cast<PHINode>(v); phi != nullptr && !known_.is_quiet(v)) quiet_phi(*phi);
    if (!known_.is_quiet(v)) return;
    canonicalize.replaceAllUsesWith(v);
    canonicalize.eraseFromParent();
  }

 private:
  static bool is_operand(const Use& use) { return is_arithmetic(*cast<Instruction>(use.getUser())); }

  Value* quieted(Value* v, Instruction& user) {
    if (auto* phi = dyn_cast<PHINode>(v); phi != nullptr && quiet_phi(*phi)) return phi;
    Value*& made = made_[v];
    if (made == nullptr) {
      auto* i = dyn_cast<Instruction>(v);
      BasicBlock& entry = user.getFunction()->getEntryBlock();
      const BasicBlock::iterator at = i != nullptr ? *i->getInsertionPointAfterDef() : entry.getFirstInsertionPt();
      IRBuilder<> b(at->getParent(), at);
      b.SetCurrentDebugLocation(i != nullptr && i->getDebugLoc() ? i->getDebugLoc() : user.getDebugLoc());
      made = b.CreateUnaryIntrinsic(Intrinsic::canonicalize, v);
      known_.set_quiet(made);
    }
    return made;
  }

  /// Makes what comes into a phi quiet instead of the phi, so that what a loop sums up is recognised. False: what
  /// the phi gives is also used in other ways.
  bool quiet_phi(PHINode& phi) {
    if (lanes_of(phi.getType()) == kNone || !uses_.all_indifferent(&phi)) return false;
    known_.set_quiet(&phi);
    for (Use& incoming : phi.incoming_values()) {
      if (!known_.is_quiet(incoming)) incoming.set(quieted(incoming, phi));
    }
    return true;
  }

  Known known_;
  Uses<bool (*)(const Use&)> uses_;
  DenseMap<Value*, Value*> made_;
};

/// Whether no pass will ever find out that a value is a constant, however it unrolls and peels loops: something unknown
/// is in it, and stays there.
class Unknown {
 public:
  bool is(const Value* v) {
    seen_.clear();
    return walk(v);
  }

 private:
  static constexpr unsigned kMostValues = 64;

  bool walk(const Value* v) {
    if (isa<Argument, PoisonValue>(v)) return true;
    const auto* i = dyn_cast<Instruction>(v);
    if (i == nullptr) return false;
    if (!seen_.insert(i).second) return true;
    if (seen_.size() > kMostValues) return false;
    if (const auto* load = dyn_cast<LoadInst>(i)) return load->isVolatile();
    if (isa<CallBase>(i) && !isa<IntrinsicInst>(i)) return true;
    switch (i->getOpcode()) {
      case Instruction::FAdd:
      case Instruction::FSub:
      case Instruction::FMul:
      case Instruction::FDiv: return walk(i->getOperand(0)) || walk(i->getOperand(1));
      case Instruction::Select: return walk(i->getOperand(1)) && walk(i->getOperand(2));
      case Instruction::PHI: return all_of(cast<PHINode>(i)->incoming_values(), [&](const Use& u) { return walk(u); });
      case Instruction::InsertElement:
      case Instruction::ShuffleVector: return walk(i->getOperand(0)) && walk(i->getOperand(1));
      default: break;
    }
    if (opt::is(i, Intrinsic::minimum) || opt::is(i, Intrinsic::maximum)) {
      return walk(i->getOperand(0)) && walk(i->getOperand(1));
    }
    const bool of_first =
        only_carries(*i) || is_arithmetic(*i) || is_canonicalize(i) || isa<CastInst, ExtractValueInst>(i);
    return of_first && walk(i->getOperand(0));
  }

  SmallPtrSet<const Instruction*, 16> seen_;
};

/// When an operand's quieting is dropped: before the last passes over the unit, or before code generation, which looks
/// at one block at a time.
enum class Stage : uint8_t { passes, code };

/// Whether an operand is, or may turn out to be, a constant that leaves the other one as it is.
class Neutral {
 public:
  Neutral(Stage stage, double magnitude) : stage_(stage), magnitude_(magnitude) {}
  /// `negative`: the constant's sign, where that matters.
  bool may_be(const Value* v, std::optional<bool> negative) {
    seen_.clear();
    return walk(v, negative);
  }

 private:
  static constexpr unsigned kMostValues = 64;

  bool walk(const Value* v, std::optional<bool> negative) {
    if (const auto* c = dyn_cast<Constant>(v)) return is_neutral(c, negative);
    const auto* i = dyn_cast<Instruction>(v);
    if (i == nullptr) return false;
    const bool carries = is_canonicalize(i) || only_carries(*i);
    if (stage_ == Stage::code && (isa<PHINode>(i) || !carries)) return false;
    if (stage_ == Stage::passes && Unknown().is(i)) return false;
    if (!carries) return true;
    if (!seen_.insert(i).second) return false;
    if (seen_.size() > kMostValues) return true;
    if (negative && i->getOpcode() == Instruction::FNeg) negative = !*negative;
    if (is(i, Intrinsic::fabs) || is(i, Intrinsic::copysign)) negative.reset();
    return any_of(i->operands(), [&](const Use& operand) {
      if (isa<SelectInst>(i) && operand.getOperandNo() == 0) return false;
      Type* type = operand->getType();
      if (type->isIntegerTy() && isa<BitCastInst>(i)) return stage_ == Stage::passes;
      return (type->isFPOrFPVectorTy() || type->isVectorTy()) && walk(operand, negative);
    });
  }

  bool is_neutral(const Constant* c, std::optional<bool> negative) const {
    if (isa<UndefValue>(c)) return false;
    if (const auto* number = dyn_cast<ConstantFP>(c)) {
      const APFloat& value = number->getValueAPF();
      return abs(value).isExactlyValue(magnitude_) && (!negative || value.isNegative() == *negative);
    }
    const auto* vector = dyn_cast<FixedVectorType>(c->getType());
    if (vector == nullptr || lanes_of(vector) == kNone) return true;
    for (unsigned i = 0; i < vector->getNumElements(); ++i) {
      const Constant* lane = c->getAggregateElement(i);
      if (lane == nullptr || is_neutral(lane, negative)) return true;
    }
    return false;
  }

  const Stage stage_;
  const double magnitude_;
  SmallPtrSet<const Value*, 16> seen_;
};

constexpr unsigned kDeepest = 6;  // instructions that code generation sees through

bool is_seen_through(const Instruction& i) { return is_canonicalize(&i) || (!isa<PHINode>(i) && only_carries(i)); }

/// Whether a value may turn out to be a promoted number.
bool carries_promoted(const Value* v, unsigned depth = 0) {
  const auto* i = dyn_cast<Instruction>(v);
  if (i == nullptr) return false;
  if (isa<FPExtInst>(i) || depth == kDeepest) return true;
  if (!is_seen_through(*i)) return false;
  return any_of(i->operands(), [&](const Use& operand) { return carries_promoted(operand, depth + 1); });
}

/// Whether a value may turn out to be the operand of a demotion.
bool is_demoted(const Value& v, unsigned depth = 0) {
  if (depth == kDeepest) return true;
  return any_of(v.users(), [&](const User* user) {
    const auto* i = cast<Instruction>(user);
    return isa<FPTruncInst>(i) || (is_seen_through(*i) && is_demoted(*i, depth + 1));
  });
}

/// Whether the instruction of the processor that will be there makes this operand quiet.
template <Stage stage>
bool quiets_itself(const Use& use) {
  const auto* user = cast<Instruction>(use.getUser());
  const bool first = use.getOperandNo() == 0;
  auto other_may_be = [&](double magnitude, std::optional<bool> negative) {
    return Neutral(stage, magnitude).may_be(user->getOperand(first ? 1 : 0), negative);
  };
  switch (user->getOpcode()) {
    case Instruction::FAdd: return !other_may_be(0, true);    // x + -0
    case Instruction::FSub: return !other_may_be(0, !first);  // x - 0, -0 - x
    case Instruction::FMul: return !other_may_be(1, std::nullopt);
    case Instruction::FDiv: return !first || !other_may_be(1, std::nullopt);
    case Instruction::FRem: return false;
    case Instruction::FPTrunc: return stage == Stage::code && !carries_promoted(use.get());
    case Instruction::FPExt: return stage == Stage::code && !is_demoted(*user);
    default: return is_arithmetic(*user);
  }
}

/// A NaN's quiet bit set, without arithmetic.
Value* plain_quieting(IntrinsicInst& canonicalize) {
  Value* v = canonicalize.getArgOperand(0);
  IRBuilder<> b(&canonicalize);
  const unsigned bits = v->getType()->getScalarSizeInBits();
  auto* vector = dyn_cast<VectorType>(v->getType());
  Type* integers = b.getIntNTy(bits);
  if (vector != nullptr) integers = VectorType::getInteger(vector);
  Constant* quiet = ConstantInt::get(integers, uint64_t{1} << (bits == 32 ? 22 : 51));
  Value* set = b.CreateBitCast(b.CreateOr(b.CreateBitCast(v, integers), quiet), v->getType());
  return b.CreateSelect(b.CreateFCmpUNO(v, v), set, v);
}

template <class Wanted>
SmallVector<Instruction*, 32> find(Function& unit, Wanted wanted) {
  SmallVector<Instruction*, 32> found;
  for (Instruction& i : instructions(unit)) {
    if (wanted(i)) found.push_back(&i);
  }
  return found;
}

}  // namespace

void quiet_operands(Function& unit, const SmallPtrSetImpl<const BasicBlock*>* only) {
  const auto arithmetic = find(unit, [&](const Instruction& i) {
    return is_arithmetic(i) && (only == nullptr || only->contains(i.getParent()));
  });
  if (arithmetic.empty()) return;
  Quieter quieter(unit);
  for (Instruction* i : arithmetic) quieter.take(*i);
  for (Instruction* i : find(unit, [](const Instruction& i) { return is_canonicalize(&i); })) {
    quieter.simplify(cast<IntrinsicInst>(*i));
  }
}

bool may_become_constant(const Value& v) { return !Unknown().is(&v); }

PreservedAnalyses QuietOperands::run(Function& unit, FunctionAnalysisManager&) {
  quiet_operands(unit);
  const auto added = find(unit, [](const Instruction& i) { return is_canonicalize(&i); });
  if (added.empty()) return PreservedAnalyses::all();
  Uses uses(&quiets_itself<Stage::passes>);
  for (Instruction* i : added) {
    for (Use& use : make_early_inc_range(i->uses())) {
      if (uses.is_indifferent(use)) use.set(i->getOperand(0));
    }
    if (i->use_empty()) i->eraseFromParent();
  }
  PreservedAnalyses preserved;
  preserved.preserveSet<CFGAnalyses>();
  preserved.preserve<ScalarEvolutionAnalysis>();
  return preserved;
}

void settle_quieting(Function& unit) {
  const auto added = find(unit, [](const Instruction& i) { return is_canonicalize(&i); });
  if (added.empty()) return;
  // What can be folded is, before the last chance to see it is gone.
  const SimplifyQuery query(unit.getDataLayout());
  for (Instruction* i : find(unit, is_arithmetic)) {
    Value* simple = simplifyInstruction(i, query);
    if (simple != nullptr && simple != i) i->replaceAllUsesWith(simple);
  }
  const Known known(unit);
  Uses uses(&quiets_itself<Stage::code>);
  for (Instruction* i : added) {
    Value* v = i->getOperand(0);
    if (known.is_quiet(v)) i->replaceAllUsesWith(v);
    for (Use& use : make_early_inc_range(i->uses())) {
      if (uses.is_indifferent(use)) use.set(v);
    }
    if (!i->use_empty()) i->replaceAllUsesWith(plain_quieting(cast<IntrinsicInst>(*i)));
    i->eraseFromParent();
  }
}

}  // namespace vmrun::jit::opt
