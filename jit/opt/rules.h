// What passes of our own conclude about guest code: each a function of loop_range.h by the same name, used by loops.cpp
// and proven for all numbers in tests/proofs/loops_range.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vmrun::jit::opt {

// clang-format off
#define VMRUN_OPT_RULES(X)                                                                                            \
  X(moves_within)     /* the way of an iteration lies between 0 and the whole way, which 64 bits hold */              \
  X(meets)            /* how often a loop goes round that ends where a value meets another */                         \
  X(crosses)          /* the same where it ends at a value that is not less, or greater */                            \
  X(stays_inside)     /* indices of n bits that do not wrap, and accesses that lie in the memory */                   \
  X(pointer_moves)    /* a pointer that is increased by the step does not wrap around the address space */            \
  X(lies_apart)       /* two groups of accesses without a common byte */                                              \
  X(leads)            /* loads that no earlier store of the loop has written */                                       \
  X(keeps_to_itself)  /* stores of a group that do not meet each other in any two iterations */
// clang-format on

enum class Rule : uint8_t {
#define X(name) name,
  VMRUN_OPT_RULES(X)
#undef X
};

inline constexpr const char* kRuleNames[] = {
#define X(name) #name,
    VMRUN_OPT_RULES(X)
#undef X
};
inline constexpr size_t kRuleCount = sizeof kRuleNames / sizeof *kRuleNames;

}  // namespace vmrun::jit::opt
