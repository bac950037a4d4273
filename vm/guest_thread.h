// Who wants to hear of threads that begin to run guests.
#pragma once

#include <atomic>

namespace vmrun::vm {

/// Called once on each thread before it runs its first guest, from when it is set on. May make system calls; not more.
extern constinit std::atomic<void (*)()> guest_thread_begins;

}  // namespace vmrun::vm
