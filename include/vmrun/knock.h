// Knocking at another process: it does not listen for anything, and is asked to begin to. `vmrun top` looks at processes by
// this that were started without any thought of it.
//
// A knock is SIGURG with a value, which a process ignores unless it has an engine. Only its own user, and root, may send it
// one.
#pragma once

#include "vmrun/base/result.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// From now on `answer` is called when somebody knocks; null: nobody is any more. It is called in the signal's handler,
/// but only where that has interrupted a guest's own code, or a system call in which a guest waits: the thread holds no lock
/// of the C library there, so it may allocate and start a thread, as nothing in a handler may otherwise. It must be quick,
/// must not throw, and comes again at each further knock, perhaps on several threads at a time. After an engine exists. Any
/// thread. Not in a build for ThreadSanitizer, where knocks go unheard.
void answer_knocks(void (*answer)());

/// Knocks at the threads of the process `pid`. It may be needed again: a thread that is in the middle of the host's work
/// hears nothing. Errors: Io (there is no such process, or it belongs to somebody else).
Result<void> knock(int pid);

}  // namespace vmrun
#pragma GCC visibility pop
