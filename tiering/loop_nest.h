// The loops of a function: which are around which, and what each does; and what its calls will cost a compile.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "vm/blocks/block.h"
#include "vm/blocks/policy.h"
#include "vm/wasm/module.h"

namespace vmrun::tiering {

/// The loops of one function by what is around them: a few numbers for each, however deep they are nested. Immutable.
class LoopNest {
 public:
  /// So many loops, the innermost ones, are all that a loop's nest is taken for. The optimiser refuses functions with more
  /// loops than this altogether (jit/opt/limits.h), and what a guest's tick costs does not depend on how deep it is.
  static constexpr uint32_t kMost = 128;
  static constexpr uint32_t kNone = UINT32_MAX;

  /// Walks over the body once. `loops` are the function's own.
  LoopNest(const vm::Module& module, uint32_t func_index, const vm::LoopTable& loops);

  /// Indices in the table of loops around a loop and, last, its own: outermost first, no more than kMost.
  class Around {
   public:
    const uint32_t* begin() const { return indices_.data() + first_; }
    const uint32_t* end() const { return indices_.data() + kMost; }
    /// The innermost loop around the loop, or the loop itself where there is none.
    uint32_t parent() const { return indices_[first_ + 1 < kMost ? kMost - 2 : kMost - 1]; }
    uint32_t outermost() const { return indices_[first_]; }

   private:
    friend class LoopNest;
    std::array<uint32_t, kMost> indices_;
    uint32_t first_ = kMost;
  };
  Around around(uint32_t loop) const;

  /// The offset of its `end` in the image.
  uint32_t end(uint32_t loop) const { return loops_[loop].end; }
  /// Of a loop alone, or else of the outermost loop around the unit's entry, from its begin to its end in the image; all there
  /// is for a whole function, or where the function has no such loop. `loops` are those that this was made of.
  vm::ByteRange range(const vm::LoopTable& loops, uint32_t unit) const;
  /// Whether no loop is in it.
  bool is_innermost(uint32_t loop) const { return loops_[loop].innermost; }
  /// What its own instructions are, without those of the loops in it.
  policy::Work work(uint32_t loop) const { return loops_[loop].work; }
  /// The same of what stands in no loop.
  policy::Work work_outside() const { return outside_; }
  /// The innermost loop that the instruction at that offset in the image is in, or kNone.
  uint32_t loop_at(uint32_t offset) const;
  bool in_loop(uint32_t offset) const { return loop_at(offset) != kNone; }
  /// Bytes of the bodies that the optimiser is expected to put in place of the function's calls.
  uint32_t inlined() const { return inlined_; }
  /// Those of the calls in a loop.
  uint32_t inlined(uint32_t loop) const { return loops_[loop].inlined; }

 private:
  struct Loop {
    uint32_t outer = kNone;       // by index: the loop around it
    uint32_t begin = 0, end = 0;  // offsets in the image
    uint32_t inlined = 0;
    bool innermost = true;
    policy::Work work = policy::Work::plain;
  };
  std::vector<Loop> loops_;
  policy::Work outside_ = policy::Work::plain;
  uint32_t inlined_ = 0;
};

}  // namespace vmrun::tiering
