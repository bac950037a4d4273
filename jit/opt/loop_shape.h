// What loops.cpp has to know of a loop over memory: its accesses, in groups, and how often it goes round.
#pragma once

#include <llvm/ADT/SmallVector.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/Analysis/TargetTransformInfo.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/Instructions.h>

#include <optional>

#include "jit/opt/loop_fuel.h"
#include "jit/opt/loop_range.h"

namespace vmrun::jit::opt {

/// An access at mem + zext(x) + member.offset.
struct Access {
  llvm::Instruction* at = nullptr;
  const llvm::SCEV* x = nullptr;  // affine in the loop, or invariant
  const llvm::SCEV* start = nullptr;
  const llvm::SCEV* step = nullptr;  // i64, signed; zero for invariant ones
  unsigned bits = range::kWide;      // of x, at which it may wrap
  range::Member member;
  range::Touch touch;
};

/// Accesses whose indices keep a constant distance.
struct Group {
  llvm::SmallVector<Access, 4> members;
  bool stores = false;
  const Access& first() const { return members.front(); }
  /// Bytes from one iteration's address to the next one's; 0 if that is not known.
  int64_t step() const;
  range::Extent extent() const;
  llvm::SmallVector<range::Touch, 4> touches() const;
};

/// The one exit of a loop, at its end, where it goes on while a moving value compares with a fixed one. Without what
/// the check says, LLVM cannot count its iterations: the value may step over the end and wrap.
struct Exit {
  llvm::BranchInst* branch = nullptr;
  llvm::CmpInst::Predicate stay = llvm::CmpInst::BAD_ICMP_PREDICATE;
  const llvm::SCEV* start = nullptr;
  int64_t step = 0;
  const llvm::SCEV* end = nullptr;
};

struct LoopShape {
  llvm::SmallVector<Group, 8> groups;
  const llvm::SCEV* count = nullptr;  // of back-edges taken, at most; null: see exit
  Exit exit;
  LoopFuel fuel;
  bool ordered = false;  // a chain of blocks: all its accesses are executed, in this order
  bool stores = false;
  bool parallel = false;     // a check of where the groups lie makes iterations independent
  bool loads_first = false;  // and then all loads of an iteration have to come before its stores
  llvm::SmallVector<llvm::StoreInst*, 4> elsewhere;  // stores that are not to the memory, but to globals
};

/// Of an innermost loop with a preheader and one latch, in LCSSA form, over the memory that `unit` gets as its third
/// argument. None: a copy of the loop is not possible, or gains nothing.
std::optional<LoopShape> shape_of(llvm::Function& unit, llvm::Loop& loop, llvm::DominatorTree& tree,
                                  llvm::ScalarEvolution& se, const llvm::TargetTransformInfo& target);

}  // namespace vmrun::jit::opt
