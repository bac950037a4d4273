// Memories that come back from guests: whatever was written, and by whom, the next guest finds zeros, and no more than is
// allowed stays resident.
#include "vm/runtime/clean_pages.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "vm/runtime/memory.h"
#include "vm/runtime/memory_file.h"
#include "vm/runtime/store.h"

using namespace vmrun;
using namespace vmrun::vm;

namespace {

constexpr size_t kPage = kHostPage;

/// Pages of private memory, gone with this.
struct Pages {
  size_t count;
  std::byte* base;
  explicit Pages(size_t n) : count(n) {
    void* p = mmap(nullptr, n * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(p != MAP_FAILED);
    base = static_cast<std::byte*>(p);
    madvise(p, n * kPage, MADV_NOHUGEPAGE);
  }
  ~Pages() { munmap(base, bytes()); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  size_t bytes() const { return count * kPage; }
  std::byte* page(size_t i) const { return base + i * kPage; }
};

/// The pages that are listed; empty and a message where the kernel lists none.
std::vector<size_t> listed(const Pages& pages, size_t most = SIZE_MAX) {
  std::vector<size_t> out;
  std::byte* at = pages.base;
  while (at < pages.base + pages.bytes()) {
    DirtyPages dirty;
    if (!find_dirty(at, static_cast<size_t>(pages.base + pages.bytes() - at), std::min(most, pages.bytes()), dirty)) {
      MESSAGE("skipped: this kernel does not list touched pages");
      return {};
    }
    for (size_t i = 0; i < dirty.count; ++i) {
      for (size_t b = 0; b < dirty.ranges[i].bytes; b += kPage) {
        out.push_back(static_cast<size_t>(dirty.ranges[i].begin + b - pages.base) / kPage);
      }
    }
    REQUIRE(dirty.end > at);
    at = dirty.end;
  }
  return out;
}

bool lists_pages() {
  Pages one(1);
  DirtyPages dirty;
  return find_dirty(one.base, kPage, kPage, dirty);
}

bool is_zero(const std::byte* base, size_t bytes) {
  return std::all_of(base, base + bytes, [](std::byte b) { return b == std::byte{0}; });
}

size_t resident(const Pages& pages) {
  std::vector<unsigned char> there(pages.count);
  REQUIRE(mincore(pages.base, pages.bytes(), there.data()) == 0);
  return static_cast<size_t>(std::ranges::count_if(there, [](unsigned char c) { return (c & 1) != 0; })) * kPage;
}

constexpr PageCalls kReal{&drop_pages, &find_dirty};
constexpr MemoryType kOne{{1, {}, false}, false, 16};

}  // namespace

TEST_CASE("pages that were written are listed, by whomever, and no others") {
  if (!lists_pages()) {
    MESSAGE("skipped: this kernel does not list touched pages");
    return;
  }
  Pages pages(64);
  CHECK(listed(pages).empty());
  pages.page(3)[17] = std::byte{1};
  (void)*const_cast<volatile std::byte*>(pages.page(5));  // read: the kernel's page of zeros
  const int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  REQUIRE(zero >= 0);
  REQUIRE(read(zero, pages.page(9) + 100, 8) == 8);  // the kernel writes, across no boundary
  REQUIRE(read(zero, pages.page(20) - 4, 8) == 8);   // and across one
  close(zero);
  CHECK(listed(pages) == std::vector<size_t>{3, 9, 19, 20});
  CHECK(listed(pages, 2 * kPage) == std::vector<size_t>{3, 9, 19, 20});  // in several answers
  REQUIRE(mprotect(pages.base, pages.bytes(), PROT_NONE) == 0);
  CHECK(listed(pages) == std::vector<size_t>{3, 9, 19, 20});
  REQUIRE(mprotect(pages.base, pages.bytes(), PROT_READ | PROT_WRITE) == 0);
  // Where there is swap, these go there; elsewhere nothing happens.
  madvise(pages.base, pages.bytes(), MADV_PAGEOUT);
  CHECK(listed(pages) == std::vector<size_t>{3, 9, 19, 20});
  REQUIRE(drop_pages(pages.page(9), kPage));
  CHECK(listed(pages) == std::vector<size_t>{3, 19, 20});
  // More ranges than one answer holds.
  Pages many(4 * DirtyPages::kMost);
  std::vector<size_t> odd;
  for (size_t i = 1; i < many.count; i += 2) {
    many.page(i)[0] = std::byte{1};
    odd.push_back(i);
  }
  CHECK(listed(many) == odd);
}

TEST_CASE("pages of a mapped file are listed once they are the mapping's own") {
  if (!lists_pages()) return;
  const int file = make_memory_file(8 * kPage);
  REQUIRE(file >= 0);
  REQUIRE(pwrite(file, "x", 1, 2 * kPage) == 1);
  Pages pages(8);
  REQUIRE(mmap(pages.base, pages.bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, 0) != MAP_FAILED);
  CHECK(pages.page(2)[0] == std::byte{'x'});  // read
  pages.page(4)[1] = std::byte{1};
  CHECK(listed(pages) == std::vector<size_t>{4});
  close(file);
}

TEST_CASE("a child asks about its own pages, and never about its parent's") {
  Pages pages(8);
  const bool lists = lists_pages();
  pages.page(1)[0] = std::byte{1};
  pages.page(2)[0] = std::byte{1};
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    drop_pages(pages.page(1), kPage);
    pages.page(6)[0] = std::byte{1};
    DirtyPages dirty;
    if (!find_dirty(pages.base, pages.bytes(), pages.bytes(), dirty)) _exit(lists ? 2 : 0);
    const bool right = dirty.count == 2 && dirty.ranges[0].begin == pages.page(2) && dirty.ranges[0].bytes == kPage &&
                       dirty.ranges[1].begin == pages.page(6) && dirty.ranges[1].bytes == kPage;
    _exit(right ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("pages are zero afterwards, and few stay, whatever was written and whatever the kernel refuses") {
  std::mt19937 random(7);
  const auto draw = [&](size_t below) { return std::uniform_int_distribution<size_t>(0, below - 1)(random); };
  const auto no_drop = [](void*, size_t) { return false; };
  const auto no_list = [](std::byte*, size_t, size_t, DirtyPages&) { return false; };
  for (int round = 0; round < 300; ++round) {
    Pages pages(1 + draw(300));
    const size_t keep = draw(4) == 0 ? 0 : draw(pages.count + 40) * kPage;
    PageCalls calls = kReal;
    if (draw(4) == 0) calls.drop = no_drop;
    if (draw(4) == 0) calls.find_dirty = no_list;
    switch (draw(4)) {
      case 0: std::memset(pages.base, 0xa5, pages.bytes()); break;
      case 1: break;
      default:
        for (size_t n = draw(120); n > 0; --n) {
          const size_t at = draw(pages.bytes());
          std::memset(pages.base + at, 0xa5, std::min(pages.bytes() - at, 1 + draw(3 * kPage)));
        }
    }
    const Cleaned now = clean_pages(pages.base, pages.bytes(), keep, PROT_READ | PROT_WRITE, calls);
    CAPTURE(round);
    CHECK(resident(pages) <= std::max(now.kept, keep));
    if (calls.drop != +no_drop) {
      CHECK(now.kept <= keep);
      CHECK(resident(pages) <= now.kept + 0);
    }
    CHECK(now.kept_end <= pages.bytes());
    CHECK(now.kept <= now.kept_end);
    CHECK(is_zero(pages.base, pages.bytes()));
  }
}

TEST_CASE("free memories keep no more resident than each and all of them may, and nothing once they are trimmed") {
  for (bool dense : {false, true}) {
    CAPTURE(dense);
    MemoryPool::Options options;
    options.dense = dense;
    options.cached = 100;
    options.warm = 16 * kPage;
    options.most_warm = 100 * kPage;
    auto pool = std::make_shared<MemoryPool>(options);
    auto registry = std::make_shared<TypeRegistry>();
    for (int round = 0; round < 3; ++round) {
      std::vector<std::unique_ptr<Store>> stores;
      for (int i = 0; i < 20; ++i) {
        Store& store = *stores.emplace_back(std::make_unique<Store>(pool, registry, Store::Limits{}));
        MemoryInst& memory = **store.new_memory(kOne);
        CHECK(is_zero(memory.base, 65536));
        std::memset(memory.base, 0xa5, 65536);
        REQUIRE(memory_grow(memory, 1 + i % 3) == 1);
        CHECK(is_zero(memory.base + 65536, memory.bytes - 65536));
        std::memset(memory.base + 65536, 0xa5, memory.bytes - 65536);
      }
      CHECK(pool->warm_bytes() == 0);  // no memory is free
      stores.resize(5);
      CHECK(pool->warm_bytes() <= options.most_warm);
      if (lists_pages()) CHECK(pool->warm_bytes() == options.most_warm);
      if (round == 1) {
        pool->trim();
        CHECK(pool->warm_bytes() == 0);
      }
      stores.clear();
      CHECK(pool->warm_bytes() <= options.most_warm);
    }
    MemoryPool::trim_all();
    CHECK(pool->warm_bytes() == 0);
  }
}

TEST_CASE("a guest that has written to a gigabyte leaves no more than any other") {
  auto pool = std::make_shared<MemoryPool>(MemoryPool::Options{});
  auto registry = std::make_shared<TypeRegistry>();
  const std::byte* base = nullptr;
  for (int round = 0; round < 2; ++round) {
    Store store(pool, registry, {});
    MemoryInst& memory = **store.new_memory(kOne);
    if (round == 1) CHECK(memory.base == base);
    base = memory.base;
    REQUIRE(memory_grow(memory, 16383) == 1);
    // A byte of every second page, from both ends: ranges without number.
    for (size_t at = 0; at < 4096; ++at) {
      CHECK(memory.base[at * 2 * kPage] == std::byte{0});
      CHECK(memory.base[memory.bytes - 1 - at * 2 * kPage] == std::byte{0});
      memory.base[at * 2 * kPage] = memory.base[memory.bytes - 1 - at * 2 * kPage] = std::byte{0xa5};
    }
  }
  CHECK(pool->warm_bytes() <= MemoryPool::Options{}.warm);
  const MemoryMapping again = *pool->acquire(kOne, uint64_t{1} << 30, uint64_t{4} << 30);
  CHECK(again.base == base);
  DirtyPages dirty;
  for (std::byte* at = again.base; at < again.base + again.accessible; at = dirty.end) {
    if (!find_dirty(at, static_cast<size_t>(again.base + again.accessible - at), 64 << 20, dirty)) break;
    for (size_t i = 0; i < dirty.count; ++i) CHECK(is_zero(dirty.ranges[i].begin, dirty.ranges[i].bytes));
  }
  pool->release(again);
}

TEST_CASE("a guest that has only read leaves no page tables behind") {
  const auto tables = [] {
    FILE* status = std::fopen("/proc/self/status", "r");
    REQUIRE(status != nullptr);
    long kib = -1;
    for (char line[256]; std::fgets(line, sizeof line, status) != nullptr;) std::sscanf(line, "VmPTE: %ld", &kib);
    std::fclose(status);
    return kib;
  };
  int asked = 0;
  static int* count = nullptr;
  count = &asked;
  MemoryPool::Options options;
  options.pages.drop = [](void* base, size_t bytes) {
    *count += bytes >= (uint64_t{1} << 29);
    return drop_pages(base, bytes);
  };
  MemoryPool pool(options);
  pool.release(*pool.acquire(kOne, 65536, uint64_t{4} << 30));
  MemoryMapping memory = *pool.acquire(kOne, uint64_t{1} << 30, uint64_t{4} << 30);
  const long before = tables();
  for (uint64_t at = 0; at < memory.accessible; at += kPage) {
    (void)*const_cast<volatile std::byte*>(memory.base + at);
  }
  CHECK(tables() >= before + 1024);
  pool.release(memory);
  CHECK(asked == 1);  // whether the tables themselves go is the kernel's affair
}

TEST_CASE("a memory that is smaller than the one before it keeps nothing beyond its end") {
  auto pool = std::make_shared<MemoryPool>(MemoryPool::Options{});
  MemoryMapping large = *pool->acquire(kOne, 4 * 65536, uint64_t{4} << 30);
  std::memset(large.base + 3 * 65536, 0xa5, 65536);
  pool->release(large);
  MemoryMapping small = *pool->acquire(kOne, 65536, uint64_t{4} << 30);
  REQUIRE(small.base == large.base);
  CHECK(pool->warm_bytes() == 0);
  DirtyPages dirty;
  if (find_dirty(small.base, 4 * 65536, 4 * 65536, dirty)) CHECK(dirty.bytes == 0);
  pool->release(small);
  MemoryMapping again = *pool->acquire(kOne, 4 * 65536, uint64_t{4} << 30);
  REQUIRE(again.base == large.base);
  CHECK(is_zero(again.base, 4 * 65536));
  pool->release(again);
}

TEST_CASE("threads that use memories and stacks, and one that trims: every memory is zero, and all is accounted for") {
  for (bool dense : {false, true}) {
    CAPTURE(dense);
    MemoryPool::Options options;
    options.dense = dense;
    options.cached = 3;
    options.most_warm = 24 * kPage;
    auto pool = std::make_shared<MemoryPool>(options);
    std::atomic<bool> over{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (unsigned seed = 0; seed < 4; ++seed) {
      threads.emplace_back([&, seed] {
        std::mt19937 random(seed);
        for (int i = 0; i < 2000; ++i) {
          const uint64_t bytes = (1 + random() % 3) * 65536;
          MemoryMapping mapping = *pool->acquire(kOne, bytes, uint64_t{4} << 30);
          std::byte* stack = *pool->acquire_stack(256 << 10);
          for (uint64_t at = random() % 4096; at < bytes; at += 4096) wrong += mapping.base[at] != std::byte{0};
          for (uint32_t n = random() % 40; n > 0; --n) mapping.base[random() % bytes] = std::byte{0xa5};
          stack[random() % (256 << 10)] = std::byte{1};
          if (dense) mapping.accessible = bytes;
          pool->release(mapping);
          pool->release_stack(stack, 256 << 10);
        }
      });
    }
    std::thread trimmer([&] {
      while (!over) MemoryPool::trim_all();
    });
    for (std::thread& thread : threads) thread.join();
    over = true;
    trimmer.join();
    CHECK(wrong == 0);
    CHECK(pool->warm_bytes() <= options.most_warm);
    pool->trim();
    CHECK(pool->warm_bytes() == 0);
  }
}
