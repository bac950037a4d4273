// Processors of the machine: which ones the process may use, and binding threads to one.
#pragma once

#include <vector>

namespace vmrun::sched {

/// Numbers of the processors that the calling thread may run on; empty when the system does not say.
std::vector<int> allowed_cpus();
/// Binds the calling thread to one of them; false when the system refuses.
bool run_on_cpu(int cpu) noexcept;

}  // namespace vmrun::sched
