// See memory_pages.h.
#include "vm/runtime/memory_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>

#include "vm/base/assert.h"

namespace vmrun::vm {
namespace {
/// Memories of the process that have a file mapped, and those that have large pages: each takes two mappings more.
constexpr size_t kMostFiles = 2048, kMostLarge = 2048;
std::atomic<size_t> with_files{0}, with_large{0};

constexpr int kFixed = MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED;
}  // namespace

bool map_file(MemoryMapping& mapping, uint64_t at, uint64_t bytes, int file, uint64_t from) {
  // Dense memories and those in rooms are parts of large mappings, and many. What hooks made is the embedder's.
  if (mapping.hosted || mapping.roomed || (mapping.pooled && !mapping.guarded) || mapping.file_bytes != 0) return false;
  VMRUN_ASSERT(at <= mapping.accessible && bytes <= mapping.accessible - at, "a file is mapped where memory is");
  if (with_files.fetch_add(1, std::memory_order_relaxed) < kMostFiles) {
    if (mmap(mapping.base + at, bytes, PROT_READ | PROT_WRITE, kFixed, file, static_cast<off_t>(from)) != MAP_FAILED) {
      mapping.file_at = at;
      mapping.file_bytes = bytes;
      return true;
    }
    // No hole may be left that others could map something into.
    const void* again = mmap(mapping.base + at, bytes, PROT_READ | PROT_WRITE, kFixed | MAP_ANONYMOUS, -1, 0);
    VMRUN_ASSERT(again != MAP_FAILED, "no memory for mappings");
  }
  with_files.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

void use_large_pages(MemoryMapping& mapping, uint64_t begin, uint64_t end) {
  // As in map_file().
  if (mapping.hosted || mapping.roomed || (mapping.pooled && !mapping.guarded)) return;
  VMRUN_ASSERT(begin <= end && end <= mapping.accessible, "large pages are asked for where memory is");
  const auto base = reinterpret_cast<uintptr_t>(mapping.base);
  const uintptr_t first = (base + begin + kLargePage - 1) & ~(kLargePage - 1), last = (base + end) & ~(kLargePage - 1);
  if (first >= last) return;
  const bool is_first = mapping.large_bytes == 0;
  const bool may = !is_first || with_large.fetch_add(1, std::memory_order_relaxed) < kMostLarge;
  if (may && madvise(mapping.base + (first - base), last - first, MADV_HUGEPAGE) == 0) {
    const uint64_t at = is_first ? first - base : std::min<uint64_t>(mapping.large_at, first - base);
    const uint64_t to = std::max(mapping.large_at + mapping.large_bytes, last - base);
    mapping.large_at = at;
    mapping.large_bytes = to - at;
  } else if (is_first) {
    with_large.fetch_sub(1, std::memory_order_relaxed);
  }
}

void forget_pages(const MemoryMapping& mapping) {
  if (mapping.file_bytes != 0) with_files.fetch_sub(1, std::memory_order_relaxed);
  if (mapping.large_bytes != 0) with_large.fetch_sub(1, std::memory_order_relaxed);
}

bool renew_pages(MemoryMapping& mapping) {
  forget_pages(mapping);
  const auto renew = [&](uint64_t& at, uint64_t& bytes) {
    const bool done = bytes == 0 || mmap(mapping.base + at, bytes, PROT_READ | PROT_WRITE, kFixed | MAP_ANONYMOUS, -1,
                                         0) != MAP_FAILED;
    at = bytes = 0;
    return done;
  };
  return renew(mapping.file_at, mapping.file_bytes) && renew(mapping.large_at, mapping.large_bytes);
}

}  // namespace vmrun::vm
