// The process's code space, and what must be in place before its first code runs: the stop signal's handler, and faults
// in machine code.
#include <atomic>

#include "jit/code/code.h"
#include "jit/crossing/unwind.h"
#include "jit/stop/preempt.h"

namespace vmrun::jit {
namespace {

constexpr size_t kProcessRange = size_t{1} << 30;
constinit std::atomic<CodeSpace*> process_space{nullptr};

}  // namespace

CodeSpace& CodeSpace::get() {
  // Never destroyed: compile threads and guests of other threads may still use it while the process ends.
  static CodeSpace* space = [] {
    auto* made = new CodeSpace(kProcessRange);
    made->set_budget(kCodeBudget);
    made->set_trampoline_budget(kTrampolineBudget);
    process_space.store(made, std::memory_order_release);
    register_machine_code(made->range());
    preempt_install();
    return made;
  }();
  return *space;
}

const CodeSpace* CodeSpace::existing() { return process_space.load(std::memory_order_acquire); }

}  // namespace vmrun::jit
