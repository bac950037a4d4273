// Stopping machine code, which does not poll, by a signal.
//
// The stop signal (SIGURG, which programs ignore by default and may get at any time) comes to the thread that a guest
// runs on. When the interrupted pc lies in preemptible code of a CodeObject and something is wanted from the guest
// (vm::stop_wanted), the handler makes the thread go on in a stub: it saves all registers, records the position in the
// running activation and serves the requests (vm::poll), which may take long and end on another thread; then every
// register is put back and the guest goes on at the very instruction, or it leaves by a trap. Anywhere else (the
// interpreter, trampolines, prologues, the host) the handler makes the guest poll at its next call or back-edge, or when
// the host or a helper returns to machine code, and asks for the signal again in a while, by a timer of the thread, until
// nothing is wanted any more.
//
// Threads. The handler uses only its thread's own state, atomics and system calls. Signals may be sent at any time: one
// that comes too late does nothing. Code that runs between a stop and its end must not keep the address of a
// thread-local variable, and neither may its callers here: the stub uses none.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <cstdint>

namespace vmrun::jit {

/// Whether machine code is stopped by signals. If not, compilers are asked for polls at back-edges (CompileRequest::polls):
/// ThreadSanitizer holds signals back until the thread calls something it knows, which guests may never do.
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
inline constexpr bool kStopsBySignal = false;
#else
inline constexpr bool kStopsBySignal = true;
#endif

/// The stop signal. It is also the ticks' (jit/stop/sample.h).
inline constexpr int kStopSignal = SIGURG;

/// Installs the handler and tells vm/runtime/stop.h about the signal. Once per process, by the code space when it is made. A handler
/// that was there before is called for signals that stop nobody.
void preempt_install();

/// Asks whatever guest runs on `thread` when the signal gets there to yield (vm::Request::yield). The thread must live.
/// Builds whose code polls ask every guest.
void preempt_thread(pthread_t thread);

/// What happened so far in the process.
struct PreemptCounts {
  uint64_t signals;  // that came while a guest was running
  uint64_t stops;    // of machine code, by the stub
  uint64_t retries;  // asked for, because the guest could not be stopped there
};
PreemptCounts preempt_counts();

}  // namespace vmrun::jit
