// System calls that wait, and that end when the guest that made them is interrupted or its task cancelled
// (vm::ends_calls).
//
// The flags are looked at right before the system call, and the signal comes right after one was set. So that no moment
// between the two is lost, the look and the system call are one short run of instructions that the stop signal's
// handler knows: it makes a thread that stands in it go on behind it with -EINTR. The system leaves a call that it
// would begin again after the handler at the instruction itself, so one that waits is ended too, although the handler
// has SA_RESTART for the host's own calls.
#pragma once

#include <cstdint>

namespace vmrun::vm {

/// The system call `number` on behalf of the guest that runs on this thread. Returns what the system does: the result,
/// or a negated errno value; -EINTR without a call, or instead of waiting on, when the guest was interrupted
/// or its task cancelled. Where no guest runs, the plain system call. Looks at no thread-local errno. Not a system call
/// that fills memory before it waits.
int64_t stoppable_call(long number, long a = 0, long b = 0, long c = 0, long d = 0);
int64_t stoppable_call(long number, long a, long b, long c, long d, long e, long f = 0);

/// Whether the guest that runs on this thread was interrupted or its task cancelled: for host functions that do without
/// the system what takes long. What they return then is of no interest, because the guest traps on the way back to it.
bool guest_interrupted();

/// In the stop signal's handler, when vm::ends_calls says so of the guest of this thread: ends the stoppable call that
/// `ucontext` stands in, if it does.
void end_stoppable_call(void* ucontext);

/// In a signal handler: whether `ucontext` stands in a stoppable call, or right behind the system call.
bool in_stoppable_call(const void* ucontext);

}  // namespace vmrun::vm
