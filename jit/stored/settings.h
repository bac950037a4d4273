// What of a compile request the code depends on that is stored; see format.h.
#pragma once

#include "jit/compiler.h"
#include "jit/stored/format.h"

namespace vmrun::jit::stored {

/// `guarded`, `metered`: vm::Module::guarded_memories and metered. Of the request, its module, function and unit do not matter.
Settings settings_of(const CompileRequest& request, bool guarded, bool metered);

}  // namespace vmrun::jit::stored
