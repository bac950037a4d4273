// Memories, tables, exception cells, waiting and faults, without running code.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "vm/runtime/exn.h"
#include "vm/runtime/fault.h"
#include "vm/runtime/memory.h"
#include "vm/runtime/store.h"
#include "vm/runtime/table.h"
#include "vm/runtime/wait.h"

using namespace vmrun;
using namespace vmrun::vm;

namespace {

struct World {
  std::shared_ptr<MemoryPool> pool;
  std::shared_ptr<TypeRegistry> registry = std::make_shared<TypeRegistry>();
  Store store;
  explicit World(const MemoryPool::Options& options = {}, const Store::Limits& limits = {})
      : pool(std::make_shared<MemoryPool>(options)), store(pool, registry, limits) {}

  MemoryInst& memory(uint64_t min, std::optional<uint64_t> max = {}, bool is64 = false, uint8_t page_log2 = 16,
                     bool shared = false) {
    Result<MemoryInst*> made = store.new_memory({{min, max, is64}, shared, page_log2});
    REQUIRE(made.ok());
    return **made;
  }
};

}  // namespace

TEST_CASE("which memories are guarded follows from type and mode") {
  CHECK(memory_is_guarded({}, false));
  CHECK(!memory_is_guarded({}, true));
  CHECK(!memory_is_guarded({{0, {}, true}, false, 16}, false));
  CHECK(!memory_is_guarded({{0, {}, false}, false, 0}, false));
  World w;
  MemoryInst& guarded = w.memory(1);
  CHECK(guarded.guarded);
  CHECK(fault_memory_at(guarded.base) == &guarded);
  CHECK(fault_memory_at(guarded.base + (8ull << 30)) == &guarded);
  CHECK(fault_memory_at(&w) == nullptr);
  CHECK(fault_memory_at(nullptr) == nullptr);
  const std::byte* gone;
  {
    World other;
    gone = other.memory(1).base;
    CHECK(fault_memory_at(gone) != nullptr);
  }
  CHECK(fault_memory_at(gone) == nullptr);
  CHECK(!w.memory(1, {}, true).guarded);
}

TEST_CASE("memories grow to their maximum and no further, and never move") {
  for (bool dense : {false, true}) {
    MemoryPool::Options options;
    options.dense = dense;
    World w(options);
    MemoryInst& m = w.memory(0, 3);
    std::byte* base = m.base;
    CHECK(memory_grow(m, 2) == 0);
    CHECK(memory_grow(m, 2) == kGrowFailed);
    CHECK(memory_grow(m, UINT64_MAX) == kGrowFailed);
    CHECK(memory_grow(m, 1) == 2);
    CHECK(memory_grow(m, 0) == 3);
    CHECK(m.base == base);
    base[3 * 65536 - 1] = std::byte{1};
    CHECK(w.store.memory_bytes() == 3 * 65536);
  }
}

TEST_CASE("pages of one byte, and large 64-bit memories") {
  World w;
  MemoryInst& bytes = w.memory(10, 5000, false, 0);
  CHECK(memory_pages(bytes) == 10);
  CHECK(memory_grow(bytes, 4990) == 10);
  bytes.base[4999] = std::byte{1};
  CHECK(memory_grow(bytes, 1) == kGrowFailed);

  MemoryInst& wide = w.memory(1, {}, true);
  CHECK(memory_grow(wide, (5ull << 30) >> 16) == 1);
  wide.base[5ull << 30] = std::byte{1};
  CHECK(!w.store.new_memory({{1ull << 47, {}, true}, false, 16}).ok());
}

TEST_CASE("bulk operations check before they write") {
  World w;
  MemoryInst& a = w.memory(1);
  MemoryInst& b = w.memory(2);
  CHECK(memory_fill(nullptr, a, 65530, 7, 6) == TrapCode::None);
  CHECK(memory_fill(nullptr, a, 65530, 9, 7) == TrapCode::MemoryOutOfBounds);
  CHECK(memory_fill(nullptr, a, 65536, 0, 0) == TrapCode::None);
  CHECK(memory_fill(nullptr, a, 65537, 0, 0) == TrapCode::MemoryOutOfBounds);
  CHECK(memory_fill(nullptr, a, UINT64_MAX, 0, 2) == TrapCode::MemoryOutOfBounds);
  CHECK(a.base[65535] == std::byte{7});
  CHECK(memory_copy(nullptr, b, a, 131066, 65530, 6) == TrapCode::None);
  CHECK(b.base[131071] == std::byte{7});
  CHECK(memory_copy(nullptr, b, a, 0, 65531, 6) == TrapCode::MemoryOutOfBounds);
  CHECK(memory_copy(nullptr, a, b, 0, 0, 65537) == TrapCode::MemoryOutOfBounds);
}

TEST_CASE("tables grow, fill and copy within their limits") {
  Store::Limits limits;
  limits.table_elements = 100;
  World w({}, limits);
  TableInst& t = **w.store.new_table({kFuncRef, {4, 50, false}}, Ref::null());
  const Ref x = Ref::of(&t);
  CHECK(table_grow(t, 47, x) == UINT64_MAX);
  CHECK(table_grow(t, 46, x) == 4);
  CHECK(t.elems[3].is_null());
  CHECK(t.elems[49] == x);
  CHECK(table_fill(nullptr, t, 0, x, 51) == TrapCode::TableOutOfBounds);
  CHECK(table_fill(nullptr, t, 0, x, 2) == TrapCode::None);
  CHECK(table_copy(nullptr, t, t, 1, 0, 3) == TrapCode::None);
  CHECK(t.elems[3].is_null());
  CHECK(t.elems[2] == x);
  CHECK(table_copy(nullptr, t, t, 48, 0, 3) == TrapCode::TableOutOfBounds);
  CHECK(!w.store.new_table({kFuncRef, {51, {}, false}}, Ref::null()).ok());
  Ref out;
  CHECK(table_get(t, 50, &out) == TrapCode::TableOutOfBounds);
}

TEST_CASE("exception cells nobody can reach are collected, the others are not") {
  World w;
  TagInst* tag = w.store.new_tag(*w.registry->intern_func({}, {}));
  ExnHeap& heap = w.store.exns();
  w.store.need_stack();
  Vcpu& vcpu = w.store.vcpu();
  Slot* stack = reinterpret_cast<Slot*>(vcpu.stack_base);
  std::fill_n(stack, 16, Slot{});
  const auto top = [&] { return vcpu.stack_base + 16 * sizeof(Slot); };

  Slot payload[8] = {};
  ExnCell* on_stack = heap.make(tag, payload, 2, top());
  ExnCell* pinned = heap.make(tag, payload, 8, top());
  payload[0].bits = reinterpret_cast<uint64_t>(pinned);
  ExnCell* in_table = heap.make(tag, payload, 1, top());
  payload[0].bits = reinterpret_cast<uint64_t>(in_table);
  ExnCell* nested = heap.make(tag, payload, 1, top());
  stack[5].bits = reinterpret_cast<uint64_t>(on_stack);
  heap.pin(pinned);
  TableInst& table = **w.store.new_table({kExnRef, {1, {}, false}}, Ref::of(nested));
  for (int i = 0; i < 100'000; ++i) heap.make(tag, payload, i % 8, top());
  CHECK(heap.live() < 5000);
  heap.collect(top());
  CHECK(heap.live() == 4);
  CHECK(nested->payload()[0].as_ref() == Ref::of(in_table));

  table.elems[0] = Ref::null();
  heap.unpin(pinned);
  heap.collect(top());
  CHECK(heap.live() == 1);
  stack[5].bits = 0;
  vcpu.exception = Ref::of(on_stack);
  heap.collect(top());
  CHECK(heap.live() == 1);
  vcpu.exception = Ref::null();
  heap.collect(top());
  CHECK(heap.live() == 0);

  ExnCell* caught = heap.make(tag, payload, 1, top());
  heap.free(caught);
  CHECK(heap.live() == 0);
  CHECK(heap.make(tag, payload, 1, top()) == caught);
}

TEST_CASE("a throw and its catch charge the quota once in a while, and never beyond the limit") {
  constexpr uint64_t kLimit = 64 * 100;
  Store::Limits limits;
  limits.exception_bytes = kLimit;
  World w({}, limits);
  TagInst* tag = w.store.new_tag(*w.registry->intern_func({}, {}));
  ExnHeap& heap = w.store.exns();
  Quota& quota = w.store.budget()->exception_bytes;
  w.store.need_stack();
  const std::byte* const top = w.store.vcpu().stack_base;
  Slot payload[2000] = {};
  for (int i = 0; i < 10; ++i) {
    ExnCell* cell = heap.make(tag, payload, 1, top);
    REQUIRE(cell != nullptr);
    CHECK(heap.bytes() == 64);
    CHECK(quota.used() == 1024);  // for this one and the next
    heap.free(cell);
    CHECK(heap.bytes() == 0);
    CHECK(quota.used() == 1024);
  }
  std::vector<ExnCell*> held;
  for (;;) {
    ExnCell* cell = heap.make(tag, payload, 1, top);
    if (cell == nullptr) break;
    heap.pin(cell);
    held.push_back(cell);
    CHECK(quota.used() <= kLimit);
    REQUIRE(held.size() <= kLimit / 64);
  }
  CHECK(held.size() == kLimit / 64);
  for (ExnCell* cell : held) {
    heap.unpin(cell);
    heap.free(cell);
  }
  CHECK(heap.bytes() == 0);
  CHECK(quota.used() <= 1024);
  // What is kept stands in nobody's way, a large cell's neither.
  const uint64_t large = kLimit - kLimit / 8 - 64;
  REQUIRE(heap.make(tag, payload, static_cast<uint32_t>((large - 16) / sizeof(Slot)), top) != nullptr);
  CHECK(quota.used() <= kLimit);
}

TEST_CASE("externrefs of one value are one cell") {
  World w;
  int a = 0, b = 0;
  CHECK(w.store.new_extern(&a) == w.store.new_extern(&a));
  CHECK(w.store.new_extern(&a) != w.store.new_extern(&b));
}

TEST_CASE("notify wakes those that wait, oldest first and no more than asked for") {
  World w;
  MemoryInst& m = w.memory(1, 1, false, 16, true);
  std::atomic<int> woken{0};
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<World>> worlds;
  for (int i = 0; i < 3; ++i) worlds.push_back(std::make_unique<World>());
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      WaitResult result;
      CHECK(memory_wait32(worlds[static_cast<size_t>(i)]->store.vcpu(), m, 8, 0, -1, &result) == TrapCode::None);
      CHECK(result == WaitResult::Woken);
      ++woken;
    });
  }
  uint32_t total = 0;
  while (total < 3) {
    uint32_t n = 0;
    REQUIRE(memory_notify(m, 8, 1, &n) == TrapCode::None);
    CHECK(n <= 1);
    total += n;
    std::this_thread::yield();
  }
  for (std::thread& t : threads) t.join();
  CHECK(woken == 3);
  uint32_t n = 0;
  CHECK(memory_notify(m, 4, 1, &n) == TrapCode::None);
  CHECK(n == 0);
  CHECK(memory_notify(m, 65536, 1, &n) == TrapCode::MemoryOutOfBounds);
  WaitResult result;
  CHECK(memory_wait64(w.store.vcpu(), m, 16, 1, -1, &result) == TrapCode::None);
  CHECK(result == WaitResult::NotEqual);
  CHECK(memory_wait64(w.store.vcpu(), m, 4, 0, 0, &result) == TrapCode::UnalignedAtomic);
  CHECK(memory_wait32(w.store.vcpu(), w.memory(1), 0, 0, 0, &result) == TrapCode::ExpectedSharedMemory);
}

TEST_CASE("concurrent growth of a shared memory gives every page once") {
  World w;
  MemoryInst& m = w.memory(0, 400, false, 16, true);
  std::atomic<uint64_t> sum{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) sum += memory_grow(m, 1);
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(sum == 400 * 399 / 2);
  CHECK(memory_pages(m) == 400);
}

TEST_CASE("recycled memories and stacks are as good as new") {
  MemoryPool::Options options;
  options.cached = 1;
  auto pool = std::make_shared<MemoryPool>(options);
  auto registry = std::make_shared<TypeRegistry>();
  for (int round = 0; round < 6; ++round) {
    Store store(pool, registry, {});
    MemoryInst& m = **store.new_memory({{static_cast<uint64_t>(1 + round % 3), {}, false}, false, 16});
    MemoryInst& other = **store.new_memory({{1, {}, false}, false, 16});
    CHECK(m.base[100] == std::byte{0});
    CHECK(other.base[65535] == std::byte{0});
    m.base[100] = other.base[65535] = std::byte{1};
    store.need_stack();
    store.vcpu().stack_base[0] = std::byte{1};
  }
}
