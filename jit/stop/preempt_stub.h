// The part of preemption that names a CPU: one file per target.
#pragma once

#include <cstdint>

#include "vm/runtime/activation.h"

namespace vmrun::jit {

/// Finds out how much state this CPU has to save. Before any stop.
void prepare_preempt_stub();

/// The interrupted pc of a signal's context.
const void* interrupted_pc(const void* ucontext);

/// What a profiler needs of the interrupted registers. In machine code fp is the frame pointer; in the interpreter's handlers
/// `cell` and `interp_fp` are what they run.
struct InterruptedAt {
  const void* pc;
  std::byte* fp;
  void* sp;
  const void* cell;
  std::byte* interp_fp;
};
InterruptedAt interrupted_at(const void* ucontext);
/// Machine code of a function was interrupted while the frame pointer is its caller's, in the prologue or the epilogue:
/// where it returns to. Null: its own frame stands.
const void* return_address_without_frame(const InterruptedAt& at);

/// Makes the interrupted machine code go on in the stub, which calls serve_preemption and returns to where it was.
void redirect_to_preempt_stub(void* ucontext);

/// Where machine code was stopped.
struct StoppedAt {
  const void* pc;
  std::byte* fp;  // frame pointer
  void* sp;
};
/// Called by the stub. On return the code goes on, or leaves by the transfer when there is one.
vm::Transfer serve_preemption(const StoppedAt& at, vm::Vcpu** cx);

}  // namespace vmrun::jit
