// The host module "spectest" that the official suite's modules import.
#pragma once

#include "vmrun/linker.h"
#include "vmrun/store.h"

namespace vmrun::tools {

/// Defines spectest's functions, globals, tables and memories, made in `store`. The print functions print nothing: what
/// the suite prints is no part of any assertion.
Result<void> define_spectest(Linker& linker, Store& store);

}  // namespace vmrun::tools
