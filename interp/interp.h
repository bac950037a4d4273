// Tier 0: the interpreter. Functions are translated to register code at their first call.
#pragma once

#include <cstdint>
#include <span>

#include "vm/blocks/policy.h"
#include "vm/runtime/instance.h"
#include "vm/wasm/module.h"

namespace vmrun::interp {

/// A feature of the processor that the interpreter's code needs and this machine has not, or null. Nothing of a module
/// may run when there is one.
const char* missing_host_feature();

/// Sets the entry of every block record of `module` to the translating stub. Called once, when the module is made.
void attach(vm::Module& module);

/// What Vcpu::budget is refilled with in loops of `module`: less where somebody wants to hear of every back-edge.
inline int64_t slice_of(const vm::Module& module) {
  // The slice ends when the budget turns negative.
  return module.tiers != nullptr && module.tiers->slice != 0 ? module.tiers->slice - 1 : policy::kBudgetSlice;
}

/// Makes what the calling thread has for its translations, which otherwise its first one does: that waits while another
/// thread is in dlopen.
void prepare_thread();

/// Puts carefully translated code behind `code`'s entry, whatever the module's effort; false when there is none to be
/// had. Any thread that may run guests.
bool promote_careful(vm::FuncCode& code);

/// Frees the code that translations of `module` made. Called when the module dies; nothing may be running in it.
void detach(vm::Module& module);

/// Calls `func` (wasm or host) on `vcpu`, on the calling thread, until it returns, traps or throws. `args` holds the
/// parameters' slots in order, `results` room for the results' slots; the two may overlap. On Trap and Exception
/// `vcpu.backtrace` is filled. Re-entrant: host functions called by the guest may call this again.
vm::Outcome invoke(vm::Vcpu& vcpu, vm::FuncRecord& func, const vm::Slot* args, vm::Slot* results);

}  // namespace vmrun::interp
