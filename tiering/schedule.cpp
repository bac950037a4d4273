// Forced promotions: see schedule.h.
#include "tiering/schedule.h"

#include <algorithm>

#include "tiering/module_tiers.h"
#include "vm/blocks/policy.h"

namespace vmrun::tiering {

Forced::Forced(Schedule schedule)
    : schedule_(std::move(schedule)),
      has_loops_(std::any_of(schedule_.begin(), schedule_.end(),
                             [](const Promotion& p) { return p.unit != jit::kWholeFunction; })),
      seen_(std::make_unique<uint32_t[]>(schedule_.size())) {}

void Forced::first_call(ModuleTiers& tiers, vm::FuncCode& code) const {
  for (const Promotion& p : schedule_) {
    if (p.func_index != code.func_index || p.unit != jit::kWholeFunction) continue;
    if (p.at == 0) {
      tiers.promote(p.func_index, p.unit, p.tier);
    } else if (p.at < policy::kHotEntries) {
      tiers.report_at_entry(code, p.at);
    }
  }
}

void Forced::hot_function(ModuleTiers& tiers, vm::FuncCode& code) const {
  for (const Promotion& p : schedule_) {
    if (p.func_index == code.func_index && p.unit == jit::kWholeFunction && p.at != 0) {
      tiers.promote(p.func_index, p.unit, p.tier);
    }
  }
}

void Forced::hot_loop(ModuleTiers& tiers, vm::FuncCode& code, vm::LoopCode& loop, vm::Tier from) const {
  for (size_t i = 0; i < schedule_.size(); ++i) {
    const Promotion& p = schedule_[i];
    if (p.func_index != code.func_index || p.unit == jit::kWholeFunction || jit::loop_of(p.unit) != loop.offset ||
        from >= p.tier)
      continue;
    if (++seen_[i] == p.at) tiers.promote(p.func_index, p.unit, p.tier);
  }
}

}  // namespace vmrun::tiering
