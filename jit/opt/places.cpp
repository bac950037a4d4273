// Where in the image an instruction that may fault comes from.
//
// Code generation folds loads into the instructions that use them, and what comes out has the place of the user: a trap
// would be reported there. So before it, each volatile access is given a memory attribute that nothing else has, an
// alias scope that carries its place; operands keep the attributes of what they access through all folding. Behind the
// last machine pass, instructions get the places of what they access.
#include "jit/opt/places.h"

#include <llvm/CodeGen/MachineFunction.h>
#include <llvm/CodeGen/MachineFunctionPass.h>
#include <llvm/CodeGen/MachineInstr.h>
#include <llvm/IR/DebugInfoMetadata.h>
#include <llvm/IR/Function.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/MDBuilder.h>

namespace vmrun::jit::opt {
namespace {

constexpr const char kDomain[] = "places";

/// The place that an attribute carries, or null.
const llvm::DILocation* place_in(const llvm::MDNode* scopes) {
  if (scopes == nullptr || scopes->getNumOperands() != 1) return nullptr;
  const auto* scope = llvm::dyn_cast<llvm::MDNode>(scopes->getOperand(0));
  if (scope == nullptr || scope->getNumOperands() != 3) return nullptr;
  return llvm::dyn_cast_or_null<llvm::DILocation>(scope->getOperand(2));
}

class Restore : public llvm::MachineFunctionPass {
 public:
  static char id;
  Restore() : llvm::MachineFunctionPass(id) {}
  llvm::StringRef getPassName() const override { return "places of accesses"; }
  void getAnalysisUsage(llvm::AnalysisUsage& usage) const override {
    usage.setPreservesAll();
    llvm::MachineFunctionPass::getAnalysisUsage(usage);
  }
  bool runOnMachineFunction(llvm::MachineFunction& function) override {
    for (llvm::MachineBasicBlock& block : function) {
      for (llvm::MachineInstr& i : block) {
        for (const llvm::MachineMemOperand* operand : i.memoperands()) {
          if (!operand->isVolatile()) continue;
          if (const llvm::DILocation* place = place_in(operand->getAAInfo().NoAlias)) {
            i.setDebugLoc(llvm::DebugLoc(place));
            break;
          }
        }
      }
    }
    return false;
  }
};
char Restore::id;

}  // namespace

void note_places(llvm::Function& unit) {
  llvm::LLVMContext& context = unit.getContext();
  llvm::MDNode* domain = llvm::MDBuilder(context).createAnonymousAliasScopeDomain(kDomain);
  for (llvm::Instruction& i : llvm::instructions(unit)) {
    if (!i.isVolatile() || !i.getDebugLoc() || i.getMetadata(llvm::LLVMContext::MD_noalias) != nullptr) continue;
    llvm::MDNode* scope = llvm::MDNode::getDistinct(context, {nullptr, domain, i.getDebugLoc().get()});
    scope->replaceOperandWith(0, scope);
    i.setMetadata(llvm::LLVMContext::MD_noalias, llvm::MDNode::get(context, {scope}));
  }
}

llvm::Pass* make_restore_places() { return new Restore; }

}  // namespace vmrun::jit::opt
