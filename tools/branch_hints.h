// The custom section "metadata.code.branch_hint" (branch hinting): which way conditional branches usually go. It
// changes nothing about what a module does, so the engine runs a module whose hints are wrong; tools say that they are.
#pragma once

#include <cstdint>

#include "vmrun/base/result.h"
#include "vmrun/module.h"

namespace vmrun::tools {

/// Decodes the section of `module` and checks that it lists own functions in order, and for each, in order, offsets of
/// if or br_if instructions with a hint of 0 or 1. Returns the number of hints; 0 when there is no section. Errors:
/// Malformed, with the offset in the image.
Result<uint64_t> check_branch_hints(const Module& module);

}  // namespace vmrun::tools
