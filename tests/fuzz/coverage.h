// Which instructions a module's run executes, and how often: a copy of the module counts them in globals of its own.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "exercise.h"
#include "vm/wasm/module.h"
#include "vm/wasm/opcode.h"

namespace vmrun::test {

/// How often each instruction was executed.
using Coverage = std::map<vm::Op, uint64_t>;

/// The module with an exported global for every instruction of the opcode table, which code adds to before it executes
/// the instruction (behind `else`, `catch` and `catch_all`, to which nobody comes from above).
std::vector<uint8_t> count_instructions(const vm::Module& module);

/// Adds what the globals say at the end of a trace.
void add_coverage(const Trace& trace, Coverage& coverage);

/// Prints the counts; the instructions that were never executed, of those that are supported, come last. False when
/// there are any.
bool print_coverage(const Coverage& coverage);

}  // namespace vmrun::test
