// The frame between the host and handlers, for x86-64. Whoever leaves it sets rsp alone, so everything is found by rsp;
// neither handlers nor this preserve any register but rbp.
#include "interp/entry.h"

#if defined(__x86_64__)

#include "vm/runtime/layout.h"

namespace vmrun::interp {

// All arguments are where handlers have them, but the activation, in rcx.
__attribute__((naked, preserve_none)) void enter_handlers(const Cell*, std::byte*, std::byte*, vm::Vcpu*, vm::Instance*,
                                                          uint64_t, uint64_t, vm::Activation*, double, double) {
  asm(R"(
    pushq %%rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %%rbp, -16
    leaq -8(%%rsp), %%rax
    movq %%rax, %c0(%%rcx)
    callq *(%%r12)
    popq %%rbp
    .cfi_def_cfa %%rsp, 8
    retq
  )"
      :
      : "i"(vm::layout::activation::native_sp));
}

}  // namespace vmrun::interp

#endif
