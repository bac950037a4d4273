// See publish.h.
#include "jit/crossing/publish.h"

#include "interp/bridge.h"
#include "jit/crossing/trampoline.h"
#include "vm/wasm/module.h"

namespace vmrun::jit {
namespace {

const Trampolines* trampolines_of(const vm::FuncCode& code) {
  return trampolines(code.module->func_type(code.func_index));
}

}  // namespace

bool publish_function(vm::FuncCode& code, const void* entry, vm::Tier tier) {
  const Trampolines* made = trampolines_of(code);
  if (made == nullptr) return false;
  code.tier.store(tier, std::memory_order_relaxed);
  code.machine.store(entry, std::memory_order_release);
  interp::set_bridge(code, made->entries);
  return true;
}

void unlink_function(vm::FuncCode& code) {
  interp::unset_bridge(code);
  // Its trampolines exist: nothing lazy about it any more.
  code.machine.store(trampolines_of(code)->from_machine, std::memory_order_release);
  code.tier.store(vm::Tier::interp, std::memory_order_relaxed);
}

bool prepare_loops(vm::FuncCode& code) {
  const Trampolines* made = trampolines_of(code);
  if (made == nullptr) return false;
  interp::prepare_bridge(code, made->entries);
  return true;
}

void publish_loop(vm::LoopCode& loop, const void* entry, vm::Tier tier) {
  loop.entry_tier.store(tier, std::memory_order_relaxed);
  loop.entry.store(entry, std::memory_order_release);
}

void unlink_loop(vm::LoopCode& loop) {
  loop.entry.store(nullptr, std::memory_order_release);
  loop.entry_tier.store(vm::Tier::interp, std::memory_order_relaxed);
}

}  // namespace vmrun::jit
