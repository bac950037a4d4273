// The crossings between the host, the interpreter and machine code: a set of generated code per shape of signature,
// made when a function of that shape first has machine code or is first called from machine code; it lives as long as
// the process.
//
//   host to machine      MachineEntries::from_host, called by interp::invoke
//   interp to machine    MachineEntries::bridge, a cell's handler: pushes a machine activation and calls
//   OSR                  MachineEntries::osr, a cell's handler: the same into a loop's machine code
//   machine to interp    from_machine: pushes an interpreter activation and goes on as handlers; the frame it makes
//                        returns to `exits`, which returns to the machine code
//   machine to host      to_host: calls a host function on the caller's stack
//
// TAIL CALLS between the kinds keep both stacks constant. Machine code that tail-calls the interpreter arrives at
// from_machine with rbp == entry_fp of the machine activation: its frame is gone, and the return address is the
// bridge's. Then the activation that the bridge made is popped and handlers go on in the frame that made the call to
// the bridge, instead of a new one. A handler that tail-calls machine code arrives at the bridge with fp == entry_fp of
// an activation that from_machine made: that one is popped and the bridge jumps, with from_machine's return address on
// top. What the host entered is not popped: the two together nest once at most.
//
// LIMITS: see vm/runtime/native_stack.h. Each crossing works out the limit of the side it enters from what is left on the side
// it leaves, and puts both back at its end.
//
// Threads: any thread may ask for trampolines; they are immutable.
#pragma once

#include "interp/bridge.h"
#include "jit/code/code.h"
#include "vm/wasm/types.h"

namespace vmrun::jit {

struct Trampolines {
  interp::MachineEntries entries;
  const void* from_machine = nullptr;
  const void* to_host = nullptr;
  interp::Cell exits[3];
  const CodeObject* object = nullptr;
};

/// The trampolines of a signature; null when there is no code memory for them, or no other. Then no function of it gets
/// machine code, and calls of it from machine code go the slow way (slow_call.h).
const Trampolines* trampolines(const vm::FuncType& type);

/// Makes machine code possible in this process: names the resolver of lazy entries and the table of helpers. Any number
/// of times; makes no code. Called by whoever makes an engine, before it makes stores.
void initialize();

}  // namespace vmrun::jit
