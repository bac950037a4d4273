// What stands between machine code and the C++ body of a helper, for x86-64. The entry stores where the caller stands in
// the newest activation, and calls the body by the C convention with the caller's arguments. By the type that the body
// returns:
//   T             the entry jumps to the body, which returns to the machine code
//   vm::TrapCode  a trap, if it is not None; the helper has no result
//   Checked       a trap, or the helper's result
//   vm::Transfer  gone to, if it is somewhere; the helper has no result
// Callee-saved registers of the C convention survive a helper that returns. A body must not be visible outside of the
// library: its address is part of the entry.
#pragma once

#include <cstddef>

#include "jit/helpers.h"

namespace vmrun::jit {

// rdi: the vCPU. Scratch: rax, r10. rsp is as at the entry, where the return address lies on top.
#define VMRUN_HELPER_ENTRY(text)                                                                                  \
  asm("movq %c0(%%rdi), %%rax\n"                                                                                  \
      "movq (%%rsp), %%r10\n"                                                                                     \
      "movq %%r10, %c1(%%rax)\n"                                                                                  \
      "movq %%rbp, %c2(%%rax)\n"                                                                                  \
      "leaq 8(%%rsp), %%r10\n"                                                                                    \
      "movq %%r10, %c3(%%rax)\n" text                                                                             \
      :                                                                                                           \
      : "i"(offsetof(vm::Vcpu, activation)), "i"(offsetof(vm::Activation, pc)), "i"(offsetof(vm::Activation, fp)), \
        "i"(offsetof(vm::Activation, sp)), "i"(Body), "i"(&vm::transfer), "i"(&vm::leave_by_trap))

#define VMRUN_CALL_BODY \
  "pushq %%rdi\n"       \
  "callq %P4\n"         \
  "popq %%rdi\n"
// A trap in esi: rsp is as at the entry.
#define VMRUN_LEAVE_BY_TRAP \
  "pushq %%rdi\n"           \
  "callq %P6\n"             \
  "popq %%rdi\n"            \
  "movq %%rax, %%rsi\n"     \
  "jmp %P5"

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

#undef VMRUN_LEAVE_BY_TRAP
#undef VMRUN_CALL_BODY
#undef VMRUN_HELPER_ENTRY

}  // namespace vmrun::jit
