// Validation of all function bodies of a module.
#pragma once

#include <optional>

#include "vm/wasm/func_decoder_base.h"
#include "vmrun/base/error.h"

namespace vmrun::vm {

/// Validates every body, on up to `threads` threads (0: as many as there are processors, at most 16) when there is
/// enough code to be worth it. Returns the error with the lowest offset, whatever the threads did, or none; adds to
/// `seen` which instructions there are.
std::optional<Error> validate_bodies(const Module& module, const ValidationState& state, unsigned threads,
                                     OpsSeen& seen);

}  // namespace vmrun::vm
