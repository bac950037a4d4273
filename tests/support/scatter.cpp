// In executables that have this file the environment variable VMRUN_TEST_SCATTER has every task go on on another thread than
// before, whenever it has waited.
#include <cstdlib>

#include "sched/scheduler.h"

namespace {
const bool scatters = [] {
  vmrun::sched::scatter_all(std::getenv("VMRUN_TEST_SCATTER") != nullptr);
  return true;
}();
}  // namespace
