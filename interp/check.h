// Checks that translators write into code in builds that check invariants (VMRUN_ASSERTIONS): an i32 in a register or a
// slot is zero-extended. The process ends with an assertion where one is read that is not, whoever left it there: a
// handler, another tier, or the host.
#pragma once

#include "interp/cell.h"

namespace vmrun::interp {

#ifdef VMRUN_ASSERTIONS
inline constexpr bool kChecksUpperHalves = true;
#else
inline constexpr bool kChecksUpperHalves = false;
#endif

/// The check of location `a` (a register, or the slot in field a). One cell. Defined only where there are checks.
Handler select_check_i32(int a);

}  // namespace vmrun::interp
