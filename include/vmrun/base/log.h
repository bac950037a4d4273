// Log messages of the library, for people who look for a fault. They go to standard error, chosen by the environment
// variable VMRUN_LOG, which each component reads when it first has something to say.
#pragma once

#include <string_view>

#include "vmrun/base/result.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// Whether `setting` is one for VMRUN_LOG: LEVEL, or COMPONENT=LEVEL, or several with commas, where COMPONENT is "all" or
/// one that has messages, and LEVEL is error, warn, info, debug or trace. Errors: Usage, which lists what there is. Any
/// thread.
Result<void> check_log_setting(std::string_view setting);

}  // namespace vmrun
#pragma GCC visibility pop
