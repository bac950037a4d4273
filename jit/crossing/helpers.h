// The runtime's side of VMRUN_HELPERS (jit/crossing/abi.h): what machine code calls through Vcpu::helpers.
#pragma once

#include "vm/base/trap.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/instance.h"

namespace vmrun::jit {

/// What Vcpu::helpers points to: an entry per jit::Helper, and kTailCallEntry's.
const void* const* helper_table();

/// What the body of a helper with a result may return instead of it: the result, or a trap.
struct Checked {
  uint64_t value;
  uint64_t trap;  // vm::TrapCode
};

/// What the body of a helper returns that is called with r12 and r9 as a function's prologue has them, and whose caller's
/// parameters survive: a trap, if it is not None.
struct Prologue {
  vm::TrapCode trap;
};

}  // namespace vmrun::jit
