// Hardware faults. One handler for SIGSEGV, SIGBUS, SIGFPE and SIGILL is installed once per process. By where a fault's
// pc lies and what it touched, it is one of four things:
//   a guest's trap      The pc lies in registered code. A memory fault's address lies in the reservation of a memory of
//                       the store whose guest runs on the thread, beyond the memory's size. The code's owner agrees, and
//                       rewrites the interrupted context.
//   a bug of ours       Any other fault in registered code: the process ends (vm/base/assert.h). Guest code reaches nothing
//                       but its own memories, and both of its stacks are checked before they are used.
//   a file of ours      SIGBUS at an address where a file of the cache is mapped: somebody has cut it short. The process
//                       ends, and says so (vm/base/mapped_files.h).
//   none of ours        The pc lies elsewhere, the signal was sent by somebody, or the address lies within the present
//                       size of such a memory, whose pages somebody else protects. It goes to the handler that was
//                       there before, as if we were not.
//
// Threads: everything here may be called from any thread; the tables that the signal handler reads are fixed arrays of
// atomics, because a handler can neither lock nor allocate.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vmrun::vm {

struct MemoryInst;

/// Rewrites `ucontext` so that the thread goes on in the trap exit; false when no instruction of a guest faults like
/// this. Runs inside the signal handler: async-signal-safe code only. `address` is the faulting one (SIGFPE: the pc).
using FaultRedirect = bool (*)(int signal, const void* address, void* ucontext);

/// Code whose faults `redirect` handles: [begin, end). `what` names it in messages and lives for ever. At most 16
/// registrations in a process; later ones with the same `begin` are ignored.
void fault_register_code(const void* begin, const void* end, const char* what, FaultRedirect redirect);

/// Installs the handler, once per process. Called by whoever makes an engine.
void fault_install();

/// Gives the calling thread an alternate signal stack unless it has one that is large enough (8 KiB more than a signal
/// frame, sysconf(_SC_MINSIGSTKSZ)); when the thread ends, that is freed and the one before put back. Call before
/// running guest code on a thread; cheap when done already.
void fault_prepare_thread();

/// Reservations of linear memory, `kFaultReservation` bytes each, page-aligned.
inline constexpr uint64_t kFaultReservation = (8ull << 30) + (64u << 10);
void fault_add_reservation(const void* base);
/// The same of address space that somebody else has reserved: false, if there is a reservation that overlaps it.
bool fault_claim_reservation(const void* base);
void fault_remove_reservation(const void* base);
/// Says whose the reservation at `base` is from now on; null: nobody's.
void fault_lend_reservation(const void* base, const MemoryInst* memory);
/// The memory in whose reservation `address` lies; null when there is none.
const MemoryInst* fault_memory_at(const void* address);

}  // namespace vmrun::vm
