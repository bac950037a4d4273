// See heap.h.
#include <malloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "tools/heap.h"

namespace vmrun::tools {

void prepare_heap(const std::string& image) {
  constexpr off_t kLarge = 8 << 20;
  struct stat info;
  if (stat(image.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size < kLarge) return;
#ifdef __GLIBC__
  // At least two large pages, wherever the heap ends now.
  constexpr int kAtOnce = 6 << 20, kMostOfOne = 4 << 20;
  constexpr uintptr_t kLargePage = 2 << 20;
  mallopt(M_TOP_PAD, kAtOnce);
  mallopt(M_MMAP_THRESHOLD, kMostOfOne);
  const auto before = reinterpret_cast<uintptr_t>(sbrk(0));
  void* volatile const grows = std::malloc(kLargePage / 2);  // volatile, or the compiler leaves it out
  std::free(grows);
  const auto after = reinterpret_cast<uintptr_t>(sbrk(0));
  const uintptr_t first = (before + kLargePage - 1) & ~(kLargePage - 1), last = after & ~(kLargePage - 1);
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

}  // namespace vmrun::tools
