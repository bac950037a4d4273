// The jump out of C++ code into a frame further down the stack, for x86-64: see activation.h.
#include "vm/runtime/activation.h"
#include "vm/runtime/layout.h"

#if defined(__x86_64__)

namespace vmrun::vm {

// rdi: the vCPU, rsi and rdx: the Transfer.
__attribute__((naked)) void transfer(Vcpu&, Transfer) {
  asm("movq %c0(%%rdi), %%rcx\n"
      "movq %%rdi, %%rax\n"
      "movq %c1(%%rcx), %%rbp\n"
      "movq %%rdx, %%rsp\n"
      "jmpq *%%rsi"
      :
      : "i"(layout::vcpu::activation), "i"(layout::activation::fp));
}

}  // namespace vmrun::vm

#endif
