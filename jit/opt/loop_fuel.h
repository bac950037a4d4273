// What a loop of metered code does about fuel (vm/wasm/fuel.h), and the loop without that.
//
// A charge subtracts a number from what is left, leaves the loop by a trap if there was less, and stores what is left
// then. A loop whose iterations are counted before it begins, and whose other instructions nobody can see before it
// ends, may as well be paid for at once: if what is left pays for all iterations, none of its charges traps. Then what
// is left is only computed in it, and stored once behind it.
#pragma once

#include <llvm/ADT/STLExtras.h>
#include <llvm/ADT/SmallVector.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/Instructions.h>

#include <cstdint>
#include <optional>

namespace vmrun::jit::opt {

struct Charge {
  llvm::BranchInst* check = nullptr;  // out of the loop, if `units` are more than what is left
  llvm::Value* before = nullptr;
  uint64_t units = 0;
};

struct LoopFuel {
  llvm::SmallVector<Charge, 4> charges;
  llvm::SmallVector<llvm::StoreInst*, 4> stores;  // of what is left
  llvm::PHINode* left = nullptr;                  // what is left as an iteration begins; null: the loop charges nothing
  uint64_t most = 0;                              // units of an iteration, at most

  bool has(const llvm::StoreInst& store) const { return llvm::is_contained(stores, &store); }
};

/// Whether `unit`, which gets the vCPU as its first argument, stores what is left.
bool stores_fuel(const llvm::Function& unit, const llvm::StoreInst& store);

/// Charges of an innermost loop of `unit`. None: something about them is unknown.
/// Other ways out of the loop go to `others`, that of its latch left out.
std::optional<LoopFuel> fuel_of(llvm::Function& unit, llvm::Loop& loop,
                                llvm::SmallVectorImpl<llvm::BasicBlock*>& others);

/// What is left as an iteration begins, if what the loop stores of it is a constant less; else null.
llvm::PHINode* left_in(const llvm::Loop& loop);
/// Nobody sees any more that it moves by a step, which strength reduction would make several counters of.
void hide_steps(llvm::PHINode& left, llvm::Loop& loop);

/// Takes the checks and the stores out of the loop. Blocks of it may be merged.
void drop_charges(LoopFuel& fuel, llvm::Loop& loop, llvm::DominatorTree& tree, llvm::LoopInfo& loops);

}  // namespace vmrun::jit::opt
