// Signalling NaNs, which WebAssembly's arithmetic makes quiet and LLVM's need not: for emit.cpp.
#pragma once

#include <llvm/ADT/SmallPtrSet.h>
#include <llvm/IR/PassManager.h>
#include <llvm/IR/Value.h>

namespace vmrun::jit::opt {

/// Gives every arithmetic instruction operands that are no signalling NaNs (quiet_nans.cpp). May run again, which finds
/// more where values have become simpler. `only`: in these blocks alone.
void quiet_operands(llvm::Function& unit, const llvm::SmallPtrSetImpl<const llvm::BasicBlock*>* only = nullptr);

/// Whether a pass may find out that a value is a constant.
bool may_become_constant(const llvm::Value& v);

/// In front of vectorisation: the same again, and then takes it away where no later pass can fold.
struct QuietOperands : llvm::PassInfoMixin<QuietOperands> {
  llvm::PreservedAnalyses run(llvm::Function& unit, llvm::FunctionAnalysisManager&);
};

/// Before code generation: takes what quiet_operands() has added away again where the processor does it anyway, and
/// leaves plain instructions elsewhere.
void settle_quieting(llvm::Function& unit);

}  // namespace vmrun::jit::opt
