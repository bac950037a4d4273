// In the shared library, what asmjit's file of the same name has. Debian's archive of asmjit is made for executables, and
// that file is the one that cannot be in a shared library (it addresses `stderr` directly). The linker takes it for nothing
// else.
#include <asmjit/core/globals.h>

#include <cstdio>
#include <cstdlib>

ASMJIT_BEGIN_NAMESPACE
namespace DebugUtils {

const char* errorAsString(Error err) noexcept {
  // Error's values have names in asmjit's own file alone; nothing here shows them.
  static thread_local char text[32];
  std::snprintf(text, sizeof text, "asmjit error %u", static_cast<unsigned>(err));
  return text;
}

void debugOutput(const char* str) noexcept { std::fputs(str, stderr); }

void assertionFailed(const char* file, int line, const char* msg) noexcept {
  std::fprintf(stderr, "[asmjit] %s:%d: %s\n", file, line, msg);
  std::abort();
}

}  // namespace DebugUtils
ASMJIT_END_NAMESPACE
