// The frame between the host and handlers. One file per target.
#pragma once

#include "interp/cell.h"

namespace vmrun::interp {

/// Runs handlers from `pc` on until one returns, or something leaves through activation.native_sp, which this sets: it
/// is what handlers see as their stack pointer. Takes what a handler takes, and preserves as little.
__attribute__((preserve_none)) void enter_handlers(const Cell* pc, std::byte* fp, std::byte* mem, vm::Vcpu* cx,
                                                   vm::Instance* inst, uint64_t r0, uint64_t r1,
                                                   vm::Activation* activation, double f0, double f1);

}  // namespace vmrun::interp
