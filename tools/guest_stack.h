// -W max-wasm-stack: machine code keeps its frames on the native stack, so that a guest has what it was promised only
// where that one is as large.
#pragma once

#include <cstdint>
#include <functional>

namespace vmrun::tools {

/// Calls `body` on this thread, the main one, if its stack leaves `bytes` to a guest (or enough for most, where these were
/// not `promised`), else on a thread whose stack does, and returns what it returns. Signals do there what they do here.
/// A failure to make such a stack is printed; kExitError.
int with_guest_stack(uint64_t bytes, bool promised, const std::function<int()>& body);

}  // namespace vmrun::tools
