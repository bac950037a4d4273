// What a unit costs LLVM beyond its size, measured as soon as its locals are SSA values: see limits.h.
#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/Hashing.h>
#include <llvm/ADT/PostOrderIterator.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/Function.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/Transforms/Utils/PromoteMemToReg.h>

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "jit/opt/backend.h"
#include "jit/opt/limits.h"

namespace vmrun::jit::opt {
namespace {

/// The longest chain of instructions each of which waits for the one before.
class Chains {
 public:
  uint32_t longest(const llvm::Function& unit) {
    uint32_t longest = 0;
    for (const llvm::BasicBlock* block : llvm::ReversePostOrderTraversal<const llvm::Function*>(&unit)) {
      for (const llvm::Instruction& i : *block) longest = std::max(longest, add(i));
    }
    return longest;
  }

 private:
  uint32_t add(const llvm::Instruction& i) {
    if (const auto* store = llvm::dyn_cast<llvm::StoreInst>(&i)) {
      uint32_t& stored = stored_[address(store->getPointerOperand())];
      stored = std::max(stored, lengths_.lookup(store->getValueOperand()));
      return 0;
    }
    // What was stored to the same place may be taken for what is loaded.
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(&i);
    if (load != nullptr && !load->isVolatile()) {
      const auto stored = stored_.find(address(load->getPointerOperand()));
      return lengths_[&i] = stored != stored_.end() ? stored->second : 0;
    }
    // What else comes from a call or from memory is there, whatever was before.
    if ((llvm::isa<llvm::CallBase>(i) && !llvm::isa<llvm::IntrinsicInst>(i)) || i.mayReadOrWriteMemory()) return 0;
    uint32_t before = 0;
    for (const llvm::Use& operand : i.operands()) before = std::max(before, lengths_.lookup(operand.get()));
    return lengths_[&i] = before + 1;
  }

  /// Equal for addresses that are made in the same way, by few instructions.
  static uint64_t address(const llvm::Value* v, unsigned depth = 0) {
    constexpr unsigned kDeepest = 8;
    if (const auto* number = llvm::dyn_cast<llvm::ConstantInt>(v)) return llvm::hash_value(number->getValue());
    const auto* i = llvm::dyn_cast<llvm::Instruction>(v);
    const bool made_alike = i != nullptr && depth < kDeepest && !i->isVolatile() && !llvm::isa<llvm::PHINode>(i) &&
                            (llvm::isa<llvm::LoadInst>(i) || !i->mayReadOrWriteMemory());
    if (!made_alike) return llvm::hash_value(v);
    uint64_t hash = i->getOpcode();
    for (const llvm::Use& operand : i->operands()) hash = llvm::hash_combine(hash, address(operand.get(), depth + 1));
    return hash;
  }

  llvm::DenseMap<const llvm::Value*, uint32_t> lengths_;
  std::unordered_map<uint64_t, uint32_t> stored_;  // by address
};

/// Makes SSA values of the locals, and counts what is merged. Stops when that is too much.
uint64_t promote(llvm::Function& unit, llvm::DominatorTree& tree) {
  constexpr size_t kAtOnce = 128;  // so many cannot have more phis than there is memory for
  std::vector<llvm::AllocaInst*> locals;
  for (llvm::Instruction& i : unit.getEntryBlock()) {
    auto* local = llvm::dyn_cast<llvm::AllocaInst>(&i);
    if (local != nullptr && llvm::isAllocaPromotable(local)) locals.push_back(local);
  }
  uint64_t merged = 0;
  for (size_t done = 0; done < locals.size() && merged <= kMaxMerged; done += kAtOnce) {
    llvm::PromoteMemToReg(llvm::ArrayRef(locals).slice(done, std::min(kAtOnce, locals.size() - done)), tree);
    merged = 0;
    for (const llvm::BasicBlock& block : unit) {
      for (const llvm::PHINode& phi : block.phis()) merged += phi.getNumIncomingValues();
    }
  }
  return merged;
}

}  // namespace

Measures measure(llvm::Function& unit) {
  llvm::DominatorTree tree(unit);
  Measures measures;
  measures.merged = promote(unit, tree);
  if (measures.merged > kMaxMerged) return measures;
  measures.loops = static_cast<uint32_t>(llvm::LoopInfo(tree).getLoopsInPreorder().size());
  measures.chain = Chains().longest(unit);
  return measures;
}

}  // namespace vmrun::jit::opt
