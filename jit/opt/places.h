// Places in the image through code generation, for emit.cpp.
#pragma once

namespace llvm {
class Function;
class Pass;
}  // namespace llvm

namespace vmrun::jit::opt {

/// Before code generation: has each access that may fault carry its place (places.cpp).
void note_places(llvm::Function& unit);
/// Behind the last machine pass: gives machine instructions the places of what they access. The pass manager owns it.
llvm::Pass* make_restore_places();

}  // namespace vmrun::jit::opt
