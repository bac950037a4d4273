// guard.h on Linux.
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "vm/base/log.h"
#include "vm/runtime/guard.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102  // newer than the C library's headers
#endif

namespace vmrun::vm {

bool guard_page(std::byte* page) {
  constexpr size_t kPage = 4096;
  static std::atomic<bool> light{true};
  if (light.load(std::memory_order_relaxed)) {
    if (madvise(page, kPage, MADV_GUARD_INSTALL) == 0) return true;
    if (light.exchange(false, std::memory_order_relaxed)) {
      const Log log("memory");
      const char* why = std::strerror(errno);
      VMRUN_LOG_AT(log, info, "the kernel installs no guards in mappings ({}): each takes two of vm.max_map_count",
                   why);
    }
  }
  return mprotect(page, kPage, PROT_NONE) == 0;
}

}  // namespace vmrun::vm
