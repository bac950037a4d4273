// The lazy machine entry for x86-64: see machine_entry.h, and jit/crossing/abi.h for the registers.
#include "vm/runtime/machine_entry.h"

#if defined(__x86_64__)

extern "C" {
__attribute__((visibility("hidden"))) vmrun::vm::MachineResolver vmrun_machine_resolver = nullptr;
__attribute__((visibility("hidden"))) void vmrun_lazy_machine_entry();
}

asm(R"(
  .text
  .p2align 4
  .hidden vmrun_lazy_machine_entry
  .globl vmrun_lazy_machine_entry
  .type vmrun_lazy_machine_entry, @function
vmrun_lazy_machine_entry:
  .cfi_startproc
  pushq %rbp
  .cfi_def_cfa_offset 16
  .cfi_offset %rbp, -16
  movq %rsp, %rbp
  .cfi_def_cfa_register %rbp
  subq $192, %rsp
  movups %xmm0, 0(%rsp)
  movups %xmm1, 16(%rsp)
  movups %xmm2, 32(%rsp)
  movups %xmm3, 48(%rsp)
  movups %xmm4, 64(%rsp)
  movups %xmm5, 80(%rsp)
  movups %xmm6, 96(%rsp)
  movups %xmm7, 112(%rsp)
  movq %rdi, 128(%rsp)
  movq %rsi, 136(%rsp)
  movq %rdx, 144(%rsp)
  movq %rcx, 152(%rsp)
  movq %r8, 160(%rsp)
  movq %r9, 168(%rsp)
  movq %r11, 176(%rsp)
  movq %r9, %rdi
  movq %r12, %rsi
  callq *vmrun_machine_resolver(%rip)
  movups 0(%rsp), %xmm0
  movups 16(%rsp), %xmm1
  movups 32(%rsp), %xmm2
  movups 48(%rsp), %xmm3
  movups 64(%rsp), %xmm4
  movups 80(%rsp), %xmm5
  movups 96(%rsp), %xmm6
  movups 112(%rsp), %xmm7
  movq 128(%rsp), %rdi
  movq 136(%rsp), %rsi
  movq 144(%rsp), %rdx
  movq 152(%rsp), %rcx
  movq 160(%rsp), %r8
  movq 168(%rsp), %r9
  movq 176(%rsp), %r11
  leave
  .cfi_def_cfa %rsp, 8
  jmpq *%rax
  .cfi_endproc
  .size vmrun_lazy_machine_entry, .-vmrun_lazy_machine_entry
)");

namespace vmrun::vm {

void set_machine_resolver(MachineResolver resolver) { vmrun_machine_resolver = resolver; }
const void* lazy_machine_entry() { return reinterpret_cast<const void*>(&vmrun_lazy_machine_entry); }

}  // namespace vmrun::vm

#endif
