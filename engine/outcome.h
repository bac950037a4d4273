// From what the machine says about a call that did not return to an Error, and back for host functions.
#pragma once

#include <vector>

#include "vm/base/trap.h"
#include "vm/runtime/instance.h"
#include "vmrun/base/error.h"
#include "vmrun/base/trap.h"

namespace vmrun::engine {

/// Frames with the names that their modules give them.
std::vector<FrameInfo> name_frames(const std::vector<vm::Frame>& frames);

/// Whether a call of the host into a guest of `store` is refused, because the program that the store belongs to has
/// ended. error_of says so then.
bool refuses_calls(vm::Store& store);

/// What a call that ended with `outcome` says to the embedder. Throws HostThrew when a host function threw.
Error error_of(vm::Store& store, Outcome outcome);

/// A trap outside any guest frame.
Error trap_error(TrapCode code);

}  // namespace vmrun::engine
