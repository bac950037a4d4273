// Runtime of the compiler's setjmp lowering: it turns setjmp into __wasm_setjmp, asks __wasm_setjmp_test at each
// landing pad whether the jump is meant for this call, and turns longjmp into __wasm_longjmp.
#include "support/jump.h"

// The tag of a jump: the address of the pair (env, value).
__asm__(
    ".globl __c_longjmp\n"
    ".tagtype __c_longjmp i32\n"
    "__c_longjmp:\n");

void __wasm_setjmp(jmp_buf env, unsigned label, void* invocation) {
  env->invocation = invocation;
  env->label = label;
}

unsigned __wasm_setjmp_test(jmp_buf env, void* invocation) { return env->invocation == invocation ? env->label : 0; }

_Noreturn void __wasm_longjmp(jmp_buf env, int value) {
  env->thrown.env = env;
  env->thrown.value = value ? value : 1;
  __builtin_wasm_throw(1, &env->thrown);
}
