#include "jit/stop/knock.h"

#include "interp/sample.h"
#include "jit/code/code.h"
#include "jit/stop/preempt_stub.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/stoppable.h"

namespace vmrun::jit {

constinit std::atomic<KnockAnswer> knock_answer{nullptr};

void hear_knock(void* ucontext) {
  const KnockAnswer answer = knock_answer.load(std::memory_order_acquire);
  if (answer == nullptr || vm::running_vcpu == nullptr) return;
  const void* pc = interrupted_pc(ucontext);
  const CodeSpace* space = CodeSpace::existing();
  const CodeObject* object = space != nullptr ? space->find(pc) : nullptr;
  const bool in_guest = (object != nullptr && object->func != nullptr) || interp::in_handlers(pc);
  if (in_guest || vm::in_stoppable_call(ucontext)) answer();
}

}  // namespace vmrun::jit
