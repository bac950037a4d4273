// Freeing retired machine code while guests run.
//
// A walk over the stacks of all vCPUs says which retired objects are still in use; the others are freed. Each vCPU's
// part of the walk is done by whoever can: for one that is suspended, the caller, who holds it still; one that runs
// reports by itself at its next poll, for which it is asked; one without frames has nothing to say. So a walk takes as
// long as it takes all running guests to poll; a guest that sits in the host delays it.
//
// Why nobody can be missed: who enters machine code makes its activation known before it loads the entry from its slot,
// and the walk begins with a barrier on all threads. So a vCPU without an activation is not on its way into code that
// was unlinked before; a vCPU that reports or is suspended stands where its position says, and pointers to code that
// its frames or saved registers hold are found because the machine stack is searched word by word.
//
// Threads. One walk at a time, under one lock, which is held while stacks are walked and never across a poll. Lock
// order: this one, then the list of vCPUs, then the code space's.
#pragma once

#include <cstddef>

namespace vmrun::jit {

/// Begins a walk if there is retired code, or goes on with the one under way, and frees what it found unused if it is
/// over. Never waits for a guest: to be called again as long as code is retired (by whoever retires, and now and then).
/// Returns how many objects were freed.
size_t reclaim_code();

}  // namespace vmrun::jit
