// The address space of an engine's linear memories and VM stacks, recycled so that an instance costs a few system
// calls.
//
// A released guarded mapping keeps its pages' protection: the next memory usually wants the same size, and then needs
// no mprotect at all. Its contents go by MADV_DONTNEED, which costs what was touched. Dense slots are read-write as a
// whole (one mapping per chunk: the kernel limits mappings to 65,530 per process), because dense accesses are checked
// anyway.
//
// Address space may be limited (ulimit -v). A pool that finds no room for one guarded memory when it is made does without
// guards for good, since code relies on them or does not; each memory then gets a reservation that leaves at least as
// much for others. Dense chunks shrink until they fit.
//
// The pool's lock covers its lists only; system calls happen outside it.
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "vm/base/assert.h"
#include "vm/base/log.h"
#include "vm/runtime/fault.h"
#include "vm/runtime/guard.h"
#include "vm/runtime/memory.h"

namespace vmrun::vm {
namespace {

constexpr uint64_t kHostPage = 4096;
constexpr uint64_t kDenseChunk = 64ull << 30;
constexpr uint64_t kMost32 = 4ull << 30;  // what a 32-bit memory may grow to
// A 64-bit memory without a maximum gets this much room to grow.
constexpr uint64_t kUnboundedReservation = 64ull << 30;
// More guarded reservations than there is address space for.
constexpr size_t kMostCached = 1 << 14;
// No process has more.
constexpr uint64_t kMostMapped = 1ull << 47;
// What of a released stack stays resident for the next user.
constexpr size_t kWarmStack = 64u << 10;
constexpr size_t kStackExtra = kStackRedZone + kAreaBytes;

/// Made at the first message: a static object would read VMRUN_LOG before the program has looked at it.
const Log& logger() {
  static const Log log("memory");
  return log;
}

uint64_t round_up(uint64_t n) {
  return n > UINT64_MAX - kHostPage ? UINT64_MAX & ~(kHostPage - 1) : (n + kHostPage - 1) & ~(kHostPage - 1);
}

Error no_room(const char* what, uint64_t bytes, const char* advice = "") {
  return Error(ErrorKind::Limit, "cannot reserve " + std::to_string(bytes) + " bytes for a " + what + ": " +
                                     std::strerror(errno) + advice);
}
constexpr char kAdvice[] =
    "; dense memories need less address space (Config::dense_memory, -O dense-memory on the command line)";

std::byte* map(uint64_t bytes, int protection) {
  void* p = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : static_cast<std::byte*>(p);
}

/// Whether this process may not have all the address space that there is.
bool address_space_is_limited() {
  rlimit limit;
  return getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

/// Inaccessible address space: `wanted` bytes, or half as often as it takes, but not less than `least` (both whole pages).
/// Where address space is limited, as much as is taken stays free. Null when there is no room; else `*room` says how much.
std::byte* map_what_fits(uint64_t least, uint64_t wanted, uint64_t* room) {
  const bool limited = address_space_is_limited();
  for (uint64_t bytes = wanted;; bytes = std::max(least, round_up(bytes / 2))) {
    const uint64_t spare = limited && bytes != least ? bytes : 0;
    if (std::byte* base = bytes <= UINT64_MAX - spare ? map(bytes + spare, PROT_NONE) : nullptr) {
      if (spare != 0) munmap(base + bytes, spare);
      *room = bytes;
      return base;
    }
    if (bytes == least) return nullptr;
  }
}

/// Makes exactly [0, bytes) of the mapping accessible.
bool set_accessible(MemoryMapping& mapping, uint64_t bytes) {
  bytes = round_up(bytes);
  if (bytes > mapping.accessible) {
    if (mprotect(mapping.base + mapping.accessible, bytes - mapping.accessible, PROT_READ | PROT_WRITE) != 0)
      return false;
  } else if (bytes < mapping.accessible) {
    if (mprotect(mapping.base + bytes, mapping.accessible - bytes, PROT_NONE) != 0) return false;
  }
  mapping.accessible = bytes;
  return true;
}

}  // namespace

struct MemoryPool::Impl {
  struct Stack {
    std::byte* base;
    size_t bytes;
  };

  Options options;
  bool guards = false;
  std::mutex lock;
  std::vector<MemoryMapping> guarded;  // free
  std::vector<Stack> stacks;           // free
  std::vector<std::byte*> dense;       // free slots
  std::vector<std::pair<std::byte*, uint64_t>> dense_chunks;
  uint64_t dense_slots = 0;  // of all chunks: as many as `dense` has room for

  Result<MemoryMapping> acquire_guarded(uint64_t bytes) {
    MemoryMapping mapping;
    {
      std::lock_guard hold(lock);
      if (!guarded.empty()) {
        auto best = std::find_if(guarded.rbegin(), guarded.rend(),
                                 [&](const MemoryMapping& m) { return m.accessible == round_up(bytes); });
        auto it = best == guarded.rend() ? guarded.end() - 1 : std::prev(best.base());
        mapping = *it;
        *it = guarded.back();
        guarded.pop_back();
      }
    }
    if (mapping.base == nullptr && !map_guarded(mapping)) return no_room("memory", kFaultReservation, kAdvice);
    if (!set_accessible(mapping, bytes)) {
      Error error = no_room("memory", bytes, kAdvice);
      unmap_guarded(mapping);
      return error;
    }
    return mapping;
  }

  static bool map_guarded(MemoryMapping& mapping) {
    mapping.base = map(kFaultReservation, PROT_NONE);
    if (mapping.base == nullptr) return false;
    mapping.reserved = kMost32;
    mapping.guarded = true;
    mapping.pooled = true;
    fault_add_reservation(mapping.base);
    return true;
  }

  /// Makes what is accessible zero.
  void clear(MemoryMapping& mapping) const {
    if (mapping.accessible == 0 || options.drop_pages(mapping.base, mapping.accessible)) return;
    const int protection = mapping.guarded ? PROT_NONE : PROT_READ | PROT_WRITE;
    if (replace(mapping.base, mapping.accessible, protection) && mapping.guarded) mapping.accessible = 0;
  }

  /// Pages that are locked (mlockall) stay; a new mapping takes their place. Without one they are written: false.
  static bool replace(std::byte* base, uint64_t bytes, int protection) {
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    if (mmap(base, bytes, protection, kFlags, -1, 0) != MAP_FAILED) return true;
    std::memset(base, 0, bytes);
    return false;
  }

  static void unmap_guarded(const MemoryMapping& mapping) {
    fault_remove_reservation(mapping.base);
    munmap(mapping.base, kFaultReservation);
  }

  Result<MemoryMapping> acquire_dense(uint64_t bytes) {
    const uint64_t slot_bytes = options.dense_bytes;
    if (bytes > slot_bytes) {
      return Error(ErrorKind::Limit, "memory of " + std::to_string(bytes) +
                                         " bytes is larger than a dense one may be, " + std::to_string(slot_bytes) +
                                         " (Config::dense_memory_max_bytes, -O dense-memory-max on the command line)");
    }
    std::lock_guard hold(lock);
    if (dense.empty()) {
      uint64_t slots = kDenseChunk / slot_bytes;
      std::byte* chunk = map(slots * slot_bytes, PROT_READ | PROT_WRITE);
      while (chunk == nullptr && slots > 1) {
        slots /= 2;
        chunk = map(slots * slot_bytes, PROT_READ | PROT_WRITE);
      }
      if (chunk == nullptr) return no_room("dense memory", slot_bytes);
      dense_slots += slots;
      dense_chunks.emplace_back(chunk, slots * slot_bytes);
      dense.reserve(dense_slots);
      for (uint64_t i = slots; i-- > 0;) dense.push_back(chunk + i * slot_bytes);
    }
    MemoryMapping mapping{dense.back(), slot_bytes, slot_bytes, false, true};
    dense.pop_back();
    return mapping;
  }
};

bool drop_pages(void* base, size_t bytes) {
  // Some emulators accept the advice and do nothing.
  static const bool works = [] {
    std::byte* page = map(kHostPage, PROT_READ | PROT_WRITE);
    if (page == nullptr) return false;
    *const_cast<volatile std::byte*>(page) = std::byte{1};
    const bool dropped =
        madvise(page, kHostPage, MADV_DONTNEED) == 0 && *const_cast<volatile std::byte*>(page) == std::byte{0};
    munmap(page, kHostPage);
    return dropped;
  }();
  return works && madvise(base, bytes, MADV_DONTNEED) == 0;
}

MemoryPool::MemoryPool(const Options& options) : impl_(std::make_unique<Impl>()) {
  impl_->options = options;
  impl_->options.dense_bytes = round_up(std::clamp(options.dense_bytes, kHostPage, kMost32));
  impl_->options.cached = std::min(options.cached, kMostCached);
  // Releasing never allocates.
  impl_->stacks.reserve(impl_->options.cached);
  impl_->guarded.reserve(impl_->options.cached + 1);
  if (options.hosted != nullptr) impl_->guards = options.hosted->guards();
  if (options.hosted != nullptr || options.dense || !options.guards) return;
  MemoryMapping first;
  impl_->guards = Impl::map_guarded(first);
  if (impl_->guards) {
    impl_->guarded.push_back(first);
  } else {
    VMRUN_LOG_AT(logger(), info, "no {} bytes of address space for a guarded memory: accesses are checked instead",
                 kFaultReservation);
  }
}

MemoryPool::~MemoryPool() {
  for (const MemoryMapping& mapping : impl_->guarded) Impl::unmap_guarded(mapping);
  for (const Impl::Stack& stack : impl_->stacks) munmap(stack.base, stack.bytes + kStackExtra + kHostPage);
  for (auto [base, bytes] : impl_->dense_chunks) munmap(base, bytes);
}

bool MemoryPool::guards() const { return impl_->guards; }

Result<MemoryMapping> MemoryPool::acquire(const MemoryType& type, uint64_t bytes, uint64_t max_bytes) {
  if (impl_->options.hosted != nullptr) return impl_->options.hosted->acquire(type, bytes, max_bytes);
  if (memory_is_guarded(type, !guards())) return impl_->acquire_guarded(bytes);
  if (impl_->options.dense && memory_is_guarded(type, false)) return impl_->acquire_dense(bytes);
  if (bytes > kMostMapped) {
    return Error(ErrorKind::Limit, "a memory of " + std::to_string(bytes) + " bytes exceeds the address space of " +
                                       std::to_string(kMostMapped));
  }
  const uint64_t least = std::max(round_up(bytes), kHostPage);
  const uint64_t wanted = unguarded_reservation(type, bytes, max_bytes);
  MemoryMapping mapping;
  mapping.base = map_what_fits(least, wanted, &mapping.reserved);
  if (mapping.base == nullptr) return no_room("memory", least);
  if (!set_accessible(mapping, bytes)) {
    Error error = no_room("memory", bytes);
    munmap(mapping.base, mapping.reserved);
    return error;
  }
  return mapping;
}

uint64_t MemoryPool::unguarded_reservation(const MemoryType& type, uint64_t bytes, uint64_t max_bytes) const {
  if (impl_->options.hosted != nullptr || memory_is_guarded(type, !guards())) return 0;
  const uint64_t least = std::max(round_up(bytes), kHostPage);
  if (impl_->options.dense && memory_is_guarded(type, false)) return impl_->options.dense_bytes;
  return std::clamp(round_up(max_bytes), least, std::max(least, kUnboundedReservation));
}

bool MemoryPool::grow(MemoryMapping& mapping, uint64_t bytes) const {
  if (mapping.hosted) return impl_->options.hosted->grow(mapping, bytes);
  const uint64_t wanted = round_up(bytes);
  if (mprotect(mapping.base + mapping.accessible, wanted - mapping.accessible, PROT_READ | PROT_WRITE) != 0)
    return false;
  mapping.accessible = wanted;
  return true;
}

void MemoryPool::release(MemoryMapping mapping) {
  if (mapping.hosted) {
    impl_->options.hosted->release(mapping);
    return;
  }
  if (!mapping.pooled) {
    munmap(mapping.base, mapping.reserved);
    return;
  }
  impl_->clear(mapping);
  {
    std::lock_guard hold(impl_->lock);
    if (!mapping.guarded) {
      impl_->dense.push_back(mapping.base);
      return;
    }
    if (impl_->guarded.size() < impl_->options.cached) {
      impl_->guarded.push_back(mapping);
      return;
    }
  }
  Impl::unmap_guarded(mapping);
}

Result<std::byte*> MemoryPool::acquire_stack(size_t bytes) {
  if (bytes > kMostMapped) {
    errno = ENOMEM;
    return no_room("stack", bytes);
  }
  bytes = round_up(bytes);
  {
    std::lock_guard hold(impl_->lock);
    for (size_t i = impl_->stacks.size(); i-- > 0;) {
      if (impl_->stacks[i].bytes != bytes) continue;
      std::byte* base = impl_->stacks[i].base;
      impl_->stacks[i] = impl_->stacks.back();
      impl_->stacks.pop_back();
      return base;
    }
  }
  std::byte* base = map(bytes + kStackExtra + kHostPage, PROT_READ | PROT_WRITE);
  if (base == nullptr) return no_room("stack", bytes);
  if (!guard_page(base + bytes + kStackExtra)) {
    const int why = errno;
    munmap(base, bytes + kStackExtra + kHostPage);
    errno = why;
    return no_room("stack", bytes);
  }
  return base;
}

Slot* MemoryPool::area_of(std::byte* stack, size_t bytes) {
  return reinterpret_cast<Slot*>(stack + round_up(bytes) + kStackRedZone);
}

void MemoryPool::release_stack(std::byte* base, size_t bytes) {
  bytes = round_up(bytes);
  // If the pages stay, so be it: nobody reads a slot before writing it.
  if (bytes + kStackExtra > kWarmStack) drop_pages(base + kWarmStack, bytes + kStackExtra - kWarmStack);
  {
    std::lock_guard hold(impl_->lock);
    if (impl_->stacks.size() < impl_->options.cached) {
      impl_->stacks.push_back({base, bytes});
      return;
    }
  }
  munmap(base, bytes + kStackExtra + kHostPage);
}

void MemoryPool::clear_memory(const Room& room, uint64_t dirty) const {
  if (dirty == 0 || impl_->options.drop_pages(room.memory(), dirty)) return;
  Impl::replace(room.memory(), round_up(dirty), PROT_READ | PROT_WRITE);
}

void MemoryPool::tidy(const Room& room, uint64_t dirty) const {
  // From the stack to the memory it is one range; the guard in it stays.
  std::byte* const from = room.pages() + std::min(kWarmStack, room.shape().guard);
  if (impl_->options.drop_pages(from, static_cast<size_t>(room.memory() - from) + dirty)) return;
  clear_memory(room, dirty);
}

}  // namespace vmrun::vm
