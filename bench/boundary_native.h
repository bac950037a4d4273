// The native peers of bench/boundary_bench.cpp: what its guest does, in C.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

int32_t native_leaf(int32_t n);
/// Nothing, a direct call, and a call through a table of two functions, so many times.
void native_loop(int32_t rounds);
void native_calls(int32_t rounds);
void native_indirect_calls(int32_t rounds);
/// By two calls: compilers may not turn either into a loop.
int32_t native_fib(int32_t n);

#ifdef __cplusplus
}
#endif
