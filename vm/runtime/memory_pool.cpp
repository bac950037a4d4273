// The address space of an engine's linear memories and VM stacks, recycled so that an instance costs a few system
// calls.
//
// A released guarded mapping keeps its pages' protection: the next memory usually wants the same size, and then needs
// no mprotect at all. Its contents are written over where that is little, and given back where it is more
// (vm/runtime/clean_pages.h); what stays resident is bounded for each and for all. A free mapping is zero everywhere, also beyond
// what is accessible. Dense slots are read-write as a whole (one mapping per chunk: the kernel limits mappings to 65,530 per
// process), because dense accesses are checked anyway.
//
// Address space may be limited (ulimit -v). A pool that finds no room for one guarded memory when it is made does without
// guards for good, since code relies on them or does not; each memory then gets a reservation that leaves at least as
// much for others. Dense chunks shrink until they fit.
//
// Free mappings and stacks lie on shelves, one for each stripe of threads (vm/base/stripe.h) and a large one for all: threads that
// make and drop instances find on their own shelf what they last put there, and meet nobody. What their shelf does not have is
// looked for on the large one, then on those of others, before a new one is mapped.
//
// A shelf's lock (vm/runtime/shelf.h) covers its lists only; system calls happen outside it, and nobody holds two. Whoever trims
// takes what it trims out of the list meanwhile, so nobody else gets it. Pools are in a list of the process, whose lock comes before
// theirs.
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "vm/base/assert.h"
#include "vm/base/log.h"
#include "vm/runtime/fault.h"
#include "vm/runtime/guard.h"
#include "vm/runtime/memory.h"
#include "vm/runtime/memory_pages.h"
#include "vm/runtime/shelf.h"

namespace vmrun::vm {
namespace {

constexpr uint64_t kDenseChunk = 64ull << 30;
constexpr uint64_t kMost32 = 4ull << 30;  // what a 32-bit memory may grow to
// A 64-bit memory without a maximum gets this much room to grow.
constexpr uint64_t kUnboundedReservation = 64ull << 30;
// More guarded reservations than there is address space for.
constexpr size_t kMostCached = 1 << 14;
// No process has more.
constexpr uint64_t kMostMapped = 1ull << 47;
// What of a released stack stays resident for the next user, beside the area of a vCPU, and of a room's memory. The scheduler keeps
// a thousand rooms (sched::Config::idle_fibers), until it has been idle for a second.
constexpr size_t kWarmStack = 64u << 10;
constexpr size_t kWarmRoom = 64u << 10;
// Memories that are written over as a whole when they come back: to write 64 KiB takes half as long as to ask about them.
constexpr uint64_t kWrittenOver = 64u << 10;
// What a stripe's shelf holds at most of each kind, beside what the large shelf holds.
constexpr size_t kMostByStripe = 4;
// So many free stacks of this size at most keep all that they have committed: looking at a stack costs as much as a call.
constexpr size_t kMostDeep = 8;
constexpr size_t kDeepStack = 8u << 20;
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

/// Inaccessible address space that begins where a large page may, if there is room for that, and else somewhere.
std::byte* map_for_large_pages(uint64_t bytes) {
  std::byte* const all = map(bytes + kLargePage, PROT_NONE);
  if (all == nullptr) return map(bytes, PROT_NONE);
  const uint64_t before = -reinterpret_cast<uintptr_t>(all) & (kLargePage - 1);
  if (before != 0) munmap(all, before);
  munmap(all + before + bytes, kLargePage - before);
  return all + before;
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

/// Dev builds look at what they hand out: small memories as a whole, else at what is resident.
void check_zero(std::byte* base, uint64_t bytes) {
#ifdef VMRUN_ASSERTIONS
  constexpr uint64_t kAll = 1u << 20;
  const auto is_zero = [](const std::byte* begin, uint64_t size) {
    return std::all_of(begin, begin + size, [](std::byte b) { return b == std::byte{0}; });
  };
  if (bytes <= kAll) VMRUN_ASSERT(is_zero(base, bytes), "a memory that is handed out is zero");
  DirtyPages dirty;
  for (std::byte* at = base; bytes > kAll && at < base + bytes; at = dirty.end) {
    if (!find_dirty(at, static_cast<size_t>(base + bytes - at), bytes, dirty)) return;
    for (size_t i = 0; i < dirty.count; ++i) {
      VMRUN_ASSERT(is_zero(dirty.ranges[i].begin, dirty.ranges[i].bytes), "a memory that is handed out is zero");
    }
  }
#else
  (void)base, (void)bytes;
#endif
}

}  // namespace

struct MemoryPool::Impl {
  struct DenseSlot {
    std::byte* base;
    uint64_t warm;
    uint64_t warm_end;
  };

  Options options;
  bool guards = false;
  std::array<Shelf, kStripes> by_stripe;
  Shelf large;
  std::atomic<size_t> deep_left{kMostDeep};
  std::mutex lock;               // of the dense ones
  std::vector<DenseSlot> dense;  // free
  std::vector<std::pair<std::byte*, uint64_t>> dense_chunks;
  uint64_t dense_slots = 0;         // of all chunks: as many as `dense` has room for
  std::atomic<bool> reused{false};  // a memory has come back
  std::atomic<uint64_t> warm{0};    // bytes that free memories keep resident, and those that shelves have spare

  Shelf& own() { return by_stripe[stripe()]; }
  /// All shelves, the large one last.
  template <class Visit>
  void each_shelf(Visit visit) {
    for (Shelf& shelf : by_stripe) visit(shelf);
    visit(large);
  }

  Result<MemoryMapping> acquire_guarded(uint64_t bytes) {
    MemoryMapping mapping;
    const uint64_t wanted = round_up(bytes);
    if (!own().take(wanted, false, mapping) && !large.take(wanted, false, mapping) &&
        !own().take(wanted, true, mapping) && !large.take(wanted, true, mapping)) {
      for (Shelf& shelf : by_stripe) {
        if (shelf.take(wanted, true, mapping)) break;
      }
    }
    if (mapping.base == nullptr && !map_guarded(mapping)) return no_room("memory", kFaultReservation, kAdvice);
    uncharge_warm(mapping.warm);
    if (!set_accessible(mapping, bytes)) {
      Error error = no_room("memory", bytes, kAdvice);
      unmap_guarded(mapping);
      return error;
    }
    mapping.was_warm = mapping.warm;
    mapping.warm = mapping.warm_end = 0;
    check_zero(mapping.base, mapping.accessible);
    return mapping;
  }

  /// Makes exactly [0, bytes) of the mapping accessible, with nothing resident beyond.
  bool set_accessible(MemoryMapping& mapping, uint64_t bytes) const {
    bytes = round_up(bytes);
    if (bytes > mapping.accessible) {
      if (mprotect(mapping.base + mapping.accessible, bytes - mapping.accessible, PROT_READ | PROT_WRITE) != 0)
        return false;
    } else if (bytes < mapping.accessible) {
      if (mapping.warm_end > bytes) options.pages.drop(mapping.base + bytes, mapping.warm_end - bytes);
      if (mprotect(mapping.base + bytes, mapping.accessible - bytes, PROT_NONE) != 0) return false;
    }
    mapping.accessible = bytes;
    return true;
  }

  static bool map_guarded(MemoryMapping& mapping) {
    mapping.base = map_for_large_pages(kFaultReservation);
    if (mapping.base == nullptr) return false;
    mapping.reserved = kMost32;
    mapping.guarded = true;
    mapping.pooled = true;
    fault_add_reservation(mapping.base);
    return true;
  }

  /// What may stay resident of one more memory, when it is charged for: uncharge what is not used.
  uint64_t charge_warm(uint64_t most) {
    std::atomic<uint64_t>& spare = own().spare;
    uint64_t got = spare.exchange(0, std::memory_order_relaxed);
    if (got >= most) {
      if (got > most) uncharge_warm(got - most);
      return most;
    }
    most -= got;
    uint64_t have = warm.load(std::memory_order_relaxed);
    do {
      most = std::min(most, options.most_warm - std::min(options.most_warm, have)) & ~(kHostPage - 1);
      if (most == 0) return got;
    } while (!warm.compare_exchange_weak(have, have + most, std::memory_order_relaxed));
    return got + most;
  }
  /// What was charged for is not resident: it stays with the stripe, or goes back.
  void uncharge_warm(uint64_t bytes) {
    if (bytes == 0) return;
    std::atomic<uint64_t>& spare = own().spare;
    // Two at a time may add a little more than that.
    if (spare.load(std::memory_order_relaxed) + bytes <= options.warm) {
      spare.fetch_add(bytes, std::memory_order_relaxed);
    } else {
      warm.fetch_sub(bytes, std::memory_order_relaxed);
    }
  }

  /// Makes what is accessible zero.
  void clear(MemoryMapping& mapping) {
    // A process that runs one guest gains nothing by asking.
    const bool first = !reused.load(std::memory_order_relaxed) && !reused.exchange(true, std::memory_order_relaxed);
    const uint64_t may = first ? 0 : charge_warm(std::min(options.warm, mapping.accessible));
    // It costs less to write over a small memory than to ask what of it was touched. One that comes back for the first time may never
    // be used again, and has most of its pages still to be made.
    if (mapping.accessible <= kWrittenOver && mapping.was_warm != 0 && may == mapping.accessible) {
      std::memset(mapping.base, 0, mapping.accessible);
      mapping.warm = mapping.warm_end = may;
      return;
    }
    const int protection = mapping.guarded ? PROT_NONE : PROT_READ | PROT_WRITE;
    const Cleaned now = clean_pages(mapping.base, mapping.accessible, may, protection, options.pages);
    if (now.replaced && mapping.guarded) mapping.accessible = 0;
    mapping.warm = now.kept;
    mapping.warm_end = now.kept_end;
    if (now.kept <= may) {
      uncharge_warm(may - now.kept);
    } else {
      warm.fetch_add(now.kept - may, std::memory_order_relaxed);
    }
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
    std::unique_lock hold(lock);
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
      for (uint64_t i = slots; i-- > 0;) dense.push_back({chunk + i * slot_bytes, 0, 0});
    }
    const DenseSlot slot = dense.back();
    dense.pop_back();
    hold.unlock();
    uncharge_warm(slot.warm);
    check_zero(slot.base, round_up(bytes));
    return MemoryMapping{
        .base = slot.base, .reserved = slot_bytes, .accessible = slot_bytes, .pooled = true, .was_warm = slot.warm};
  }

  /// Gives back what a free memory keeps resident. It is in no list.
  void cool(std::byte* base, uint64_t& bytes, uint64_t& end) {
    // Locked pages stay, as they would without us; they are zero.
    options.pages.drop(base, end);
    warm.fetch_sub(bytes, std::memory_order_relaxed);
    bytes = end = 0;
  }

  /// Takes those for which `is_warm` is true out of `list`, one by one, and puts them back after `cool_one`. Under its lock but
  /// for `cool_one`. One thread at a time.
  template <class T, class IsWarm, class Cool>
  static void trim_list(std::mutex& lock, std::vector<T>& list, IsWarm is_warm, Cool cool_one) {
    std::unique_lock hold(lock);
    for (size_t i = list.size();; --i) {
      i = std::min(i, list.size());
      while (i > 0 && !is_warm(list[i - 1])) --i;
      if (i == 0) return;
      T one = list[i - 1];
      list[i - 1] = list.back();
      list.pop_back();
      hold.unlock();
      cool_one(one);
      hold.lock();
      list.push_back(one);  // there is room for one more than are kept
    }
  }
};

namespace {
/// All pools, and the lock under which one thread at a time trims.
struct Pools {
  std::mutex lock;
  std::vector<MemoryPool*> list;
};
Pools& pools() {
  static Pools* const all = new Pools;  // pools may outlive the end of static objects
  return *all;
}
}  // namespace

void MemoryPool::take_from_parent() {
  for (MemoryPool* pool : pools().list) {
    Impl& impl = *pool->impl_;
    impl.each_shelf([](Shelf& shelf) { shelf.take_from_parent(); });
    if (impl.lock.try_lock()) {
      impl.lock.unlock();
    } else {
      new (&impl.lock) std::mutex;
      new (&impl.dense) std::vector<Impl::DenseSlot>;
    }
  }
}

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
  impl_->options.warm &= ~(kHostPage - 1);
  for (Shelf& shelf : impl_->by_stripe) shelf.hold_at_most(std::min(impl_->options.cached, kMostByStripe));
  impl_->large.hold_at_most(impl_->options.cached);
  // A child may end by exit, and its stores with it: no lock of its pools may be one of a thread that it does not have.
  static const int before_forks = pthread_atfork([] { pools().lock.lock(); }, [] { pools().lock.unlock(); },
                                                 [] {
                                                   take_from_parent();
                                                   pools().lock.unlock();
                                                 });
  (void)before_forks;  // without memory for that, such a child may wait for ever
  {
    std::lock_guard hold(pools().lock);
    pools().list.push_back(this);
  }
  if (options.hosted != nullptr) impl_->guards = options.hosted->guards();
  if (options.hosted != nullptr || options.dense || !options.guards) return;
  MemoryMapping first;
  impl_->guards = Impl::map_guarded(first);
  if (impl_->guards) {
    impl_->large.guarded.push_back(first);
  } else {
    VMRUN_LOG_AT(logger(), info, "no {} bytes of address space for a guarded memory: accesses are checked instead",
                 kFaultReservation);
  }
}

MemoryPool::~MemoryPool() {
  {
    std::lock_guard hold(pools().lock);
    std::erase(pools().list, this);
  }
  impl_->each_shelf([](Shelf& shelf) {
    for (const MemoryMapping& mapping : shelf.guarded) Impl::unmap_guarded(mapping);
    for (const FreeStack& stack : shelf.stacks) munmap(stack.base, stack.bytes + kStackExtra + kHostPage);
  });
  for (auto [base, bytes] : impl_->dense_chunks) munmap(base, bytes);
}

bool MemoryPool::guards() const { return impl_->guards; }
bool MemoryPool::is_hosted() const { return impl_->options.hosted != nullptr; }

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
  if (!impl_->set_accessible(mapping, bytes)) {
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
    forget_pages(mapping);
    munmap(mapping.base, mapping.reserved);
    return;
  }
  if (!renew_pages(mapping)) {
    Impl::unmap_guarded(mapping);
    return;
  }
  impl_->clear(mapping);
  if (!mapping.guarded) {
    std::lock_guard hold(impl_->lock);
    impl_->dense.push_back({mapping.base, mapping.warm, mapping.warm_end});
    return;
  }
  if (impl_->own().put(mapping)) return;
  if (impl_->large.put(mapping)) return;
  impl_->uncharge_warm(mapping.warm);
  Impl::unmap_guarded(mapping);
}

void MemoryPool::trim() {
  std::lock_guard one(pools().lock);
  trim_alone();
}

void MemoryPool::trim_alone() {
  Impl& impl = *impl_;
  impl.trim_list(
      impl.lock, impl.dense, [](const Impl::DenseSlot& slot) { return slot.warm != 0; },
      [&](Impl::DenseSlot& slot) { impl.cool(slot.base, slot.warm, slot.warm_end); });
  impl.each_shelf([&](Shelf& shelf) {
    Impl::trim_list(
        shelf.lock, shelf.guarded, [](const MemoryMapping& m) { return m.warm != 0; },
        [&](MemoryMapping& m) { impl.cool(m.base, m.warm, m.warm_end); });
    Impl::trim_list(
        shelf.lock, shelf.stacks, [](const FreeStack& stack) { return stack.how != FreeStack::Cold; },
        [&](FreeStack& stack) {
          impl.options.pages.drop(stack.base, stack.bytes + kStackExtra);
          if (stack.how == FreeStack::Deep) {
            std::lock_guard hold(shelf.lock);
            --shelf.deep;
          }
          stack.how = FreeStack::Cold;
        });
    impl.warm.fetch_sub(shelf.spare.exchange(0, std::memory_order_relaxed), std::memory_order_relaxed);
    shelf.give_back_deep(impl.deep_left);
  });
}

Result<std::byte*> MemoryPool::acquire_stack(size_t bytes) {
  if (bytes > kMostMapped) {
    errno = ENOMEM;
    return no_room("stack", bytes);
  }
  bytes = round_up(bytes);
  if (std::byte* base = impl_->own().take_stack(bytes)) return base;
  if (std::byte* base = impl_->large.take_stack(bytes)) return base;
  for (Shelf& shelf : impl_->by_stripe) {
    if (std::byte* base = shelf.take_stack(bytes)) return base;
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
  if (bytes <= kDeepStack && impl_->own().put_deep(base, bytes, impl_->deep_left)) return;
  // If the pages stay, so be it: nobody reads a slot before writing it. What every call uses, the area, stays.
  const size_t end = bytes + kStackRedZone;
  if (end > kWarmStack) impl_->options.pages.drop(base + kWarmStack, end - kWarmStack);
  const FreeStack stack{base, bytes, FreeStack::Warm};
  if (impl_->own().put(stack)) return;
  if (impl_->large.put(stack)) return;
  munmap(base, bytes + kStackExtra + kHostPage);
}

void MemoryPool::clear_memory(const Room& room, uint64_t dirty) const {
  clean_pages(room.memory(), round_up(dirty), kWarmRoom, PROT_READ | PROT_WRITE, impl_->options.pages);
}

void MemoryPool::tidy(const Room& room, const Slot* area, uint64_t dirty) const {
  // The area of the vCPU, which every call uses, stays where all stores have theirs that may use the whole stack.
  size_t end = room.shape().guard;
  if (area == area_of(room.stack(), room.shape().stack_bytes())) {
    end = static_cast<size_t>(reinterpret_cast<const std::byte*>(area) - room.pages()) & ~(kHostPage - 1);
  }
  if (end > kWarmStack) impl_->options.pages.drop(room.pages() + kWarmStack, end - kWarmStack);
  clear_memory(room, dirty);
}

void MemoryPool::trim_all() {
  // A pool cannot end meanwhile: it would have to leave the list first.
  std::lock_guard one(pools().lock);
  for (MemoryPool* pool : pools().list) pool->trim_alone();
}

uint64_t MemoryPool::warm_bytes() const {
  uint64_t bytes = impl_->warm.load(std::memory_order_relaxed);
  for (const Shelf& shelf : impl_->by_stripe) bytes -= shelf.spare.load(std::memory_order_relaxed);
  return bytes;
}

}  // namespace vmrun::vm
