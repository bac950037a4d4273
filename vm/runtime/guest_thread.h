// Who wants to hear of threads that begin to run guests.
#pragma once

#include <atomic>

namespace vmrun::vm {

/// Called on each thread before it runs its first guest, from when it is set on. May make system calls; not more.
extern constinit std::atomic<void (*)()> guest_thread_begins;

/// Has it called again before this thread's next guest. On a thread that runs none now; for signal handlers.
void guest_thread_paused();

}  // namespace vmrun::vm
