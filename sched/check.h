// SCHED_ASSERT: for bugs of this library only. What its caller did wrong, where nothing can be returned, is misuse();
// whatever a program may meet is a value.
#pragma once

namespace vmrun::sched {

/// Prints the broken assumption with its place to stderr and ends the process with status 70.
[[noreturn]] void check_failed(const char* condition, const char* context, const char* file, int line);

/// Says on stderr what the caller did wrong and what to do instead, and aborts.
[[noreturn]] void misuse(const char* what);

}  // namespace vmrun::sched

/// Ends the process with `context` when `cond` does not hold; always compiled in.
#define SCHED_ASSERT(cond, context)                                       \
  (__builtin_expect(static_cast<bool>(cond), true) ? static_cast<void>(0) \
                                                   : ::vmrun::sched::check_failed(#cond, context, __FILE__, __LINE__))
