// What of a compile request the code depends on that is stored; see format.h.
#pragma once

#include "jit/compiler.h"
#include "jit/stored/format.h"

namespace vmrun::jit::stored {

/// `guarded`: vm::Module::guarded_memories. Of the request, its module, function and unit do not matter.
Settings settings_of(const CompileRequest& request, bool guarded);

}  // namespace vmrun::jit::stored
