// Which loops are around a loop.
#pragma once

#include <cstdint>
#include <vector>

#include "vm/wasm/module.h"

namespace vmrun::tiering {

/// Offsets of the loops around (and including) the one at `offset`, outermost first.
std::vector<uint32_t> loop_nest(const vm::Module& module, uint32_t func_index, uint32_t offset);

}  // namespace vmrun::tiering
