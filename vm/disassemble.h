// Instructions as text, in the words of the text format. A walk of its own over valid code, because it shows dead code
// too, which the function decoder passes over in silence.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vm/module.h"

namespace vmrun::vm {

struct DisassembledOp {
  ByteRange bytes;     // in the image
  uint32_t depth = 0;  // blocks around the instruction
  std::string text;    // mnemonic and immediates
};

/// The instructions of an own function of a valid module, in order, its closing `end` included.
std::vector<DisassembledOp> disassemble(const Module& module, uint32_t func_index);

}  // namespace vmrun::vm
