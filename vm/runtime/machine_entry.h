// How vm/ and interp/ refer to machine code without knowing its makers: jit/ fills these in when it starts.
//
// FuncCode::machine is never null. Until something better is known it is lazy_machine_entry, which keeps all parameter
// registers of the machine ABI, asks the resolver for the code of the callee (a FuncCode, in the ABI's register) and
// goes there. So trampolines are made only for signatures that machine code calls.
//
// Threads: both variables are written once, before any machine code exists.
#pragma once

#include <atomic>

#include "vm/blocks/block.h"

namespace vmrun::vm {

struct Vcpu;

/// Machine code to enter `code` by, called on the thread of `cx`; also stores it in `code.machine` unless something
/// else is there by now.
using MachineResolver = const void* (*)(FuncCode * code, Vcpu* cx);
void set_machine_resolver(MachineResolver resolver);

const void* lazy_machine_entry();

/// What Vcpu::helpers is set to when a vCPU is made; null as long as nothing can compile.
inline std::atomic<const void* const*> machine_helpers{nullptr};

}  // namespace vmrun::vm
