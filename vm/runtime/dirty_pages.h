// Which pages of a private mapping have memory of their own.
//
// A slot that a guest has used must become again what it was. Giving its pages back to the kernel does that, at the cost of
// interrupting every other processor that runs the process, and of a fault for each page at the next use. Writing over the
// few pages that were touched costs neither, once it is known which ones they are. The kernel knows: PAGEMAP_SCAN (Linux
// 6.7).
#pragma once

#include <cstddef>
#include <cstdint>

namespace vmrun::vm {

/// The page size that all of this goes by.
inline constexpr uint64_t kHostPage = 4096;

struct DirtyRange {
  std::byte* begin;
  size_t bytes;
};

/// An answer of find_dirty.
struct DirtyPages {
  static constexpr size_t kMost = 32;
  DirtyRange ranges[kMost];
  size_t count = 0;
  size_t bytes = 0;          // of all ranges
  std::byte* end = nullptr;  // the pages from here on were not looked at
};

/// Lists the whole pages in [base, base + bytes) that have memory of their own, also where that is swapped out, in order. No
/// other page holds anything that was written since it was mapped or dropped: what was only read is the kernel's page of
/// zeros, or still the mapped file's. Ends early at `most` bytes (whole pages, at least one), or when there are too many ranges. The
/// range is page-aligned, lies in private mappings of the process, whatever their protection, and holds no guard
/// (vm/runtime/guard.h). Nobody writes to it meanwhile. Any thread, also in a child after fork. False: the kernel does not say, and nothing
/// is known.
bool find_dirty(std::byte* base, size_t bytes, size_t most, DirtyPages& out);

}  // namespace vmrun::vm
