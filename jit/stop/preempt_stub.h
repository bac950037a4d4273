// The part of preemption that names a CPU: one file per target.
#pragma once

#include <cstdint>

#include "vm/runtime/activation.h"

namespace vmrun::jit {

/// Finds out how much state this CPU has to save. Before any stop.
void prepare_preempt_stub();

/// The interrupted pc of a signal's context.
const void* interrupted_pc(const void* ucontext);
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
