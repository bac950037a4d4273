// stack.h on Linux.
#include <sys/mman.h>
#include <unistd.h>

#include <new>

#include "sched/check.h"
#include "sched/stack.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102  // newer than the C library's headers
#endif

namespace vmrun::sched {

namespace {

size_t page_size() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }
size_t whole_pages(size_t bytes) { return (bytes + page_size() - 1) & ~(page_size() - 1); }

}  // namespace

StackPool::StackPool(size_t stack_size, size_t slab_stacks, size_t max_guarded)
    : guard_size_(page_size()),
      stack_size_(whole_pages(stack_size)),
      slab_stacks_(slab_stacks),
      max_guarded_(max_guarded) {
  SCHED_ASSERT(stack_size >= 16384 && slab_stacks > 0, "a fiber needs a stack");
}

StackPool::~StackPool() {
  SCHED_ASSERT(in_use_ == 0, "a stack outlives its pool");
  const size_t bytes = slab_stacks_ * (guard_size_ + stack_size_);
  for (auto& [end, slab] : slabs_) {
    ::munmap(end - bytes, bytes);
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

void StackPool::add_slab() {
  const size_t step = guard_size_ + stack_size_;
  const size_t bytes = slab_stacks_ * step;
  Slabs made;
  std::vector<std::byte*> free;
  free.reserve(slab_stacks_);
  void* memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::bad_alloc();
  }
  auto* base = static_cast<std::byte*>(memory);
  try {
    made[base + bytes];
  } catch (...) {
    ::munmap(memory, bytes);
    throw;
  }
  Slab& slab = slabs_.insert(made.extract(made.begin())).position->second;
  slab.free = std::move(free);
  // A huge page would commit many stacks at the first touch of one.
  ::madvise(base, bytes, MADV_NOHUGEPAGE);
  for (size_t i = slab_stacks_; i-- != 0;) {
    std::byte* guard = base + i * step;
    if (light_guards_ && ::madvise(guard, guard_size_, MADV_GUARD_INSTALL) != 0) {
      light_guards_ = false;
    }
    if (!light_guards_ && guarded_ < max_guarded_ && ::mprotect(guard, guard_size_, PROT_NONE) == 0) {
      ++guarded_;
      ++slab.guarded;
    }
    slab.free.push_back(guard + guard_size_);
  }
  link(slab);
  free_.fetch_add(slab_stacks_, std::memory_order_relaxed);
}

StackBounds StackPool::take() {
  std::lock_guard lock(mutex_);
  if (first_ == nullptr) {
    add_slab();
  }
  Slab& slab = *first_;
  std::byte* low = slab.free.back();
  slab.free.pop_back();
  if (slab.free.empty()) {
    unlink(slab);
  }
  free_.fetch_sub(1, std::memory_order_relaxed);
  ++in_use_;
  return {low, low + stack_size_};
}

void StackPool::give(StackBounds stack) noexcept {
  ::madvise(stack.low, stack.size(), MADV_DONTNEED);
  std::lock_guard lock(mutex_);
  --in_use_;
  free_.fetch_add(1, std::memory_order_relaxed);
  const auto at = slabs_.upper_bound(stack.low);
  Slab& slab = at->second;
  if (slab.free.empty()) {
    link(slab);
  }
  slab.free.push_back(stack.low);  // room was reserved with the slab
  // One slab's worth of free stacks is kept beside it, so that a stack taken and given does not map and unmap.
  if (slab.free.size() == slab_stacks_ && free_.load(std::memory_order_relaxed) >= 2 * slab_stacks_) {
    const size_t bytes = slab_stacks_ * (guard_size_ + stack_size_);
    unlink(slab);
    guarded_ -= slab.guarded;
    free_.fetch_sub(slab_stacks_, std::memory_order_relaxed);
    ::munmap(at->first - bytes, bytes);
    slabs_.erase(at);
  }
}

void StackPool::reserve_one() {
  if (free_.load(std::memory_order_relaxed) == 0) {
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
