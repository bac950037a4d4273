// How pages that a guest has used become zero again.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vm/runtime/dirty_pages.h"

namespace vmrun::vm {

/// What the kernel is asked for. Tests put others in their place.
struct PageCalls {
  /// Makes pages zero (or, where a file is mapped, the file's) and gives them back, or returns false and leaves them.
  bool (*drop)(void* base, size_t bytes);
  bool (*find_dirty)(std::byte* base, size_t bytes, size_t most, DirtyPages& out);
};

/// What is left of pages once they are clean.
struct Cleaned {
  uint64_t kept = 0;      // bytes that stay resident
  uint64_t kept_end = 0;  // from the range's beginning: no page stays resident from here on
  bool replaced = false;  // a new mapping took the place of the old one
};

/// Makes [base, base + bytes) zero, whole pages of private anonymous memory. At most `keep` bytes stay resident: those pages are
/// written over, in place, and all others given back. Where pages cannot be given back (locked ones), a new mapping with
/// `protection` takes their place; where there is none to be had, they are written over. The pages are writable.
Cleaned clean_pages(std::byte* base, uint64_t bytes, uint64_t keep, int protection, const PageCalls& calls);

}  // namespace vmrun::vm
