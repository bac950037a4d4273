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
  for (std::byte* slab : slabs_) {
    ::munmap(slab, slab_stacks_ * (guard_size_ + stack_size_));
  }
}

void StackPool::add_slab() {
  const size_t step = guard_size_ + stack_size_;
  slabs_.reserve(slabs_.size() + 1);
  free_.reserve((slabs_.size() + 1) * slab_stacks_);
  void* memory = ::mmap(nullptr, slab_stacks_ * step, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::bad_alloc();
  }
  auto* slab = static_cast<std::byte*>(memory);
  slabs_.push_back(slab);
  // A huge page would commit many stacks at the first touch of one.
  ::madvise(slab, slab_stacks_ * step, MADV_NOHUGEPAGE);
  for (size_t i = slab_stacks_; i-- != 0;) {
    std::byte* guard = slab + i * step;
    if (light_guards_ && ::madvise(guard, guard_size_, MADV_GUARD_INSTALL) != 0) {
      light_guards_ = false;
    }
    if (!light_guards_ && guarded_ < max_guarded_ && ::mprotect(guard, guard_size_, PROT_NONE) == 0) {
      ++guarded_;
    }
    free_.push_back(guard + guard_size_);
  }
}

StackBounds StackPool::take() {
  std::lock_guard lock(mutex_);
  if (free_.empty()) {
    add_slab();
  }
  std::byte* low = free_.back();
  free_.pop_back();
  ++in_use_;
  return {low, low + stack_size_};
}

void StackPool::give(StackBounds stack) noexcept {
  ::madvise(stack.low, stack.size(), MADV_DONTNEED);
  std::lock_guard lock(mutex_);
  free_.push_back(stack.low);  // room was reserved with the slab
  --in_use_;
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
