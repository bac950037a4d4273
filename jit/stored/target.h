// Processors that code is compiled for ahead, other than this one: by LLVM's names, such as x86-64-v3, skylake or znver4.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jit/stored/format.h"
#include "vmrun/base/result.h"

namespace vmrun::jit::stored {

/// A processor, and what optimised code for it uses. No code of ours uses AVX-512 (jit/opt/target.cpp).
struct Target {
  std::string name;  // LLVM's; empty: this processor
  ProcessorBits bits = {};
};

/// The processor of that name; "" and "native" are this one. Errors: Usage (there is none of that name, or it cannot do
/// what all our code needs; the message says what to do), Unsupported (the optimiser, which knows them, is not
/// there).
Result<Target> target_of(std::string_view name);

/// All names but "native", x86-64-v3 first. Errors: Unsupported.
Result<std::vector<std::string>> target_names();

}  // namespace vmrun::jit::stored
