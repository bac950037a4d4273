// The native peers of bench/boundary_bench.cpp: what its guest does, in C.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

int32_t native_leaf(int32_t n);
/// So many times nothing.
void native_loop(int32_t rounds);
/// So many direct calls, and calls through a table of two functions: eight in each iteration of a loop, each with the
/// result of the one before.
void native_calls(int32_t calls);
void native_indirect_calls(int32_t calls);
/// By two calls: compilers may not turn either into a loop.
int32_t native_fib(int32_t n);

#ifdef __cplusplus
}
#endif
