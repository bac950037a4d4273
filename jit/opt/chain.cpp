// How deep LLVM's recursion may get: see kMaxChain in limits.h.
#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/PostOrderIterator.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/Function.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/Transforms/Utils/PromoteMemToReg.h>

#include <algorithm>
#include <vector>

#include "jit/opt/backend.h"

namespace vmrun::jit::opt {

uint32_t longest_chain(llvm::Function& unit) {
  llvm::DominatorTree tree(unit);
  std::vector<llvm::AllocaInst*> locals;
  for (llvm::Instruction& i : unit.getEntryBlock()) {
    auto* local = llvm::dyn_cast<llvm::AllocaInst>(&i);
    if (local != nullptr && llvm::isAllocaPromotable(local)) locals.push_back(local);
  }
  if (!locals.empty()) llvm::PromoteMemToReg(locals, tree);
  llvm::DenseMap<const llvm::Value*, uint32_t> lengths;
  uint32_t longest = 0;
  for (const llvm::BasicBlock* block : llvm::ReversePostOrderTraversal<const llvm::Function*>(&unit)) {
    for (const llvm::Instruction& i : *block) {
      // What comes from a call or from memory is there, whatever was before.
      if ((llvm::isa<llvm::CallBase>(i) && !llvm::isa<llvm::IntrinsicInst>(i)) || i.mayReadOrWriteMemory()) continue;
      uint32_t before = 0;
      for (const llvm::Use& operand : i.operands()) before = std::max(before, lengths.lookup(operand.get()));
      lengths[&i] = before + 1;
      longest = std::max(longest, before + 1);
    }
  }
  return longest;
}

}  // namespace vmrun::jit::opt
