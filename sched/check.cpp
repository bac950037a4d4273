// The end of the road for bugs of the scheduler, and of its callers.
#include "sched/check.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace vmrun::sched {

void check_failed(const char* condition, const char* context, const char* file, int line) {
  // As vm/base/assert.h, which this library does not know: the same words and status.
  constexpr int kInternalErrorStatus = 70;
  std::fprintf(stderr,
               "vmrun: internal error: %s (%s does not hold at %s:%d)\n"
               "vmrun: this is a bug in vmrun: please report these lines, the command or the calls, and the image\n",
               context, condition, file, line);
  _exit(kInternalErrorStatus);
}

void misuse(const char* what) {
  std::fprintf(stderr, "vmrun: %s\n", what);
  std::abort();
}

}  // namespace vmrun::sched
