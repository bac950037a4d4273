// Accesses that may fault: what tells LLVM to leave each as it is, and the way of its place in the image through
// optimisation and code generation (places.cpp).
#pragma once

#include <cstdint>

namespace llvm {
class Function;
class Instruction;
class Pass;
}  // namespace llvm

namespace vmrun::jit::opt {

/// Lowering: the access, a load, a store or an atomic operation, may fault and is at byte `offset` of the image. It
/// becomes volatile, and is never merged with another.
void mark_faulting(llvm::Instruction& access, uint32_t offset);
/// Lowering: the load or store cannot fault, but stays where it is among those that may.
void mark_ordered(llvm::Instruction& access);
/// Whether the access was marked as ordered.
bool is_ordered(const llvm::Instruction& access);
/// Takes either mark off a load or store, where nothing can fault.
void make_plain(llvm::Instruction& access);

/// Before code generation: has each access that may fault carry its place. An access that has lost its own, or got
/// another's, is an error of the unit.
void note_places(llvm::Function& unit);
/// Behind the last machine pass: gives machine instructions the places of what they access. The pass manager owns it.
llvm::Pass* make_restore_places();

}  // namespace vmrun::jit::opt
