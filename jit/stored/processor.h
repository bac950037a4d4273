// The bits of processors (format.h) by LLVM's names for them, such as "avx2".
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "jit/stored/format.h"

namespace vmrun::jit::stored {

/// What baseline code uses: that of x86-64-v3, on whatever processor it is made.
ProcessorBits baseline_processor();
/// All that optimised code for this processor may use: what it can do that a compiler may choose, without AVX-512
/// (jit/opt/target.cpp).
ProcessorBits native_processor();
/// The names of bits. Those of no compiler's choice have none.
std::vector<std::string> names_of(const ProcessorBits& bits);
/// What this processor lacks of what is wanted; empty where runs_on says that it lacks nothing.
std::vector<std::string> lacking(const ProcessorBits& wanted);
/// The bits of what is called so and that a compiler may choose; nothing, where a name is unknown here.
std::optional<ProcessorBits> bits_of(std::span<const std::string> names);

}  // namespace vmrun::jit::stored
