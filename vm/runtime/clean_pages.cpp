// clean_pages.h: what was touched is written over, what is more than may stay goes back.
#include "vm/runtime/clean_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace vmrun::vm {
namespace {

/// What is looked at of a range. To look takes time for each page that has a place in the page tables, and a guest that only reads
/// fills these with pages of zeros, which are not listed: they stay, and their tables, until they are dropped.
constexpr uint64_t kMostLooked = 4u << 20;

/// Pages that are locked (mlockall) stay; a new mapping takes their place. Without one they are written: false.
bool replace(std::byte* base, uint64_t bytes, int protection) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  if (mmap(base, bytes, protection, kFlags, -1, 0) != MAP_FAILED) return true;
  std::memset(base, 0, bytes);
  return false;
}

}  // namespace

Cleaned clean_pages(std::byte* base, uint64_t bytes, uint64_t keep, int protection, const PageCalls& calls) {
  Cleaned result;
  if (bytes == 0) return result;
  std::byte* rest = base;
  if (DirtyPages dirty; keep >= kHostPage && calls.find_dirty(base, std::min(bytes, kMostLooked), keep, dirty)) {
    for (size_t i = 0; i < dirty.count; ++i) {
      std::memset(dirty.ranges[i].begin, 0, dirty.ranges[i].bytes);
      result.kept_end = static_cast<uint64_t>(dirty.ranges[i].begin - base) + dirty.ranges[i].bytes;
    }
    result.kept = dirty.bytes;
    rest = dirty.end;
  }
  const uint64_t left = bytes - static_cast<uint64_t>(rest - base);
  if (left == 0 || calls.drop(rest, left)) return result;
  result.replaced = replace(base, bytes, protection);
  result.kept = result.kept_end = result.replaced ? 0 : bytes;
  return result;
}

}  // namespace vmrun::vm
