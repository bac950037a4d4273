// Disassembly of function bodies: one line per instruction, as in the text format.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vm/wasm/module.h"

namespace vmrun::vm {

/// One instruction: where it stands in the image, how deep it is nested in blocks, and its text.
struct DisasmLine {
  uint32_t offset = 0;
  uint32_t size = 0;  // bytes
  uint32_t depth = 0;
  Op op{};
  std::string text;  // mnemonic and immediates, such as "i32.load offset=8" or "call 3 (; main ;)"
};

/// The instructions of an own function of a decoded (therefore valid) module, in order.
std::vector<DisasmLine> disassemble(const Module& module, uint32_t func_index);

/// The text of the instruction at `p`, which moves behind it. The code must be valid.
std::string disassemble_instruction(const Module& module, const uint8_t*& p);

}  // namespace vmrun::vm
