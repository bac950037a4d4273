// Signalling NaNs, which WebAssembly's arithmetic makes quiet and LLVM's need not: for emit.cpp.
#pragma once

#include <llvm/IR/PassManager.h>

namespace vmrun::jit::opt {

/// Gives every arithmetic instruction operands that are no signalling NaNs (quiet_nans.cpp). May run again, which finds
/// more where values have become simpler.
void quiet_operands(llvm::Function& unit);

struct QuietOperands : llvm::PassInfoMixin<QuietOperands> {
  llvm::PreservedAnalyses run(llvm::Function& unit, llvm::FunctionAnalysisManager&);
};

/// Before code generation: takes what quiet_operands() has added away again where the processor does it anyway, and
/// leaves plain instructions elsewhere.
void settle_quieting(llvm::Function& unit);

}  // namespace vmrun::jit::opt
