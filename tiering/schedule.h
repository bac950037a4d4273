// Forced promotions, for tests: which block gets which tier's code, and exactly when, whatever its heat.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "jit/code/code.h"
#include "tiering/decisions.h"
#include "vm/blocks/block.h"

namespace vmrun::tiering {

struct Promotion {
  uint32_t func_index = 0;
  uint32_t unit = jit::kWholeFunction;  // or another (jit/code/compiled.h)
  /// Whole function: the call in the interpreter during whose prologue the code is made, so that the next call runs it;
  /// 0: before the first call. Loop: the back-edge in the tier below at which its frame moves over, from 1.
  uint32_t at = 0;
  vm::Tier tier = vm::Tier::baseline;
};

/// Promotions of one module, made synchronously on the guest's thread. Nothing else of the module is promoted.
using Schedule = std::vector<Promotion>;

/// Follows a schedule.
class Forced final : public Decisions {
 public:
  explicit Forced(Schedule schedule);

  void first_call(ModuleTiers& tiers, vm::FuncCode& code) const override;
  void hot_function(ModuleTiers& tiers, vm::FuncCode& code) const override;
  void hot_loop(ModuleTiers& tiers, vm::FuncCode& code, vm::LoopCode& loop, vm::Tier from) const override;
  /// Every back-edge, where the schedule has loops.
  int64_t slice() const override { return has_loops_ ? 1 : 0; }

 private:
  const Schedule schedule_;
  const bool has_loops_;
  const std::unique_ptr<uint32_t[]> seen_;  // back-edges, per promotion of a loop
};

}  // namespace vmrun::tiering
