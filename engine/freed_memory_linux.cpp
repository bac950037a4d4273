// freed_memory.h on Linux: glibc keeps pages inside its heaps until it is told.
#include <malloc.h>

#include <array>
#include <atomic>
#include <cstddef>

#include "engine/freed_memory.h"
#include "vm/base/stripe.h"

namespace vmrun {
namespace {

// A store leaves some 4 KiB: below a few MiB it is not worth the while. A server whose guests come and go all the time has
// as many of them now as before, and keeps its heap.
constexpr ptrdiff_t kMany = 1000;
std::atomic<ptrdiff_t> live{0};
std::atomic<ptrdiff_t> most{0};  // that lived at a time, since the heap was last trimmed

// Stripes pass on what they have counted when it is so much: `live` is wrong by so many for each of them, which is little beside kMany.
constexpr ptrdiff_t kBatch = 16;
static_assert(kBatch * static_cast<ptrdiff_t>(vm::kStripes) < kMany / 2);
struct alignas(vm::kStripeAlign) Pending {
  std::atomic<ptrdiff_t> stores{0};
};
std::array<Pending, vm::kStripes> pending;

/// Counts one more or one less; true when that made `live` another number, which is in `now`.
bool note(ptrdiff_t change, ptrdiff_t& now) {
  std::atomic<ptrdiff_t>& stores = pending[vm::stripe()].stores;
  if (stores.fetch_add(change, std::memory_order_relaxed) + change != change * kBatch) return false;
  stores.fetch_sub(change * kBatch, std::memory_order_relaxed);
  now = live.fetch_add(change * kBatch, std::memory_order_relaxed) + change * kBatch;
  return true;
}

}  // namespace

void note_new_store() noexcept {
  ptrdiff_t now;
  if (note(1, now) && now > most.load(std::memory_order_relaxed)) most.store(now, std::memory_order_relaxed);
}

void note_dead_store() noexcept {
  ptrdiff_t now;
  if (!note(-1, now)) return;
  ptrdiff_t before = most.load(std::memory_order_relaxed);
  if (before < now + kMany || now > before / 2) [[likely]]
    return;
  if (!most.compare_exchange_strong(before, now, std::memory_order_relaxed)) return;  // another thread does it
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace vmrun
