// Charges of metered code that are paid for ahead.
//
// A charge that fails leads to a trap, so each is a way out that keeps the code on its two sides apart, and in code that
// branches and calls at every few instructions there is one at every few instructions. But a guest that has enough for the
// dearest way from a charge to the next place where what is left may change otherwise (a call, a loop's next iteration)
// needs no more of them on that way. So the unit is there twice. In the first copy only such a charge, the anchor of those
// that follow, looks at what is left, and the others subtract. With less than that the guest goes on in the second copy, at
// the anchor, and stays there: in that copy each charge looks, as vm/wasm/fuel.h has it.
#pragma once

#include <span>

namespace llvm {
class Function;
class Instruction;
class Loop;
}  // namespace llvm

namespace vmrun::jit::opt {

/// `charges`: all subtractions of the unit, each of which is in front of the branch that it fails by, and nothing was
/// optimised yet. Makes the copy if `copies`, and if that gains something and does not make the unit too large. All loops
/// that may run for long store what is left then, in each iteration.
void pay_ahead(llvm::Function& unit, std::span<llvm::Instruction* const> charges, bool copies);

/// Whether a loop is in a copy for which no further work pays.
bool stays_exact(const llvm::Loop& loop);

}  // namespace vmrun::jit::opt
