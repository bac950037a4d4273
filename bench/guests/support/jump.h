// setjmp and longjmp for guests. The packaged wasi-libc has no <setjmp.h>: for WebAssembly these are the declarations
// that the compiler's lowering (-mllvm -wasm-enable-sjlj) looks for, with support/jump.c beneath.
#ifndef BENCH_GUESTS_SUPPORT_JUMP_H_
#define BENCH_GUESTS_SUPPORT_JUMP_H_

#ifdef __wasm__
typedef struct {
  void* invocation;  // names the running call of the function that called setjmp
  unsigned label;    // which setjmp of that function, from 1
  struct {
    void* env;
    int value;
  } thrown;  // what the exception carries to the landing pad
} jmp_buf[1];

int setjmp(jmp_buf env) __attribute__((returns_twice));
_Noreturn void longjmp(jmp_buf env, int value);
#else
#include <setjmp.h>
#endif

#endif  // BENCH_GUESTS_SUPPORT_JUMP_H_
