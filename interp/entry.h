// The frame between the host and handlers. One file per target.
#pragma once

#include "interp/cell.h"

namespace vmrun::interp {

/// Runs handlers from `pc` on until one returns, or something leaves through activation.native_sp, which this sets: it
/// is what handlers see as their stack pointer. `regs` are r0, r1, f0, f1.
void enter_handlers(const Cell* pc, std::byte* fp, vm::Vcpu* cx, vm::Instance* inst, vm::Activation* activation,
                    const uint64_t* regs);

}  // namespace vmrun::interp
