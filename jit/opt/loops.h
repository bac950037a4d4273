// Passes over loops, for emit.cpp.
#pragma once

#include <llvm/IR/PassManager.h>

namespace vmrun::jit::opt {

/// Gives innermost loops over memory 0 a copy whose accesses cannot fault, where a check of their ranges in front of the
/// loop says so (loops.cpp). Memory 0 is guarded and not shared: its volatile accesses may fault, and that is all.
class VersionLoops : public llvm::PassInfoMixin<VersionLoops> {
 public:
  llvm::PreservedAnalyses run(llvm::Function& unit, llvm::FunctionAnalysisManager& analyses);
};

}  // namespace vmrun::jit::opt
