// dirty_pages.h on Linux.
//
// The question is asked of /proc/self/pagemap, which stands for the address space of the process that opened it. A child
// after fork inherits the descriptor, and would be told about its parent's pages. So the descriptor's number is kept in a
// page that the kernel itself empties in each child (MADV_WIPEONFORK), however it was made; the child opens its own.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <mutex>

#include "vm/base/assert.h"
#include "vm/base/log.h"
#include "vm/runtime/dirty_pages.h"

namespace vmrun::vm {
namespace {

// As in <linux/fs.h>, which is newer than the C library's headers here.
struct PageRegion {
  uint64_t start, end, categories;
};
struct PageScan {
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
static_assert(sizeof(PageRegion) == 24 && sizeof(PageScan) == 96);
constexpr unsigned long kPageScan = _IOWR('f', 16, PageScan);
constexpr uint64_t kIsFile = 4, kIsPresent = 8, kIsSwapped = 16, kIsZeroPage = 32;

/// Asks for pages that are there or swapped out, and are neither a file's nor the kernel's page of zeros.
bool scan_pages(int fd, std::byte* base, size_t bytes, size_t most, DirtyPages& out) {
  PageRegion regions[DirtyPages::kMost];
  PageScan ask{};
  ask.size = sizeof ask;
  ask.start = reinterpret_cast<uintptr_t>(base);
  ask.end = ask.start + bytes;
  ask.vec = reinterpret_cast<uintptr_t>(regions);
  ask.vec_len = std::size(regions);
  ask.max_pages = most / kHostPage;
  ask.category_inverted = ask.category_mask = kIsFile | kIsZeroPage;
  ask.category_anyof_mask = kIsPresent | kIsSwapped;
  ask.return_mask = kIsPresent | kIsSwapped;
  const int count = ::ioctl(fd, kPageScan, &ask);
  if (count < 0 || static_cast<size_t>(count) > std::size(regions)) return false;
  if (ask.walk_end < ask.start || ask.walk_end > ask.end) return false;
  out.count = static_cast<size_t>(count);
  out.bytes = 0;
  for (size_t i = 0; i < out.count; ++i) {
    const PageRegion& region = regions[i];
    if (region.start < ask.start || region.end > ask.end || region.start > region.end) return false;
    out.ranges[i] = {base + (region.start - ask.start), region.end - region.start};
    out.bytes += out.ranges[i].bytes;
  }
  out.end = base + (ask.walk_end - ask.start);
  return true;
}

/// Whether the descriptor tells the truth about this very address space: emulators may answer something.
bool tells_the_truth(int fd) {
  void* const p = ::mmap(nullptr, 4 * kHostPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return false;
  auto* const pages = static_cast<volatile std::byte*>(p);
  auto* const base = static_cast<std::byte*>(p);
  pages[kHostPage] = std::byte{1};
  pages[3 * kHostPage] = std::byte{1};
  (void)pages[2 * kHostPage];
  DirtyPages seen;
  bool right = scan_pages(fd, base, 4 * kHostPage, 4 * kHostPage, seen) && seen.count == 2 &&
               seen.end == base + 4 * kHostPage && seen.ranges[0].begin == base + kHostPage &&
               seen.ranges[0].bytes == kHostPage && seen.ranges[1].begin == base + 3 * kHostPage &&
               seen.ranges[1].bytes == kHostPage;
  right = right && scan_pages(fd, base, 4 * kHostPage, kHostPage, seen) && seen.count == 1 &&
          seen.end <= base + 3 * kHostPage;
  ::munmap(p, 4 * kHostPage);
  return right;
}

/// /proc/self/pagemap of this process, at a number above the standard streams, or -1.
int open_pagemap() {
  int fd = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (fd >= 0 && fd <= STDERR_FILENO) {
    const int low = fd;
    fd = ::fcntl(low, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    ::close(low);
  }
  if (fd < 0) return -1;
  if (tells_the_truth(fd)) return fd;
  ::close(fd);
  return -1;
}

/// The page that children find empty.
struct Wiped {
  std::atomic<int> fd;  // 0: not opened by this process; -1: there is none; else one more than its number
};

Wiped* make_wiped() {
  void* const p = ::mmap(nullptr, kHostPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  if (::madvise(p, kHostPage, MADV_WIPEONFORK) == 0) return static_cast<Wiped*>(p);
  ::munmap(p, kHostPage);
  return nullptr;
}

std::mutex opening;
constinit int opened = -1;  // by this process, or by the one that it was forked from

int open_once(Wiped& wiped) {
  // Another thread opens it, or did so when this process was forked from its parent: then there is no answer.
  const std::unique_lock lock(opening, std::try_to_lock);
  if (!lock) return -1;
  if (const int known = wiped.fd.load(std::memory_order_relaxed); known != 0) return known;
  if (opened >= 0) ::close(opened);  // the parent's
  opened = open_pagemap();
  if (opened < 0) {
    const Log log("memory");
    VMRUN_LOG_AT(log, info,
                 "the kernel does not list touched pages (PAGEMAP_SCAN, Linux 6.7): memories are given back whole");
  }
  wiped.fd.store(opened < 0 ? -1 : opened + 1, std::memory_order_release);
  return wiped.fd.load(std::memory_order_relaxed);
}

}  // namespace

bool find_dirty(std::byte* base, size_t bytes, size_t most, DirtyPages& out) {
  VMRUN_ASSERT(reinterpret_cast<uintptr_t>(base) % kHostPage == 0 && bytes % kHostPage == 0 && most >= kHostPage,
               "whole pages");
  static Wiped* const wiped = make_wiped();
  if (wiped == nullptr) return false;
  int fd = wiped->fd.load(std::memory_order_acquire);
  if (fd == 0) [[unlikely]]
    fd = open_once(*wiped);
  return fd > 0 && scan_pages(fd - 1, base, bytes, most, out);
}

}  // namespace vmrun::vm
