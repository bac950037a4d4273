// Executors of the C API, for all that make one.
#pragma once

#include "vmrun/c.h"
#include "vmrun/executor.h"

namespace vmrun::capi {

/// Null, and the reason is the last error: it cannot be made.
vmrun_executor_t* new_executor(const ExecutorConfig& config);

}  // namespace vmrun::capi
