// freed_memory.h on Linux: glibc keeps pages inside its heaps until it is told.
#include <malloc.h>

#include <atomic>
#include <cstddef>

#include "engine/freed_memory.h"

namespace vmrun {
namespace {

// A store leaves some 4 KiB: below a few MiB it is not worth the while. A server whose guests come and go all the time has
// as many of them now as before, and keeps its heap.
constexpr size_t kMany = 1000;
std::atomic<size_t> live{0};
std::atomic<size_t> most{0};  // that lived at a time, since the heap was last trimmed

}  // namespace

void note_new_store() noexcept {
  const size_t now = live.fetch_add(1, std::memory_order_relaxed) + 1;
  if (now > most.load(std::memory_order_relaxed)) most.store(now, std::memory_order_relaxed);
}

void note_dead_store() noexcept {
  const size_t now = live.fetch_sub(1, std::memory_order_relaxed) - 1;
  size_t before = most.load(std::memory_order_relaxed);
  if (before < now + kMany || now > before / 2) [[likely]]
    return;
  if (!most.compare_exchange_strong(before, now, std::memory_order_relaxed)) return;  // another thread does it
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace vmrun
