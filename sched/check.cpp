// The end of the road for bugs of the scheduler and of its callers.
#include "sched/check.h"

#include <cstdio>
#include <cstdlib>

namespace vmrun::sched {

void check_failed(const char* condition, const char* context, const char* file, int line) {
  std::fprintf(stderr, "vmrun: internal error at %s:%d: %s (%s)\n", file, line, context, condition);
  std::abort();
}

}  // namespace vmrun::sched
