// Hardware faults as traps. One handler for SIGSEGV, SIGBUS and SIGFPE is installed once per process. A fault is ours
// when its pc lies in registered code, and (SIGSEGV, SIGBUS) its address in a known reservation of linear memory: then
// the code's owner rewrites the interrupted context. Any other fault goes to the handler that was there before, as if
// we were not.
//
// Threads: everything here may be called from any thread; the tables that the signal handler reads are fixed arrays of
// atomics, because a handler can neither lock nor allocate.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vmrun::vm {

/// Rewrites `ucontext` so that the thread goes on in the trap exit; false when the fault is none of its own after all.
/// Runs inside the signal handler: async-signal-safe code only. `address` is the faulting one (SIGFPE: the pc).
using FaultRedirect = bool (*)(int signal, const void* address, void* ucontext);

/// Code whose faults `redirect` handles: [begin, end). At most 16 registrations in a process; later ones with the same
/// `begin` are ignored.
void fault_register_code(const void* begin, const void* end, FaultRedirect redirect);

/// Installs the handler, once per process. Called by whoever makes an engine.
void fault_install();

/// Gives the calling thread an alternate signal stack unless it has one; freed when the thread ends. Call before
/// running guest code on a thread; cheap when done already.
void fault_prepare_thread();

/// Reservations of linear memory, `kFaultReservation` bytes each, page-aligned.
inline constexpr uint64_t kFaultReservation = (8ull << 30) + (64u << 10);
void fault_add_reservation(const void* base);
void fault_remove_reservation(const void* base);
bool fault_in_reservation(const void* address);

}  // namespace vmrun::vm
