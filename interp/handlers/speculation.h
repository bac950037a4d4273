// Against speculation beyond a bounds check (Spectre, variant 1).
#pragma once

#include <cstdint>

namespace vmrun::interp {

/// A condition as an all-ones or all-zeros mask that the compiler cannot see through, so that an index anded with it is
/// 0 even where the processor runs ahead of the check that follows.
[[gnu::always_inline]] inline uint64_t speculation_mask(bool ok) {
  uint64_t mask = -static_cast<uint64_t>(ok);
  asm volatile("" : "+r"(mask));
  return mask;
}

}  // namespace vmrun::interp
