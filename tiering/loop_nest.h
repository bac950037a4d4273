// Which loops are around a loop.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "vm/blocks/block.h"
#include "vm/wasm/module.h"

namespace vmrun::tiering {

/// The loops of one function by what is around them: one number for each, however deep they are nested. Immutable.
class LoopNest {
 public:
  /// So many loops, the innermost ones, are all that a loop's nest is taken for. The optimiser refuses functions with more
  /// loops than this altogether (jit/opt/limits.h), and what a guest's tick costs does not depend on how deep it is.
  static constexpr uint32_t kMost = 128;

  /// Walks over the body once. `loops` are the function's own.
  LoopNest(const vm::Module& module, uint32_t func_index, const vm::LoopTable& loops);

  /// Indices in the table of loops around a loop and, last, its own: outermost first, no more than kMost.
  class Around {
   public:
    const uint32_t* begin() const { return indices_.data() + first_; }
    const uint32_t* end() const { return indices_.data() + kMost; }

   private:
    friend class LoopNest;
    std::array<uint32_t, kMost> indices_;
    uint32_t first_ = kMost;
  };
  Around around(uint32_t loop) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  std::vector<uint32_t> outer_;  // by index: the loop around it, or kNone
};

}  // namespace vmrun::tiering
