// Where an exception enters interpreter frames that are not those of the running handlers, for x86-64.
#include "interp/handlers/handler.h"
#include "interp/runtime.h"

#if defined(__x86_64__)

namespace vmrun::interp {

// As vm::transfer says, rax is the vCPU; handlers have it in r15 (the fourth parameter of preserve_none).
__attribute__((naked)) void landing() {
  asm("movq %%rax, %%r15\n"
      "jmp %P0"
      :
      : "i"(&landed));
}

}  // namespace vmrun::interp

#endif
