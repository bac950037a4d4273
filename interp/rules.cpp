#include "interp/rules.h"

#include "vm/numeric.h"

namespace vmrun::interp::rules {

using vm::Op;
namespace ops = vm::ops;

bool fold(Op op, uint64_t a, uint64_t b, uint64_t& out) {
  uint32_t x = static_cast<uint32_t>(a), y = static_cast<uint32_t>(b);
  switch (op) {
#define VMRUN_FOLD(name)                                         \
  case Op::i32_##name: out = ops::i32_##name(x, y); return true; \
  case Op::i64_##name: out = ops::i64_##name(a, b); return true;
    // clang-format off
    VMRUN_FOLD(add) VMRUN_FOLD(sub) VMRUN_FOLD(mul) VMRUN_FOLD(and) VMRUN_FOLD(or) VMRUN_FOLD(xor) VMRUN_FOLD(shl)
    VMRUN_FOLD(shr_s) VMRUN_FOLD(shr_u) VMRUN_FOLD(rotl) VMRUN_FOLD(rotr) VMRUN_FOLD(eq) VMRUN_FOLD(ne)
    VMRUN_FOLD(lt_s) VMRUN_FOLD(lt_u) VMRUN_FOLD(gt_s) VMRUN_FOLD(gt_u) VMRUN_FOLD(le_s) VMRUN_FOLD(le_u)
    VMRUN_FOLD(ge_s) VMRUN_FOLD(ge_u)
    default: return false;
    // clang-format on
  }
}

}  // namespace vmrun::interp::rules
