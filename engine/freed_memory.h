// Memory that dead stores leave in the C library's heap.
#pragma once

namespace vmrun {

/// A store is born.
void note_new_store() noexcept;
/// A store has died. When half of them all have, and they were many, what they have freed goes back to the system: the C
/// library keeps it, in pages between those in use. That takes a few milliseconds for each thousand, in which other
/// threads that allocate may wait. Any thread.
void note_dead_store() noexcept;

}  // namespace vmrun
