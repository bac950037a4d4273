#include "tests/no_memory/allocators.h"

#include <atomic>
#include <cstdlib>
#include <new>

extern "C" {
void* __real_malloc(size_t size);
void* __real_calloc(size_t count, size_t size);
void* __real_realloc(void* block, size_t size);
void* __real_aligned_alloc(size_t alignment, size_t size);
}

namespace {

std::atomic<uint64_t> count{0}, first{0};
std::atomic<bool> all_after{false};
std::atomic<int64_t> live{0};

/// Counts one more allocation; whether it has to fail.
bool fails() {
  const uint64_t number = count.fetch_add(1) + 1, from = first.load();
  return from != 0 && (number == from || (all_after.load() && number > from));
}

void* take(void* block) {
  if (block != nullptr) live.fetch_add(1);
  return block;
}

void* allocate(size_t size, size_t alignment) {
  if (fails()) return nullptr;
  return take(alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__
                  ? __real_malloc(size)
                  : __real_aligned_alloc(alignment, (size + alignment - 1) & ~(alignment - 1)));
}

void* or_throw(void* block) {
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void give(void* block) {
  if (block != nullptr) live.fetch_sub(1);
  std::free(block);
}

}  // namespace

namespace vmrun::test {

void fail_allocation(uint64_t number, bool after) {
  all_after.store(after);
  first.store(number);
  count.store(0);
}
uint64_t allocations() { return count.load(); }
int64_t live_blocks() { return live.load(); }

}  // namespace vmrun::test

// What malloc gives is freed by free, which is not replaced: such blocks do not count as live.
extern "C" {
void* __wrap_malloc(size_t size) { return fails() ? nullptr : __real_malloc(size); }
void* __wrap_calloc(size_t n, size_t size) { return fails() ? nullptr : __real_calloc(n, size); }
void* __wrap_realloc(void* block, size_t size) { return fails() ? nullptr : __real_realloc(block, size); }
void* __wrap_aligned_alloc(size_t alignment, size_t size) {
  return fails() ? nullptr : __real_aligned_alloc(alignment, size);
}
}

void* operator new(size_t size) { return or_throw(allocate(size, 1)); }
void* operator new[](size_t size) { return or_throw(allocate(size, 1)); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return allocate(size, 1); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return allocate(size, 1); }
void* operator new(size_t size, std::align_val_t a) { return or_throw(allocate(size, static_cast<size_t>(a))); }
void* operator new[](size_t size, std::align_val_t a) { return or_throw(allocate(size, static_cast<size_t>(a))); }
void* operator new(size_t size, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate(size, static_cast<size_t>(a));
}
void* operator new[](size_t size, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate(size, static_cast<size_t>(a));
}
#include "tests/support/replace_delete.h"
