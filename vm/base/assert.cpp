// The end of the road for our own bugs.
#include "vm/base/assert.h"

#include <unistd.h>

#include <cstdlib>

#include "vm/base/safe_text.h"

namespace vmrun::vm {

void internal_error(std::string_view what) {
  SafeText text;
  text << "vmrun: internal error: " << what
       << "\nvmrun: this is a bug in vmrun: please report these lines, the command or the calls, and the image\n";
  text.write(STDERR_FILENO);
  _exit(kInternalErrorStatus);
}

void assertion_failed(const char* condition, const char* context, const char* file, int line) {
  SafeText text;
  text << context << " (" << condition << " does not hold at " << file << ":";
  text.decimal(static_cast<uint64_t>(line)) << ")";
  internal_error(text.view());
}

void misuse(std::string_view what) {
  SafeText text;
  text << "vmrun: " << what << "\n";
  text.write(STDERR_FILENO);
  std::abort();
}

}  // namespace vmrun::vm
