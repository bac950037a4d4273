// Frames of the interpreter as a signal handler finds them.
//
// Handlers keep the running cell and the frame in registers, and a signal may come between the instructions that change
// them. So nothing that was found is followed before it has proved to be a cell of a translation, which lives as long as
// its module; a frame is read only where the vCPU's stack is mapped. What is wrong at worst is a caller.
//
// Threads: everything here is async-signal-safe, on the thread that runs the guest.
#pragma once

#include <cstddef>
#include <span>

#include "vm/runtime/samples.h"

namespace vmrun::interp {

/// Whether `pc` lies in the interpreter's handlers.
bool in_handlers(const void* pc);

/// The frames of the segment of `cx` that runs, innermost first: `cell` and `fp` are what its registers hold. 0: they make no
/// sense at the moment.
size_t sample_running(const vm::Vcpu& cx, const void* cell, std::byte* fp, std::span<vm::SampledFrame> out);

/// The interpreter's frame at a position of a walk; false when it is nobody's. Unlike FrameWalk::describe it never takes
/// long.
bool sample_frame(const vm::FrameAt& at, vm::SampledFrame& out);

}  // namespace vmrun::interp
