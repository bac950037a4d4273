// Putting machine code in force, and taking it out again.
//
// A function's machine code is entered from machine code by FuncCode::machine and from the interpreter by
// FuncCode::entry; both are set by one release store each, machine first, so that whoever finds the one finds the
// other. Unlinking goes the other way round; a vCPU that is on its way in meanwhile gets there, so the code may only be
// freed later (jit/code/code.h).
//
// Threads: any; one at a time for one function (the tier manager owns a block's state).
#pragma once

#include "jit/code/code.h"
#include "vm/blocks/block.h"

namespace vmrun::jit {

/// Calls of `code` from now on run `entry`. False when there is no code memory for trampolines.
bool publish_function(vm::FuncCode& code, const void* entry, vm::Tier tier);
/// Calls run in the interpreter again.
void unlink_function(vm::FuncCode& code);

/// Makes what entries at all loops of `code` need. Once for any number of them, because it takes time in proportion to
/// the signature. False as above: then no loop of it may be published.
bool prepare_loops(vm::FuncCode& code);
/// Interpreter frames that use up a slice at `loop`, and those of baseline code, may go on at `entry`. The loop's function
/// has been prepared.
void publish_loop(vm::LoopCode& loop, const void* entry, vm::Tier tier);
void unlink_loop(vm::LoopCode& loop);

}  // namespace vmrun::jit
