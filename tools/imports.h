// What imports mean that nobody provides.
#pragma once

#include <string>

#include "tools/run_options.h"
#include "vmrun/linker.h"
#include "vmrun/module.h"

namespace vmrun::tools {

/// What can be done about the imports of `module` that `linker` has no definitions for: what they were made for, where
/// the names tell, and what to do here. To be appended to the message that names them; "" when none is missing.
std::string missing_imports_hint(const Module& module, const Linker& linker, const RunOptions& options);

}  // namespace vmrun::tools
