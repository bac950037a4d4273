// Where in the image an instruction that may fault comes from.
//
// Optimisation may merge two accesses of the two sides of a branch into one, volatile or not, which then has no place
// any more. SimplifyCFG does that only where both have the same relaxation annotations (!mmra): each access has one that
// names its place. InstCombine does it to loads at the begin of a phi, but never to atomic ones: so loads are atomic, of
// the weakest kind, which adds nothing to volatile, until code generation. An access that was merged all the same has
// the annotations of both, and its unit is refused.
//
// Code generation folds loads into the instructions that use them, and what comes out has the place of the user: a trap
// would be reported there. So before it, each access that may fault is given a memory attribute that nothing else has,
// an alias scope that carries its place; operands keep the attributes of what they access through all folding. Behind
// the last machine pass, instructions get the places of what they access.
#include "jit/opt/places.h"

#include <llvm/CodeGen/MachineFunction.h>
#include <llvm/CodeGen/MachineFunctionPass.h>
#include <llvm/CodeGen/MachineInstr.h>
#include <llvm/IR/DebugInfoMetadata.h>
#include <llvm/IR/Function.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/MDBuilder.h>
#include <llvm/IR/MemoryModelRelaxationAnnotations.h>

#include <optional>
#include <string>

#include "jit/compiler.h"
#include "vm/base/assert.h"

namespace vmrun::jit::opt {
namespace {

constexpr const char kDomain[] = "places";
constexpr const char kAnnotation[] = "place";
constexpr const char kNoPlace[] = "none";

void annotate(llvm::Instruction& access, llvm::StringRef place) {
  access.setMetadata(llvm::LLVMContext::MD_mmra, llvm::MMRAMetadata::getTagMD(access.getContext(), kAnnotation, place));
  if (auto* load = llvm::dyn_cast<llvm::LoadInst>(&access)) {
    load->setVolatile(true);
    if (!load->isAtomic()) load->setAtomic(llvm::AtomicOrdering::Unordered);
  } else if (auto* store = llvm::dyn_cast<llvm::StoreInst>(&access)) {
    store->setVolatile(true);
  }
}

void strip(llvm::Instruction& access) {
  access.setMetadata(llvm::LLVMContext::MD_mmra, nullptr);
  auto* load = llvm::dyn_cast<llvm::LoadInst>(&access);
  if (load != nullptr && load->getOrdering() == llvm::AtomicOrdering::Unordered) {
    load->setAtomic(llvm::AtomicOrdering::NotAtomic);
  }
}

/// The one annotation of an access, or none.
std::optional<llvm::StringRef> annotation(const llvm::Instruction& access) {
  const llvm::MMRAMetadata tags(access);
  if (tags.size() != 1 || tags.begin()->first != kAnnotation) return std::nullopt;
  return tags.begin()->second;
}

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
        // What reads, computes and writes back faults where it reads.
        const llvm::DILocation* found = nullptr;
        for (const llvm::MachineMemOperand* operand : i.memoperands()) {
          if (!operand->isVolatile() || (found != nullptr && !operand->isLoad())) continue;
          const llvm::DILocation* place = place_in(operand->getAAInfo().NoAlias);
          if (place == nullptr) continue;
          found = place;
          if (operand->isLoad()) break;
        }
        if (found != nullptr) i.setDebugLoc(llvm::DebugLoc(found));
      }
    }
    return false;
  }
};
char Restore::id;

}  // namespace

void mark_faulting(llvm::Instruction& access, uint32_t offset) { annotate(access, std::to_string(offset)); }
void mark_ordered(llvm::Instruction& access) { annotate(access, kNoPlace); }
bool is_ordered(const llvm::Instruction& access) { return annotation(access) == kNoPlace; }

void make_plain(llvm::Instruction& access) {
  strip(access);
  if (auto* load = llvm::dyn_cast<llvm::LoadInst>(&access)) {
    load->setVolatile(false);
  } else {
    llvm::cast<llvm::StoreInst>(access).setVolatile(false);
  }
}

void note_places(llvm::Function& unit) {
  llvm::LLVMContext& context = unit.getContext();
  llvm::MDNode* domain = llvm::MDBuilder(context).createAnonymousAliasScopeDomain(kDomain);
  for (llvm::Instruction& i : llvm::instructions(unit)) {
    if (!i.isVolatile()) continue;
    const std::optional<llvm::StringRef> place = annotation(i);
    if constexpr (kCheckInvariants) VMRUN_ASSERT(place, "each access has its own place");
    if (!place) return context.emitError("an access without a place of its own");
    unsigned offset = 0;
    const bool faulting = !place->getAsInteger(10, offset);
    strip(i);
    if (!faulting) continue;
    llvm::DILocation* line = llvm::DILocation::get(context, offset, 0, unit.getSubprogram());
    llvm::MDNode* scope = llvm::MDNode::getDistinct(context, {nullptr, domain, line});
    scope->replaceOperandWith(0, scope);
    i.setMetadata(llvm::LLVMContext::MD_noalias, llvm::MDNode::get(context, {scope}));
  }
}

llvm::Pass* make_restore_places() { return new Restore; }

}  // namespace vmrun::jit::opt
