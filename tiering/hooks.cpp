// What guests report: the hooks of their module, and the samples of baseline code. What is done about it is said by the
// module's decisions (decisions.h); policy.cpp has the arithmetic.
#include <algorithm>
#include <new>

#include "jit/code/code.h"
#include "jit/stop/sample.h"
#include "tiering/manager.h"
#include "tiering/module_tiers.h"
#include "vm/blocks/policy.h"

namespace vmrun::tiering {

using vm::FuncCode;
using vm::LoopCode;
using vm::Tier;
using vm::TierHooks;

void ModuleTiers::on_first_call(TierHooks* hooks, FuncCode& code) try {
  ModuleTiers& tiers = self(hooks);
  tiers.decisions().first_call(tiers, code);
} catch (const std::bad_alloc&) {  // then the interpreter has it
}

void ModuleTiers::on_hot_function(TierHooks* hooks, FuncCode& code) try {
  ModuleTiers& tiers = self(hooks);
  if (tiers.heat_.exists()) tiers.decisions().hot_function(tiers, code);
} catch (const std::bad_alloc&) {  // then it stays in its tier
}

void ModuleTiers::on_hot_loop(TierHooks* hooks, FuncCode& code, LoopCode& loop, Tier tier) try {
  ModuleTiers& tiers = self(hooks);
  if (tiers.heat_.exists()) tiers.decisions().hot_loop(tiers, code, loop, tier);
} catch (const std::bad_alloc&) {  // then it stays in its tier
}

// ---- samples --------------------------------------------------------------------------------------------------------

ModuleTiers* ModuleTiers::sampled(const FuncCode& code) {
  TierHooks* hooks = code.module->tiers;
  if (hooks == nullptr || hooks->hot_function != &on_hot_function) return nullptr;
  ModuleTiers& tiers = self(hooks);
  return tiers.sampling_ && tiers.heat_.exists() ? &tiers : nullptr;
}

int64_t ModuleTiers::charge_sample(FuncCode& code, uint32_t ticks) {
  ModuleTiers* tiers = sampled(code);
  if (tiers == nullptr) return 0;
  tiers->heat_.charge(tiers->own(code), ticks * policy::kTickHeat);
  const uint32_t number = code.func_index + 1;
  for (std::atomic<uint32_t>& place : tiers->sampled_) {
    const uint32_t there = place.load(std::memory_order_relaxed);
    if (there == number) break;
    if (there != 0) continue;  // all full: it will be found again
    place.store(number, std::memory_order_relaxed);
    break;
  }
  const vm::LoopTable* table = code.loops.load(std::memory_order_acquire);
  for (uint32_t i = 0; table != nullptr && i < std::min(table->count, LoopNest::kMost); ++i) {
    if (table->loops[i].state[static_cast<unsigned>(Tier::opt)].load(std::memory_order_relaxed) ==
        vm::BlockState::ready) {
      return policy::kEntryPolls;
    }
  }
  return policy::kOuterPolls;
}

bool ModuleTiers::decide_sample(FuncCode& code, bool at_entry) try {
  ModuleTiers* tiers = sampled(code);
  if (tiers == nullptr) return false;
  bool itself = false;
  for (std::atomic<uint32_t>& place : tiers->sampled_) {
    const uint32_t number = place.exchange(0, std::memory_order_relaxed);
    if (number == 0) continue;
    FuncCode& hot = tiers->module_.code(number - 1);
    itself |= &hot == &code;
    if (tiers->is_inlined(hot)) {
      if (FuncCode* caller = tiers->charge_caller(code, at_entry)) {
        itself |= caller == &code;
        tiers->consider_sampled(*caller, false);
        tiers->consider_sampled(hot, at_entry && &hot == &code, policy::kInlinedFactor);
        continue;
      }
    }
    tiers->consider_sampled(hot, at_entry && &hot == &code);
  }
  return itself;
} catch (const std::bad_alloc&) {
  return false;
}

void ModuleTiers::sample_this_thread() {
  if (!sampling_) return;
  jit::CodeSpace::get();  // there is nothing to sample without
  jit::sample_this_thread();
}

}  // namespace vmrun::tiering
