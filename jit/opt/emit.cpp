// Optimisation and code generation: passes of our choice, then the target's emitter into memory. The stack check goes in
// between, so that it is there once per real frame and costs what is inlined nothing.
#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/Analysis/TargetLibraryInfo.h>
#include <llvm/CodeGen/MachineFunctionPass.h>
#include <llvm/CodeGen/MachineModuleInfo.h>
#include <llvm/CodeGen/Passes.h>
#include <llvm/CodeGen/TargetPassConfig.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/MDBuilder.h>
#include <llvm/IR/Module.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Passes/StandardInstrumentations.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Scalar/LoopPassManager.h>
#include <llvm/Transforms/Scalar/LoopRotation.h>
#include <llvm/Transforms/Scalar/LoopStrengthReduce.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>
#include <llvm/Transforms/Utils/LoopSimplify.h>
#include <llvm/Transforms/Vectorize/LoopVectorize.h>
#include <llvm/Transforms/Vectorize/SLPVectorizer.h>
#include <llvm/Transforms/Vectorize/VectorCombine.h>

#include "jit/crossing/abi.h"
#include "jit/opt/backend.h"
#include "jit/opt/loop_fuel.h"
#include "jit/opt/loops.h"
#include "jit/opt/places.h"
#include "jit/opt/quiet_nans.h"
#include "vm/base/assert.h"
#include "vm/runtime/layout.h"

namespace vmrun::jit::opt {

namespace {

bool needs_stack_check(const llvm::Function& unit) {
  for (const llvm::BasicBlock& block : unit) {
    for (const llvm::Instruction& i : block) {
      const auto* call = llvm::dyn_cast<llvm::CallBase>(&i);
      // Traps and throws run in the reserve; a tail call's frame is gone.
      if (call == nullptr || call->isInlineAsm() || call->getIntrinsicID() != llvm::Intrinsic::not_intrinsic) continue;
      if (!call->doesNotReturn() && !call->isMustTailCall()) return true;
    }
  }
  return false;
}

/// Compares rsp, which the prologue has moved, with the limit.
void insert_stack_check(llvm::Function& unit) {
  llvm::LLVMContext& context = unit.getContext();
  llvm::BasicBlock& entry = unit.getEntryBlock();
  llvm::Instruction* first = &*entry.getFirstNonPHIOrDbgOrAlloca();
  llvm::IRBuilder<> b(first);
  llvm::DISubprogram* subprogram = unit.getSubprogram();
  llvm::DebugLoc place = llvm::DILocation::get(context, subprogram->getLine(), 0, subprogram);
  // The first instruction's, if it is this frame's own: behind what is inlined comes another place.
  for (const llvm::Instruction& i : llvm::make_range(first->getIterator(), entry.end())) {
    if (!i.getDebugLoc()) continue;
    if ((i.getDebugLoc().getLine() & kInlined) == 0) place = i.getDebugLoc();
    break;
  }
  b.SetCurrentDebugLocation(place);
  llvm::MDNode* name = llvm::MDNode::get(context, {llvm::MDString::get(context, "rsp")});
  llvm::Value* sp =
      b.CreateIntrinsic(llvm::Intrinsic::read_register, {b.getInt64Ty()}, {llvm::MetadataAsValue::get(context, name)});
  llvm::Value* cx = unit.getArg(0);
  auto field = [&](uint64_t offset) { return b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), cx, offset); };
  llvm::LoadInst* limit = b.CreateLoad(b.getInt64Ty(), field(vm::layout::vcpu::native_limit));
  limit->setVolatile(true);  // others set it
  llvm::Value* below = b.CreateICmpULT(sp, limit);
  llvm::Instruction* asked = llvm::SplitBlockAndInsertIfThen(below, first->getIterator(), false,
                                                             llvm::MDBuilder(context).createBranchWeights(1, 1 << 20));
  b.SetInsertPoint(asked);
  b.SetCurrentDebugLocation(place);
  llvm::Value* table = b.CreateLoad(b.getPtrTy(), field(vm::layout::vcpu::helpers));
  llvm::Value* helper = b.CreateLoad(
      b.getPtrTy(), b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), table, 8 * static_cast<uint64_t>(Helper::stack_poll)));
  b.CreateCall(llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy()}, false), helper, {cx});
}

/// Loop strength reduction for loops without calls.
struct ReduceStrength : llvm::PassInfoMixin<ReduceStrength> {
  llvm::PreservedAnalyses run(llvm::Loop& loop, llvm::LoopAnalysisManager& analyses,
                              llvm::LoopStandardAnalysisResults& results, llvm::LPMUpdater& updater) {
    for (const llvm::BasicBlock* block : loop.blocks()) {
      for (const llvm::Instruction& i : *block) {
        const auto* call = llvm::dyn_cast<llvm::CallBase>(&i);
        if (call != nullptr && call->getCallingConv() == llvm::CallingConv::PreserveNone) {
          return llvm::PreservedAnalyses::all();
        }
      }
    }
    if (llvm::PHINode* left = left_in(loop)) {
      results.SE.forgetValue(left);
      hide_steps(*left, loop);
    }
    return llvm::LoopStrengthReducePass().run(loop, analyses, results, updater);
  }
};

/// Guest code calls nothing by name.
llvm::TargetLibraryInfoImpl no_library(const llvm::Triple& triple) {
  llvm::TargetLibraryInfoImpl library(triple);
  library.disableAllFunctions();
  return library;
}

/// What a unit goes through. Each pass is there for what it was measured to gain beside its time
/// (docs/decisions/0054-a-lean-pipeline.md); LLVM's own pipelines repeat most of it several times.
llvm::FunctionPassManager pipeline(bool guarded) {
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::InstCombinePass());
  llvm::LoopPassManager loops;
  loops.addPass(llvm::LoopRotatePass());
  loops.addPass(llvm::LICMPass(llvm::LICMOptions()));
  passes.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(loops), /*UseMemorySSA=*/true));
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::InstCombinePass());
  // In front of the vectoriser, whose estimates quieting would spoil.
  passes.addPass(QuietOperands());
  if (guarded) {
    passes.addPass(llvm::LoopSimplifyPass());
    passes.addPass(VersionLoops());
  }
  passes.addPass(llvm::LoopVectorizePass());
  // The vectoriser leaves its checks and what they and its steps have in common to be tidied: without these two a product
  // of matrices takes 3.5 times the time.
  passes.addPass(llvm::EarlyCSEPass());
  passes.addPass(llvm::InstCombinePass());
  // Guests come unrolled: what their compiler would have made vectors of, had it had any, is straight code.
  passes.addPass(llvm::SLPVectorizerPass());
  passes.addPass(llvm::VectorCombinePass());
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::createFunctionToLoopPassAdaptor(ReduceStrength()));
  return passes;
}

void optimise(llvm::Function& unit, llvm::TargetMachine& machine, const EmitOptions& options) {
  llvm::PassInstrumentationCallbacks callbacks;
  callbacks.registerShouldRunOptionalPassCallback([cancelled = options.cancelled](llvm::StringRef, llvm::Any) {
    return cancelled == nullptr || !cancelled->load(std::memory_order_relaxed);
  });
  // Without the files that profiles of other compilers would come from: no pass reads any.
  llvm::PassBuilder builder(&machine, llvm::PipelineTuningOptions(), std::nullopt, &callbacks, nullptr);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(no_library(machine.getTargetTriple())); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  pipeline(options.guarded).run(unit, functions);
}

}  // namespace

bool emit(llvm::Function& unit, llvm::TargetMachine& machine, const EmitOptions& options, Object& object) {
  llvm::Module& module = *unit.getParent();
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  unit.addFnAttr("target-cpu", machine.getTargetCPU());
  unit.addFnAttr("target-features", machine.getTargetFeatureString());
  auto cancelled = [&] { return options.cancelled != nullptr && options.cancelled->load(std::memory_order_relaxed); };
  quiet_operands(unit);
  optimise(unit, machine, options);
  if (cancelled()) return false;
  settle_quieting(unit);
  note_places(unit);
  if (options.polls || needs_stack_check(unit)) insert_stack_check(unit);
  llvm::legacy::PassManager passes;
  passes.add(new llvm::TargetLibraryInfoWrapperPass(no_library(machine.getTargetTriple())));
  llvm::raw_svector_ostream out(object);
  // What addPassesToEmitFile() adds, and one pass of ours.
  auto* code = new llvm::MachineModuleInfoWrapperPass(&machine);
  llvm::TargetPassConfig* generation = machine.createPassConfig(passes);
  generation->setEnableTailMerge(false);  // calls that are merged would have one place in the image for several
  generation->setDisableVerify(true);
  generation->disablePass(&llvm::LiveDebugValuesID);  // lines are all that is known
  passes.add(generation);
  passes.add(code);
  bool refused = generation->addISelPasses();
  generation->addMachinePasses();
  generation->setInitialized();
  passes.add(make_restore_places());
  refused |=
      machine.addAsmPrinter(passes, out, nullptr, llvm::CodeGenFileType::ObjectFile, code->getMMI().getContext());
  passes.add(llvm::createFreeMachineFunctionPass());
  VMRUN_ASSERT(!refused, "LLVM emits object files for this target");
  passes.run(module);
  return !cancelled();
}

}  // namespace vmrun::jit::opt
