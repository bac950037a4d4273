// What is done about what guests report: by heat or at once (mode.h), or as a test wants it (schedule.h).
#pragma once

#include <cstdint>

#include "vm/blocks/block.h"

namespace vmrun::tiering {

class ModuleTiers;

/// Each is called on the guest's thread, for a module's guests on several at a time, and may throw std::bad_alloc: then
/// the block stays in its tier.
class Decisions {
 public:
  /// `code` is about to be translated for the interpreter.
  virtual void first_call(ModuleTiers& tiers, vm::FuncCode& code) const = 0;
  /// `code` was entered often, or its loops used up slices, in the tier that it has.
  virtual void hot_function(ModuleTiers& tiers, vm::FuncCode& code) const = 0;
  /// `loop` used up a slice in `from`, or was found by a tick.
  virtual void hot_loop(ModuleTiers& tiers, vm::FuncCode& code, vm::LoopCode& loop, vm::Tier from) const = 0;

  /// Back-edges between two reports of a loop in the interpreter; 0: as many as it likes (vm/blocks/policy.h).
  virtual int64_t slice() const { return 0; }
  /// Whether baseline code that is not sampled counts its entries and back-edges, so that it reports them.
  virtual bool counts() const { return true; }

 protected:
  ~Decisions() = default;  // modes are constants, and nobody owns decisions by this type
};

}  // namespace vmrun::tiering
