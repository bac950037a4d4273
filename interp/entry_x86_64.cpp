// The frame between the host and handlers, for x86-64. Whoever leaves it sets rsp alone, so everything is found by rsp;
// handlers preserve no register but rbp.
#include "interp/entry.h"

#if defined(__x86_64__)

#include <cstddef>

namespace vmrun::interp {

// rdi pc, rsi fp, rdx cx, rcx inst, r8 activation, r9 regs. To: r12 pc, r13 fp, r14 mem, r15 cx, rdi inst, rsi r0, rdx r1,
// rcx r2, r8 r3, xmm0 to xmm3 f0 to f3.
__attribute__((naked)) void enter_handlers(const Cell*, std::byte*, vm::Vcpu*, vm::Instance*, vm::Activation*,
                                           const uint64_t*) {
  asm(R"(
    pushq %%rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %%rbp, -16
    movq %%rsp, %%rbp
    .cfi_def_cfa_register %%rbp
    pushq %%rbx
    pushq %%r12
    pushq %%r13
    pushq %%r14
    pushq %%r15
    .cfi_offset %%rbx, -24
    .cfi_offset %%r12, -32
    .cfi_offset %%r13, -40
    .cfi_offset %%r14, -48
    .cfi_offset %%r15, -56
    subq $8, %%rsp
    leaq -8(%%rsp), %%rax
    movq %%rax, %c0(%%r8)
    movq %%rdi, %%r12
    movq %%rsi, %%r13
    movq %c1(%%rcx), %%r14
    movq %%rdx, %%r15
    movq %%rcx, %%rdi
    movq 0(%%r9), %%rsi
    movq 8(%%r9), %%rdx
    movsd 16(%%r9), %%xmm0
    movsd 24(%%r9), %%xmm1
    xorl %%ecx, %%ecx
    xorl %%r8d, %%r8d
    callq *(%%r12)
    addq $8, %%rsp
    popq %%r15
    popq %%r14
    popq %%r13
    popq %%r12
    popq %%rbx
    popq %%rbp
    .cfi_def_cfa %%rsp, 8
    retq
  )"
      :
      : "i"(offsetof(vm::Activation, native_sp)), "i"(offsetof(vm::Instance, memory0_base)));
}

}  // namespace vmrun::interp

#endif
