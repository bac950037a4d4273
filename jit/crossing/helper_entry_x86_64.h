// What stands between machine code and the C++ body of a helper, for x86-64. The entry stores where the caller stands in
// the newest activation, and calls the body by the C convention with the caller's arguments. By the type that the body
// returns:
//   T             the entry jumps to the body, which returns to the machine code
//   vm::TrapCode  a trap, if it is not None; the helper has no result. Polls
//   Checked       a trap, or the helper's result. Polls
//   vm::Transfer  gone to, if it is somewhere; the helper has no result
//   Prologue      a trap, if it is not None; the vCPU is in r12, the body's argument in r9, and all registers that may
//                 hold parameters survive
// Those that poll serve what is wanted from the guest (vm/runtime/stop.h) before they return: they may have taken long, and a
// loop of little else gives signals no chance.
// Callee-saved registers of the C convention survive a helper that returns. A body must not be visible outside of the
// library: its address is part of the entry.
#pragma once

#include "jit/crossing/helpers.h"
#include "vm/runtime/layout.h"
#include "vm/runtime/stop.h"

namespace vmrun::jit {

// rdi: the vCPU. Scratch: rax, r10. rsp is as at the entry, where the return address lies on top.
#define VMRUN_HELPER_ENTRY(text)                                                                             \
  asm("movq %c0(%%rdi), %%rax\n"                                                                             \
      "movq (%%rsp), %%r10\n"                                                                                \
      "movq %%r10, %c1(%%rax)\n"                                                                             \
      "movq %%rbp, %c2(%%rax)\n"                                                                             \
      "leaq 8(%%rsp), %%r10\n"                                                                               \
      "movq %%r10, %c3(%%rax)\n" text                                                                        \
      :                                                                                                      \
      : "i"(vm::layout::vcpu::activation), "i"(vm::layout::activation::pc), "i"(vm::layout::activation::fp), \
        "i"(vm::layout::activation::sp), "i"(Body), "i"(&vm::transfer), "i"(&vm::leave_by_trap),             \
        "i"(vm::layout::vcpu::interrupt), "i"(&vm::poll_on_return))

// What moves rsp says so to debuggers too.
#define VMRUN_PUSH(reg) "pushq %%" #reg "\n.cfi_adjust_cfa_offset 8\n"
#define VMRUN_POP(reg) "popq %%" #reg "\n.cfi_adjust_cfa_offset -8\n"
#define VMRUN_LOWER(bytes) "subq $" #bytes ", %%rsp\n.cfi_adjust_cfa_offset " #bytes "\n"
#define VMRUN_RAISE(bytes) "addq $" #bytes ", %%rsp\n.cfi_adjust_cfa_offset -" #bytes "\n"

#define VMRUN_CALL_BODY VMRUN_PUSH(rdi) "callq %P4\n" VMRUN_POP(rdi)
// A trap in esi: rsp is as at the entry.
#define VMRUN_LEAVE_BY_TRAP VMRUN_PUSH(rdi) "callq %P6\n" VMRUN_POP(rdi) "movq %%rax, %%rsi\njmp %P5"

template <class R, auto Body>
struct HelperEntry {
  __attribute__((naked)) static void enter() { VMRUN_HELPER_ENTRY("jmp %P4"); }
};

template <auto Body>
struct HelperEntry<vm::TrapCode, Body> {
  static_assert(sizeof(vm::TrapCode) == 1 && static_cast<int>(vm::TrapCode::None) == 0);
  __attribute__((naked)) static void enter() {
    VMRUN_HELPER_ENTRY(VMRUN_CALL_BODY
                       "movzbl %%al, %%esi\n"
                       "testl %%esi, %%esi\n"
                       "jnz 1f\n"
                       "cmpw $0, %c7(%%rdi)\n"
                       "jne 2f\n"
                       "retq\n"
                       "2:\n" VMRUN_PUSH(rdi) "callq %P8\n" VMRUN_POP(rdi)
                       "movzbl %%al, %%esi\n"
                       "testl %%esi, %%esi\n"
                       "jnz 1f\n"
                       "retq\n"
                       "1:\n" VMRUN_LEAVE_BY_TRAP);
  }
};

template <auto Body>
struct HelperEntry<Checked, Body> {
  __attribute__((naked)) static void enter() {
    VMRUN_HELPER_ENTRY(VMRUN_CALL_BODY
                       "movzbl %%dl, %%esi\n"
                       "testl %%esi, %%esi\n"
                       "jnz 1f\n"
                       "cmpw $0, %c7(%%rdi)\n"
                       "jne 2f\n"
                       "retq\n"
                       "2:\n" VMRUN_PUSH(rdi) VMRUN_PUSH(rax) VMRUN_LOWER(8) "callq %P8\n" VMRUN_RAISE(8)
                       "movzbl %%al, %%esi\n" VMRUN_POP(rax) VMRUN_POP(rdi)
                       "testl %%esi, %%esi\n"
                       "jnz 1f\n"
                       "retq\n"
                       "1:\n" VMRUN_LEAVE_BY_TRAP);
  }
};

template <auto Body>
struct HelperEntry<vm::Transfer, Body> {
  __attribute__((naked)) static void enter() {
    VMRUN_HELPER_ENTRY(VMRUN_CALL_BODY
                       "testq %%rax, %%rax\n"
                       "jnz 1f\n"
                       "retq\n"
                       "1:\n"
                       "movq %%rax, %%rsi\n"
                       "jmp %P5");
  }
};

template <auto Body>
struct HelperEntry<Prologue, Body> {
  static_assert(sizeof(Prologue) == 1);
  // 200 bytes: eight registers, eight vector registers, and rsp aligned for the call.
  __attribute__((naked)) static void enter() {
    asm(VMRUN_LOWER(200)
        "movq %%r15, (%%rsp)\n"
        "movq %%rdi, 8(%%rsp)\n"
        "movq %%rsi, 16(%%rsp)\n"
        "movq %%rdx, 24(%%rsp)\n"
        "movq %%rcx, 32(%%rsp)\n"
        "movq %%r8, 40(%%rsp)\n"
        "movq %%r9, 48(%%rsp)\n"
        "movq %%r11, 56(%%rsp)\n"
        "vmovups %%xmm0, 64(%%rsp)\n"
        "vmovups %%xmm1, 80(%%rsp)\n"
        "vmovups %%xmm2, 96(%%rsp)\n"
        "vmovups %%xmm3, 112(%%rsp)\n"
        "vmovups %%xmm4, 128(%%rsp)\n"
        "vmovups %%xmm5, 144(%%rsp)\n"
        "vmovups %%xmm6, 160(%%rsp)\n"
        "vmovups %%xmm7, 176(%%rsp)\n"
        "movq %c0(%%r12), %%rax\n"
        "movq 200(%%rsp), %%r10\n"
        "movq %%r10, %c1(%%rax)\n"
        "movq %%rbp, %c2(%%rax)\n"
        "leaq 208(%%rsp), %%r10\n"
        "movq %%r10, %c3(%%rax)\n"
        "movq %%r12, %%rdi\n"
        "movq %%r9, %%rsi\n"
        "callq %P4\n"
        "movzbl %%al, %%esi\n"
        "movq (%%rsp), %%r15\n"
        "testl %%esi, %%esi\n"
        "jnz 1f\n"
        "movq 8(%%rsp), %%rdi\n"
        "movq 16(%%rsp), %%rsi\n"
        "movq 24(%%rsp), %%rdx\n"
        "movq 32(%%rsp), %%rcx\n"
        "movq 40(%%rsp), %%r8\n"
        "movq 48(%%rsp), %%r9\n"
        "movq 56(%%rsp), %%r11\n"
        "vmovups 64(%%rsp), %%xmm0\n"
        "vmovups 80(%%rsp), %%xmm1\n"
        "vmovups 96(%%rsp), %%xmm2\n"
        "vmovups 112(%%rsp), %%xmm3\n"
        "vmovups 128(%%rsp), %%xmm4\n"
        "vmovups 144(%%rsp), %%xmm5\n"
        "vmovups 160(%%rsp), %%xmm6\n"
        "vmovups 176(%%rsp), %%xmm7\n"
        ".cfi_remember_state\n" VMRUN_RAISE(200)
        "retq\n"
        ".cfi_restore_state\n"
        "1:\n"
        "movq %%r12, %%rdi\n" VMRUN_RAISE(200) VMRUN_LEAVE_BY_TRAP
        :
        : "i"(vm::layout::vcpu::activation), "i"(vm::layout::activation::pc), "i"(vm::layout::activation::fp),
          "i"(vm::layout::activation::sp), "i"(Body), "i"(&vm::transfer), "i"(&vm::leave_by_trap));
  }
};

#undef VMRUN_LEAVE_BY_TRAP
#undef VMRUN_CALL_BODY
#undef VMRUN_RAISE
#undef VMRUN_LOWER
#undef VMRUN_POP
#undef VMRUN_PUSH
#undef VMRUN_HELPER_ENTRY

}  // namespace vmrun::jit
