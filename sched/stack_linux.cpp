// stack.h on Linux.
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <utility>

#include "sched/check.h"
#include "sched/stack.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102  // newer than the C library's headers
#endif

namespace vmrun::sched {

namespace {

// What one page of the page tables covers: a place with an annex begins at a multiple, so that what is touched of it lies
// in as few as possible.
constexpr size_t table_reach = size_t{2} << 20;

size_t page_size() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }
size_t rounded(size_t bytes, size_t to) { return (bytes + to - 1) & ~(to - 1); }

/// Address space that is committed as it is used, also where the process locks all that it maps (mlockall), which would
/// commit the whole of it at once: so it is mapped inaccessible, and then not locked any more.
void* map(size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) {
    return nullptr;
  }
  ::munlock(memory, bytes);
  if (::mprotect(memory, bytes, PROT_READ | PROT_WRITE) != 0) {
    ::munmap(memory, bytes);
    return nullptr;
  }
  return memory;
}

bool install_guard(void* page, size_t bytes) { return ::madvise(page, bytes, MADV_GUARD_INSTALL) == 0; }

}  // namespace

bool has_light_guards() {
  static const bool has = [] {
    void* page = map(page_size());
    if (page == nullptr) return false;
    const bool installed = install_guard(page, page_size());
    ::munmap(page, page_size());
    return installed;
  }();
  return has;
}

StackPool::StackPool(size_t stack_size, size_t slab_stacks, size_t max_guarded, const AnnexShape& annex,
                     std::shared_ptr<StackSource> source)
    : page_(page_size()),
      stack_size_(rounded(stack_size, page_) - annex.shared),
      slab_stacks_(slab_stacks),
      max_guarded_(max_guarded),
      annex_(annex),
      source_(std::move(source)) {
  SCHED_ASSERT(stack_size_ >= 15360 && slab_stacks > 0, "a fiber needs a stack");
  SCHED_ASSERT(annex.shared % 64 == 0 && annex.shared < page_ && annex.size % page_ == 0, "an annex's shape");
  SCHED_ASSERT(annex.guard % page_ == 0 && (annex.guard == 0 || annex.guard < annex.size), "an annex's guard");
}

StackPool::~StackPool() {
  SCHED_ASSERT(in_use_ == 0, "a stack outlives its pool");
  for (auto& [end, slab] : slabs_) {
    ::munmap(slab.base, static_cast<size_t>(end - slab.base));
  }
}

void StackPool::link(Slab& slab) {
  slab.prev = nullptr;
  slab.next = first_;
  if (first_ != nullptr) {
    first_->prev = &slab;
  }
  first_ = &slab;
}

void StackPool::unlink(Slab& slab) {
  (slab.prev != nullptr ? slab.prev->next : first_) = slab.next;
  if (slab.next != nullptr) {
    slab.next->prev = slab.prev;
  }
}

size_t StackPool::step(bool annexed) const {
  const size_t bytes = page_ + stack_size_ + annex_.shared;
  return annexed ? rounded(bytes + annex_.size, table_reach) : bytes;
}

StackBounds StackPool::stack_at(std::byte* place) const { return {place + page_, place + page_ + stack_size_}; }

/// Address space for `places`, or null.
std::byte* StackPool::map_slab(size_t places, bool annexed) const {
  const size_t bytes = places * step(annexed);
  const size_t align = annexed ? table_reach : page_;
  auto* memory = static_cast<std::byte*>(map(bytes + align - page_));
  if (memory == nullptr) {
    return nullptr;
  }
  const auto at = reinterpret_cast<uintptr_t>(memory);
  const size_t before = rounded(at, align) - at, behind = align - page_ - before;
  if (before != 0) {
    ::munmap(memory, before);
  }
  if (behind != 0) {
    ::munmap(memory + before + bytes, behind);
  }
  // A huge page would commit many stacks at the first touch of one.
  ::madvise(memory + before, bytes, MADV_NOHUGEPAGE);
  return memory + before;
}

void StackPool::add_slab() {
  Slab slab;
  slab.free.reserve(slab_stacks_);
  Slabs made;
  made[nullptr];  // its node, while nothing is mapped
  // Where address space is limited, a slab takes a small part of it. Where there is none for annexes, stacks do without.
  rlimit limit;
  const bool limited = ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  std::byte* base = nullptr;
  for (bool annexed : {true, false}) {
    if (base != nullptr || (annexed && annex_.size == 0)) {
      continue;
    }
    slab.annexed = annexed;
    slab.places = slab_stacks_;
    if (limited) {
      slab.places = std::clamp<size_t>(limit.rlim_cur / 16 / step(annexed), 1, slab_stacks_);
    }
    while ((base = map_slab(slab.places, annexed)) == nullptr && slab.places > 1) {
      slab.places /= 2;
    }
  }
  if (base == nullptr) {
    throw std::bad_alloc();
  }
  slab.base = base;
  auto node = made.extract(made.begin());
  node.key() = base + slab.places * step(slab.annexed);
  node.mapped() = std::move(slab);
  Slab& kept = slabs_.insert(std::move(node)).position->second;
  link(kept);
  free_.fetch_add(kept.places, std::memory_order_relaxed);
}

void StackPool::guard(Slab& slab, std::byte* page) {
  if (light_guards_ && !install_guard(page, page_)) {
    light_guards_ = false;
  }
  if (!light_guards_ && guarded_ < max_guarded_ && ::mprotect(page, page_, PROT_NONE) == 0) {
    ++guarded_;
    ++slab.guarded;
  }
}

StackBounds StackPool::take() {
  if (source_ != nullptr) {
    const StackBounds stack = source_->take(stack_size_);
    std::lock_guard lock(mutex_);
    ++in_use_;
    return stack;
  }
  std::lock_guard lock(mutex_);
  if (first_ == nullptr) {
    add_slab();
  }
  Slab& slab = *first_;
  std::byte* place = nullptr;
  if (!slab.free.empty()) {
    place = slab.free.back();
    slab.free.pop_back();
  } else {
    place = slab.base + slab.made++ * step(slab.annexed);
    guard(slab, place);
    if (slab.annexed && annex_.guard != 0) {
      guard(slab, stack_at(place).high + annex_.shared + annex_.guard);
    }
  }
  if (++slab.used == slab.places) {
    unlink(slab);
  }
  free_.fetch_sub(1, std::memory_order_relaxed);
  ++in_use_;
  return stack_at(place);
}

bool StackPool::has_annex(StackBounds stack) const {
  if (source_ != nullptr) {
    return false;
  }
  std::lock_guard lock(mutex_);
  return slabs_.upper_bound(stack.low)->second.annexed;
}

void StackPool::give(StackBounds stack) noexcept {
  if (source_ != nullptr) {
    source_->give(stack);
    std::lock_guard lock(mutex_);
    --in_use_;
    return;
  }
  // Guards stay where they are.
  ::madvise(stack.low, stack.size() + annex_.shared + (has_annex(stack) ? annex_.size : 0), MADV_DONTNEED);
  std::lock_guard lock(mutex_);
  --in_use_;
  free_.fetch_add(1, std::memory_order_relaxed);
  const auto at = slabs_.upper_bound(stack.low);
  Slab& slab = at->second;
  if (slab.used-- == slab.places) {
    link(slab);
  }
  slab.free.push_back(stack.low - page_);  // room was reserved with the slab
  // One slab's worth of free stacks is kept beside it, so that a stack taken and given does not map and unmap.
  if (slab.used == 0 && free_.load(std::memory_order_relaxed) >= slab.places + slab_stacks_) {
    unlink(slab);
    guarded_ -= slab.guarded;
    free_.fetch_sub(slab.places, std::memory_order_relaxed);
    ::munmap(slab.base, static_cast<size_t>(at->first - slab.base));
    slabs_.erase(at);
  }
}

void StackPool::reserve_one() {
  if (source_ == nullptr && free_.load(std::memory_order_relaxed) == 0) {
    std::lock_guard lock(mutex_);
    if (first_ == nullptr) {
      add_slab();
    }
  }
}

size_t StackPool::in_use() const {
  std::lock_guard lock(mutex_);
  return in_use_;
}

size_t StackPool::mappings() const {
  std::lock_guard lock(mutex_);
  return slabs_.size() + 2 * guarded_;
}

}  // namespace vmrun::sched
