// Memories, tables and pools at the edges of what can be: sizes that would not fit, pages that stay, and processes that
// may have little address space.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>

#include "vm/runtime/memory.h"
#include "vm/runtime/store.h"
#include "vm/runtime/table.h"

using namespace vmrun;
using namespace vmrun::vm;

namespace {

constexpr MemoryType memory_type(uint64_t min, std::optional<uint64_t> max = {}, bool is64 = false,
                                 uint8_t page_log2 = 16) {
  return {{min, max, is64}, false, page_log2};
}

struct World {
  std::shared_ptr<MemoryPool> pool;
  std::shared_ptr<TypeRegistry> registry = std::make_shared<TypeRegistry>();
  Store store;
  explicit World(const MemoryPool::Options& options = {}, const Store::Limits& limits = {})
      : pool(std::make_shared<MemoryPool>(options)), store(pool, registry, limits) {}
};

/// Runs `body` in a child that may have `more` bytes of address space beyond what it has. Whether it returned true.
template <class Body>
bool with_address_space(uint64_t more, Body body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    unsigned long pages = 0;
    FILE* statm = std::fopen("/proc/self/statm", "r");
    if (statm == nullptr || std::fscanf(statm, "%lu", &pages) != 1) _exit(2);
    std::fclose(statm);
    const rlimit limit{pages * 4096 + more, RLIM_INFINITY};
    if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(3);
    _exit(body() ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CAPTURE(status);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("a memory never has more pages than memory.size can say") {
  World w;
  MemoryInst& m = **w.store.new_memory(memory_type(1, {}, false, 0));
  CHECK(memory_grow(m, UINT32_MAX) == kGrowFailed);
  CHECK(memory_pages(m) == 1);
  CHECK(memory_grow(m, UINT64_MAX) == kGrowFailed);
  CHECK(memory_grow(m, uint64_t{1} << 32) == kGrowFailed);
  CHECK(memory_grow(m, UINT32_MAX - 1) == 1);
  CHECK(memory_pages(m) == UINT32_MAX);
  CHECK(memory_grow(m, 1) == kGrowFailed);

  CHECK_FALSE(w.store.new_memory(memory_type(uint64_t{1} << 48, {}, true)).ok());
  CHECK_FALSE(w.store.new_memory(memory_type(UINT64_MAX, {}, true, 0)).ok());
  MemoryInst& wide = **w.store.new_memory(memory_type(0, {}, true));
  CHECK(memory_grow(wide, uint64_t{1} << 47) == kGrowFailed);
  CHECK(memory_grow(wide, UINT64_MAX) == kGrowFailed);
  CHECK(memory_grow(wide, 1) == 0);
  CHECK(most_pages(false, 16) == 65536);
  CHECK(most_pages(true, 16) == uint64_t{1} << 48);
}

TEST_CASE("a table's bytes are never more than there are numbers for") {
  World w({}, {.table_elements = UINT64_MAX});
  const Ref something{16};
  TableInst& table = **w.store.new_table({kFuncRef, {0, {}, true}}, Ref::null());
  for (uint64_t delta : {0x2000000000000001u, 0x2000000000000000u, 0x1fffffffffffffffu, 0x1000000000000000u, ~0ul}) {
    CHECK(table_grow(table, delta, something) == UINT64_MAX);
    CHECK(table.size == 0);
    CHECK(table_set(table, 100000, something) == TrapCode::TableOutOfBounds);
  }
  CHECK(table_grow(table, 3, something) == 0);
  CHECK(table_grow(table, UINT64_MAX - 2, something) == UINT64_MAX);
  CHECK(table_grow(table, 0x2000000000000000u - 3, something) == UINT64_MAX);
  CHECK(table.size == 3);
  for (uint64_t min : {0x2000000000000001u, 0x2000000000000000u, 0x1000000000000000u, ~0ul}) {
    Result<TableInst*> made = w.store.new_table({kFuncRef, {min, {}, true}}, Ref::null());
    REQUIRE_FALSE(made);
    CHECK(made.error().kind == ErrorKind::Limit);
    CHECK_FALSE(w.store.new_table({kFuncRef, {min, {}, true}}, something).ok());
  }
  TableInst& narrow = **w.store.new_table({kFuncRef, {1, {}, false}}, Ref::null());
  CHECK(table_grow(narrow, UINT32_MAX, Ref::null()) == UINT64_MAX);
}

TEST_CASE("what failed is not charged") {
  World w({}, {.memory_bytes = 1 << 20, .table_elements = 100});
  CHECK_FALSE(w.store.new_table({kFuncRef, {101, {}, false}}, Ref::null()).ok());
  CHECK_FALSE(w.store.new_memory(memory_type(17)).ok());
  CHECK(w.store.new_table({kFuncRef, {100, {}, false}}, Ref::null()).ok());
  CHECK(w.store.new_memory(memory_type(16)).ok());
  CHECK(w.store.memory_bytes() == 1 << 20);
  const Store::Mark mark = w.store.mark();
  CHECK(w.store.new_memory(memory_type(0)).ok());
  w.store.undo(mark);
  CHECK(w.store.memory_bytes() == 1 << 20);
  w.store.undo({});
  CHECK(w.store.memory_bytes() == 0);
  CHECK(w.store.new_table({kFuncRef, {100, {}, false}}, Ref::null()).ok());
  CHECK(w.store.new_memory(memory_type(16)).ok());
}

TEST_CASE("recycled memories are zero where pages cannot be dropped") {
  const auto rounds = [](const MemoryPool::Options& options) {
    auto pool = std::make_shared<MemoryPool>(options);
    auto registry = std::make_shared<TypeRegistry>();
    for (int round = 0; round < 4; ++round) {
      Store store(pool, registry, {});
      for (uint64_t pages : {1, 3}) {
        MemoryInst& m = **store.new_memory(memory_type(pages));
        for (uint64_t at = 0; at < pages * 65536; at += 4095) {
          CHECK(m.base[at] == std::byte{0});
          m.base[at] = std::byte{0xa5};
        }
        CHECK(memory_grow(m, 1) == pages);
        CHECK(m.base[pages * 65536 + 9] == std::byte{0});
        m.base[pages * 65536 + 9] = std::byte{0xa5};
      }
    }
  };
  for (bool dense : {false, true}) {
    CAPTURE(dense);
    MemoryPool::Options options;
    options.dense = dense;
    options.dense_bytes = 1 << 20;
    options.pages.drop = [](void*, size_t) { return false; };
    rounds(options);
  }
  // The same by the kernel, where this process may lock its memory. Without MCL_FUTURE: only what is there is locked.
  MemoryPool::Options options;
  auto pool = std::make_shared<MemoryPool>(options);
  auto registry = std::make_shared<TypeRegistry>();
  auto first = std::make_unique<Store>(pool, registry, Store::Limits{});
  const std::byte* base = (*first->new_memory(memory_type(1)))->base;
  const_cast<std::byte*>(base)[5] = std::byte{0xa5};
  const bool locked = syscall(SYS_mlock, base, 65536) == 0;  // AddressSanitizer makes mlock do nothing
  if (!locked) MESSAGE("this process may not lock memory: only the failing hook is tested");
  if (locked) CHECK_FALSE(drop_pages(const_cast<std::byte*>(base), 65536));
  first.reset();
  Store second(pool, registry, {});
  MemoryInst& again = **second.new_memory(memory_type(1));
  CHECK(again.base == base);
  CHECK(again.base[5] == std::byte{0});
}

TEST_CASE("dense slots of any size") {
  for (uint64_t bytes : {uint64_t{0}, uint64_t{1}, uint64_t{65536}, uint64_t{5} << 30, UINT64_MAX}) {
    CAPTURE(bytes);
    MemoryPool::Options options;
    options.dense = true;
    options.dense_bytes = bytes;
    World w(options);
    Result<MemoryInst*> none = w.store.new_memory(memory_type(0));
    REQUIRE(none.ok());
    CHECK((memory_grow(**none, 1) == 0) == (bytes >= 65536));
    CHECK(w.store.new_memory(memory_type(1)).ok() == (bytes >= 65536));
  }
}

TEST_CASE("where address space is limited, memories are checked and as large as there is room") {
  CHECK(with_address_space(2ull << 30, [] {
    World w;
    if (w.pool->guards()) return false;
    for (int i = 0; i < 3; ++i) {
      Result<MemoryInst*> made = w.store.new_memory(memory_type(1));
      if (!made || (*made)->guarded || memory_grow(**made, 100) != 1) return false;
      (*made)->base[101 * 65536 - 1] = std::byte{1};
      if (memory_grow(**made, 65535) != kGrowFailed) return false;
    }
    // What has to be there at once is the least that a reservation is.
    if (!w.store.new_memory(memory_type(1000)).ok() || w.store.new_memory(memory_type(65536)).ok()) return false;
    Result<MemoryInst*> wide = w.store.new_memory(memory_type(1, {}, true));
    return wide.ok() && memory_grow(**wide, 16) == 1;
  }));
}

TEST_CASE("where address space is limited, chunks of dense memories are smaller") {
  CHECK(with_address_space(1ull << 30, [] {
    MemoryPool::Options options;
    options.dense = true;
    World w(options);
    Result<MemoryInst*> made = w.store.new_memory(memory_type(1));
    return made.ok() && memory_grow(**made, 1000) == 1;
  }));
}
