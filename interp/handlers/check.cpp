// Handlers of builds that check invariants: they look at an i32 before it is read.
#include "interp/check.h"

#include "interp/handlers/handlers.h"
#include "vm/base/assert.h"

namespace vmrun::interp {

namespace {

VMRUN_COLD_HANDLER upper_half_found(VMRUN_PARAMS) {
  (void)pc, (void)fp, (void)mem, (void)cx, (void)inst;
  (void)r0, (void)r1, (void)r2, (void)r3, (void)f0, (void)f1, (void)f2, (void)f3;
  vm::assertion_failed("the upper half is zero", "an i32 is read from a register or slot", __FILE__, __LINE__);
}

template <int A>
VMRUN_HANDLER check_i32(VMRUN_PARAMS) {
  if (VMRUN_UNLIKELY((VMRUN_GET(uint64_t, A, a) >> 32) != 0)) VMRUN_TAIL(upper_half_found);
  VMRUN_NEXT;
}

}  // namespace

Handler select_check_i32(int a) {
  static constexpr Handler kTable[kLocs] = {&check_i32<0>, &check_i32<1>, &check_i32<2>, &check_i32<3>, &check_i32<4>};
  return kTable[a];
}

}  // namespace vmrun::interp
