// Calls out of machine code for whose signature there are no trampolines, because there is no memory for them: every value
// is moved by what the type says, and the callee is entered as the host enters it. Slower by far, and each call takes one
// of the levels that StoreLimits::host_depth allows, a tail call too; else as any other call.
#pragma once

namespace vmrun::jit {

/// What machine code may call instead of a trampoline, with the registers of jit/crossing/abi.h. Any signature.
const void* slow_call_entry();

}  // namespace vmrun::jit
