// What every handler file needs: dispatch, operand access by location, and the trap exits.
#pragma once

#include "interp/cell.h"

namespace vmrun::interp {

/// Where an operand of a location-templated handler is: a frame slot, one of the pinned registers, or the cell itself.
inline constexpr int kSlot = 0;
inline constexpr int kIntRegs = 4;    // r0..r3 are locations 1..4
inline constexpr int kFloatRegs = 4;  // f0..f3 are locations 1..4; an f32 lives in the low half
inline constexpr int kImm = 5;        // an immediate in the cell (or the next one)

}  // namespace vmrun::interp

#define VMRUN_HANDLER __attribute__((preserve_none)) static void
#define VMRUN_DISPATCH(next)                     \
  do {                                           \
    pc = (next);                                 \
    [[clang::musttail]] return pc->handler(VMRUN_ARGS); \
  } while (0)
