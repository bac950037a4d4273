// A walk over a body for its loops: see loop_nest.h.
#include "tiering/loop_nest.h"

#include "vm/base/assert.h"
#include "vm/wasm/func_decoder_base.h"
#include "vm/wasm/opcode.h"

namespace vmrun::tiering {

LoopNest::LoopNest(const vm::Module& module, uint32_t func_index, const vm::LoopTable& loops)
    : outer_(loops.count, kNone) {
  std::vector<uint32_t> open;  // the innermost loop inside each open block, the block itself included, or kNone
  uint32_t next = 0;           // the first loop of the table that has not come yet
  const vm::ByteRange body = module.funcs[func_index].body;
  const uint8_t* p = vm::skip_locals(module.bytes() + body.begin);
  const uint8_t* end = module.bytes() + body.end;
  while (next < loops.count) {
    VMRUN_ASSERT(p < end, "a function's loops are in its body");
    const auto at = static_cast<uint32_t>(p - module.bytes());
    const uint32_t around = open.empty() ? kNone : open.back();
    switch (vm::skip_instruction(p)) {
      case vm::Op::loop:
        // The table may lack loops that cannot be reached; nor can those inside them.
        if (loops.loops[next].offset != at) {
          open.push_back(around);
          break;
        }
        outer_[next] = around;
        open.push_back(next++);
        break;
      case vm::Op::block:
      case vm::Op::if_:
      case vm::Op::try_:
      case vm::Op::try_table: open.push_back(around); break;
      case vm::Op::end:
      case vm::Op::delegate:
        if (!open.empty()) open.pop_back();
        break;
      default: break;
    }
  }
}

LoopNest::Around LoopNest::around(uint32_t loop) const {
  Around result;
  for (; loop != kNone && result.first_ != 0; loop = outer_[loop]) result.indices_[--result.first_] = loop;
  return result;
}

}  // namespace vmrun::tiering
