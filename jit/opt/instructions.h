// Machine code as instructions, for the tables and for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace vmrun::jit::opt {

/// Calls `found(offset, length, is_call)` for each instruction, in order. False: what is there is no code.
bool walk_instructions(const uint8_t* code, size_t size,
                       const std::function<void(uint64_t offset, uint64_t length, bool is_call)>& found);

}  // namespace vmrun::jit::opt
