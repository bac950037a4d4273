// cpus.h on Linux.
#include <sched.h>

#include "sched/cpus.h"

namespace vmrun::sched {

std::vector<int> allowed_cpus() {
  std::vector<int> result;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) {
        result.push_back(cpu);
      }
    }
  }
  return result;
}

bool run_on_cpu(int cpu) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace vmrun::sched
