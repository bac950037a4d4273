// Memory that ended guests leave in the C library's heap.
#pragma once

#include <cstddef>

namespace vmrun {

/// A guest of a task has ended. Any thread.
void note_ended_guest() noexcept;

/// Gives what guests have freed back to the system, if many have ended since the last time: the C library keeps it, for
/// itself, and other threads that allocate may wait a few milliseconds. For a thread that has nothing better to do.
void give_back_freed_memory() noexcept;

}  // namespace vmrun
