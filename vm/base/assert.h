// VMRUN_ASSERT: for our own bugs only. A guest's trap and a user's error are values, never assertions.
//
// Everything here may be called from any thread and from signal handlers.
#pragma once

#include <string_view>

namespace vmrun::vm {

/// The exit status of a process that found a bug of ours (sysexits.h: EX_SOFTWARE). No trap and no error ends with it.
inline constexpr int kInternalErrorStatus = 70;

/// Says on stderr what went wrong and what to report, and ends the process with kInternalErrorStatus.
[[noreturn]] void internal_error(std::string_view what);
/// internal_error about a broken assumption, with its place.
[[noreturn]] void assertion_failed(const char* condition, const char* context, const char* file, int line);
/// Says on stderr what the embedder did wrong, where no Error can be returned any more, and aborts.
[[noreturn]] void misuse(std::string_view what);

}  // namespace vmrun::vm

/// Ends the process with `context` when `cond` does not hold; always compiled in.
#define VMRUN_ASSERT(cond, context)                \
  (__builtin_expect(static_cast<bool>(cond), true) \
       ? static_cast<void>(0)                      \
       : ::vmrun::vm::assertion_failed(#cond, context, __FILE__, __LINE__))
