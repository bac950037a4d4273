// VMRUN_ASSERT: for our own bugs only. A guest's trap and a user's error are values, never assertions.
#pragma once

namespace vmrun::vm {

/// Prints the broken assumption with its place to stderr and aborts.
[[noreturn]] void assertion_failed(const char* condition, const char* context, const char* file, int line);

}  // namespace vmrun::vm

/// Aborts with `context` when `cond` does not hold; always compiled in.
#define VMRUN_ASSERT(cond, context)                \
  (__builtin_expect(static_cast<bool>(cond), true) \
       ? static_cast<void>(0)                      \
       : ::vmrun::vm::assertion_failed(#cond, context, __FILE__, __LINE__))
