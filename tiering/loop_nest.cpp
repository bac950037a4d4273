// A walk over a body for its loops: see loop_nest.h.
#include "tiering/loop_nest.h"

#include "vm/wasm/func_decoder_base.h"
#include "vm/wasm/opcode.h"

namespace vmrun::tiering {

std::vector<uint32_t> loop_nest(const vm::Module& module, uint32_t func_index, uint32_t offset) {
  constexpr uint32_t kOther = 0;  // an open block that is no loop; no loop stands at offset 0
  std::vector<uint32_t> open;
  const vm::ByteRange body = module.funcs[func_index].body;
  const uint8_t* p = vm::skip_locals(module.bytes() + body.begin);
  const uint8_t* end = module.bytes() + body.end;
  while (p < end) {
    const auto at = static_cast<uint32_t>(p - module.bytes());
    switch (vm::skip_instruction(p)) {
      case vm::Op::loop:
        open.push_back(at);
        if (at == offset) {
          std::erase(open, kOther);
          return open;
        }
        break;
      case vm::Op::block:
      case vm::Op::if_:
      case vm::Op::try_:
      case vm::Op::try_table: open.push_back(kOther); break;
      case vm::Op::end:
      case vm::Op::delegate:
        if (!open.empty()) open.pop_back();
        break;
      default: break;
    }
  }
  return {};
}

}  // namespace vmrun::tiering
