// See boundary_native.h. The empty asm statements keep the compiler from knowing a value, and from leaving a call out.
#include "boundary_native.h"

#define HIDE(x) __asm__ volatile("" : "+r"(x))

__attribute__((noinline)) int32_t native_leaf(int32_t n) {
  HIDE(n);
  return n + 1;
}
__attribute__((noinline)) static int32_t other(int32_t n) {
  HIDE(n);
  return n + 2;
}

void native_loop(int32_t rounds) {
  for (; rounds != 0; --rounds) HIDE(rounds);
}

void native_calls(int32_t rounds) {
  for (; rounds != 0; --rounds) {
    int32_t result = native_leaf(1);
    HIDE(result);
  }
}

void native_indirect_calls(int32_t rounds) {
  static int32_t (*volatile table[2])(int32_t) = {native_leaf, other};
  for (; rounds != 0; --rounds) {
    int32_t result = table[rounds & 1](1);
    HIDE(result);
  }
}

int32_t native_fib(int32_t n) {
  if ((uint32_t)n < 2) return n;
  int32_t a = native_fib(n - 1);
  HIDE(a);
  int32_t b = native_fib(n - 2);
  HIDE(b);
  return a + b;
}
