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

void native_calls(int32_t calls) {
  int32_t x = 0;
  for (; calls != 0; calls -= 8) {
    x = native_leaf(native_leaf(native_leaf(native_leaf(x))));
    x = native_leaf(native_leaf(native_leaf(native_leaf(x))));
  }
}

void native_indirect_calls(int32_t calls) {
  static int32_t (*volatile table[2])(int32_t) = {native_leaf, other};
  int32_t x = 0;
  for (; calls != 0; calls -= 8) {
    x = table[x & 1](x);
    x = table[x & 1](x);
    x = table[x & 1](x);
    x = table[x & 1](x);
    x = table[x & 1](x);
    x = table[x & 1](x);
    x = table[x & 1](x);
    x = table[x & 1](x);
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
