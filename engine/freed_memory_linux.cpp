// freed_memory.h on Linux: glibc keeps pages inside its heaps until it is told.
#include <malloc.h>

#include <atomic>

#include "engine/freed_memory.h"

namespace vmrun {
namespace {

// A guest leaves some 4 KiB: below a few MiB it is not worth the while.
constexpr size_t kMany = 1000;
std::atomic<size_t> ended_guests{0};

}  // namespace

void note_ended_guest() noexcept { ended_guests.fetch_add(1, std::memory_order_relaxed); }

void give_back_freed_memory() noexcept {
  if (ended_guests.load(std::memory_order_relaxed) < kMany) return;
  ended_guests.store(0, std::memory_order_relaxed);
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace vmrun
