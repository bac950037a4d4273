// Compiles write to no memory that they have given back: what is freed is kept, filled, and looked at afterwards. LLVM's
// own code, which sanitizers do not see, is watched too: the plug-in calls the executable's free. Sanitizers have
// allocators of their own, and leave no room for this one.
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

#include "tests/unit/opt/fixture.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define VMRUN_WATCHES 0
#endif
#endif
#ifndef VMRUN_WATCHES
#define VMRUN_WATCHES 1
#endif

#if VMRUN_WATCHES

using namespace vmrun;
using namespace vmrun::test;

extern "C" void __libc_free(void* block);

namespace {

constexpr int kFilling = 0xa5;
constexpr size_t kMostKept = size_t{1} << 20;

std::atomic<bool> keeping{false};
std::mutex kept_lock;
void* kept[kMostKept];  // no memory while nothing is kept
size_t kept_count = 0;

void give(void* block) noexcept {
  if (block != nullptr && keeping.load(std::memory_order_relaxed)) {
    std::lock_guard hold(kept_lock);
    if (kept_count < kMostKept) {
      std::memset(block, kFilling, malloc_usable_size(block));
      kept[kept_count++] = block;
      return;
    }
  }
  __libc_free(block);
}

/// Blocks that somebody wrote to after they were freed; they are freed now.
size_t written_after() {
  keeping = false;
  std::lock_guard hold(kept_lock);
  size_t written = 0;
  for (size_t i = 0; i < kept_count; ++i) {
    const auto* bytes = static_cast<const unsigned char*>(kept[i]);
    const size_t size = malloc_usable_size(kept[i]);
    size_t same = 0;
    while (same < size && bytes[same] == kFilling) ++same;
    written += same != size;
    __libc_free(kept[i]);
  }
  kept_count = 0;
  return written;
}

}  // namespace

/// Instead of the C library's, for the whole process.
extern "C" void free(void* block) noexcept { give(block); }

TEST_CASE("a compile writes to nothing that it has freed") {
  Bench bench("opt_basic");
  plugin();
  for (uint32_t i = bench.module->imported_funcs; i < bench.module->funcs.size(); ++i) {
    CAPTURE(i);
    keeping = true;
    const bool done = plugin().compiler->compile(bench.request(i)).status == jit::CompileResult::Status::done;
    const size_t freed = kept_count;
    CHECK(written_after() == 0);
    CHECK(done);
    CHECK(freed > 1000);  // LLVM's too
  }
}

#else

TEST_CASE("a compile writes to nothing that it has freed") {
  MESSAGE("skipped: the sanitizer has an allocator of its own");
}

#endif
