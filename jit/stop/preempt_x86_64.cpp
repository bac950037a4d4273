// The preemption stub for x86-64.
//
// Machine code keeps nothing below rsp, so the handler pushes the pc there and the stub ends with `ret`. The stub saves
// the flags and all general registers, and with XSAVEC (or XSAVE) the x87, SSE, AVX and AVX-512 state as far as the
// system has it enabled: not MPX, protection keys or AMX, which guest code does not use (AMX alone would be 8 KiB).
#include "jit/stop/preempt_stub.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <signal.h>
#include <ucontext.h>

#include <algorithm>
#include <cstddef>

#include "vm/base/assert.h"

extern "C" {
__attribute__((visibility("hidden"))) void vmrun_preempt_stub();
// How to save: bytes to set aside (a multiple of 64), the mask of components, and whether by XSAVEC.
__attribute__((visibility("hidden"))) uint64_t vmrun_preempt_state_bytes = 0;
__attribute__((visibility("hidden"))) uint32_t vmrun_preempt_state_mask = 0;
__attribute__((visibility("hidden"))) uint32_t vmrun_preempt_compact = 0;
}

namespace vmrun::jit {
namespace {

/// As the stub pushes it, from the lowest address.
struct SavedRegisters {
  uint64_t rbx, rbp, r12, r13, r14, r15, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11, flags;
  const void* pc;
};
static_assert(sizeof(SavedRegisters) == 17 * 8 && offsetof(SavedRegisters, pc) == 16 * 8);

}  // namespace
}  // namespace vmrun::jit

// `leave` receives the transfer's stack pointer, the vCPU and the frame pointer.
extern "C" __attribute__((visibility("hidden"), used)) const void* vmrun_preempted(vmrun::jit::SavedRegisters* saved,
                                                                                   void** leave) {
  vmrun::jit::StoppedAt at{saved->pc, reinterpret_cast<std::byte*>(saved->rbp), saved + 1};
  vmrun::vm::Vcpu* cx = nullptr;
  const vmrun::vm::Transfer transfer = vmrun::jit::serve_preemption(at, &cx);
  leave[0] = transfer.sp;
  leave[1] = cx;
  leave[2] = transfer.to != nullptr ? cx->activation->fp : nullptr;
  return transfer.to;
}

asm(R"(
  .text
  .p2align 4
  .hidden vmrun_preempt_stub
  .globl vmrun_preempt_stub
  .type vmrun_preempt_stub, @function
  .macro vmrun_save register
    pushq %\register
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %\register, 0
  .endm
  .macro vmrun_restore register
    popq %\register
    .cfi_adjust_cfa_offset -8
    .cfi_restore %\register
  .endm
vmrun_preempt_stub:
  .cfi_startproc
  .cfi_signal_frame  # the instruction that was stopped at did not call
  pushfq
  .cfi_adjust_cfa_offset 8
  vmrun_save r11
  vmrun_save r10
  vmrun_save r9
  vmrun_save r8
  vmrun_save rdi
  vmrun_save rsi
  vmrun_save rdx
  vmrun_save rcx
  vmrun_save rax
  vmrun_save r15
  vmrun_save r14
  vmrun_save r13
  vmrun_save r12
  vmrun_save rbp
  vmrun_save rbx
  movq %rsp, %rbx
  .cfi_def_cfa_register %rbx
  subq $24, %rsp
  subq vmrun_preempt_state_bytes(%rip), %rsp
  andq $-64, %rsp
  xorl %eax, %eax
  movq %rax, 512(%rsp)
  movq %rax, 520(%rsp)
  movq %rax, 528(%rsp)
  movq %rax, 536(%rsp)
  movq %rax, 544(%rsp)
  movq %rax, 552(%rsp)
  movq %rax, 560(%rsp)
  movq %rax, 568(%rsp)
  movl vmrun_preempt_state_mask(%rip), %eax
  xorl %edx, %edx
  cmpl $0, vmrun_preempt_compact(%rip)
  je 1f
  xsavec64 (%rsp)
  jmp 2f
1:
  xsave64 (%rsp)
2:
  cld
  vzeroupper
  movq %rbx, %rdi
  leaq -24(%rbx), %rsi
  xorl %ebp, %ebp
  callq vmrun_preempted
  testq %rax, %rax
  jne 3f
  movl vmrun_preempt_state_mask(%rip), %eax
  xorl %edx, %edx
  xrstor64 (%rsp)
  movq %rbx, %rsp
  .cfi_remember_state
  .cfi_def_cfa_register %rsp
  vmrun_restore rbx
  vmrun_restore rbp
  vmrun_restore r12
  vmrun_restore r13
  vmrun_restore r14
  vmrun_restore r15
  vmrun_restore rax
  vmrun_restore rcx
  vmrun_restore rdx
  vmrun_restore rsi
  vmrun_restore rdi
  vmrun_restore r8
  vmrun_restore r9
  vmrun_restore r10
  vmrun_restore r11
  popfq
  .cfi_adjust_cfa_offset -8
  retq
  .cfi_restore_state
3:
  movq %rax, %rcx
  movq -24(%rbx), %rsp
  movq -8(%rbx), %rbp
  movq -16(%rbx), %rax
  jmpq *%rcx
  .cfi_endproc
  .purgem vmrun_save
  .purgem vmrun_restore
  .size vmrun_preempt_stub, .-vmrun_preempt_stub
)");

namespace vmrun::jit {

void prepare_preempt_stub() {
  unsigned a, b, c, d;
  VMRUN_ASSERT(__get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_OSXSAVE) != 0, "the system saves extended state");
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr uint32_t kX87 = 1, kSse = 2, kAvx = 4, kMasks = 1u << 5, kUpperZmm = 1u << 6, kMoreZmm = 1u << 7;
  const uint32_t mask = low & (kX87 | kSse | kAvx | kMasks | kUpperZmm | kMoreZmm);
  __cpuid_count(0xd, 1, a, b, c, d);
  const bool compact = (a & 2) != 0;
  // The legacy area and the header, then the components: packed, or where the CPU says.
  uint64_t bytes = 512 + 64;
  for (unsigned i = 2; i < 32; ++i) {
    if ((mask >> i & 1) == 0) continue;
    unsigned size, offset, flags;
    __cpuid_count(0xd, i, size, offset, flags, d);
    if (compact) {
      if ((flags & 2) != 0) bytes = (bytes + 63) & ~uint64_t{63};
      bytes += size;
    } else {
      bytes = std::max<uint64_t>(bytes, offset + size);
    }
  }
  vmrun_preempt_state_bytes = (bytes + 63) & ~uint64_t{63};
  vmrun_preempt_state_mask = mask;
  vmrun_preempt_compact = compact ? 1 : 0;
}

const void* interrupted_pc(const void* ucontext) {
  return reinterpret_cast<const void*>(static_cast<const ucontext_t*>(ucontext)->uc_mcontext.gregs[REG_RIP]);
}

InterruptedAt interrupted_at(const void* ucontext) {
  const greg_t* regs = static_cast<const ucontext_t*>(ucontext)->uc_mcontext.gregs;
  // Handlers have the cell and the frame in the first two registers of preserve_none (interp/cell.h).
  return {reinterpret_cast<const void*>(regs[REG_RIP]), reinterpret_cast<std::byte*>(regs[REG_RBP]),
          reinterpret_cast<void*>(regs[REG_RSP]), reinterpret_cast<const void*>(regs[REG_R12]),
          reinterpret_cast<std::byte*>(regs[REG_R13])};
}

// Reads a stack and code that address checks know nothing of.
__attribute__((no_sanitize("address"))) const void* return_address_without_frame(const InterruptedAt& at) {
  auto* code = static_cast<const uint8_t*>(at.pc);
  auto* stack = static_cast<const void* const*>(at.sp);
  if (code[0] == 0x55 || code[0] == 0xc3) return stack[0];  // push rbp; ret
  const bool moves = code[0] == 0x48 && ((code[1] == 0x89 && code[2] == 0xe5) || (code[1] == 0x8b && code[2] == 0xec));
  return moves && stack[0] == at.fp ? stack[1] : nullptr;  // mov rbp, rsp, behind the push
}

// Writes beneath a frame that address checks know nothing of.
__attribute__((no_sanitize("address"))) void redirect_to_preempt_stub(void* ucontext) {
  greg_t* regs = static_cast<ucontext_t*>(ucontext)->uc_mcontext.gregs;
  regs[REG_RSP] -= 8;
  *reinterpret_cast<greg_t*>(regs[REG_RSP]) = regs[REG_RIP];
  regs[REG_RIP] = reinterpret_cast<greg_t>(&vmrun_preempt_stub);
}

}  // namespace vmrun::jit

#endif
