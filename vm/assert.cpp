// The end of the road for our own bugs.
#include "vm/assert.h"

#include <cstdio>
#include <cstdlib>

namespace vmrun::vm {

void assertion_failed(const char* condition, const char* context, const char* file, int line) {
  std::fprintf(stderr, "vmrun: internal error at %s:%d: %s (%s)\n", file, line, context, condition);
  std::abort();
}

}  // namespace vmrun::vm
