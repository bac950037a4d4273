// Instructions that have much to do look between slices what is wanted from the guest: how often, and what is done by
// then. Nothing runs; somebody asks before it begins, or while a request is served.
#include "vm/runtime/slices.h"

#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include "vm/runtime/memory.h"
#include "vm/runtime/store.h"
#include "vm/runtime/table.h"

using namespace vmrun;
using namespace vmrun::vm;

namespace {

struct World {
  std::shared_ptr<MemoryPool> pool = std::make_shared<MemoryPool>(MemoryPool::Options{});
  std::shared_ptr<TypeRegistry> registry = std::make_shared<TypeRegistry>();
  Store store{pool, registry, {}};
  Vcpu cx;

  MemoryInst& memory(uint64_t pages) {
    Result<MemoryInst*> made = store.new_memory({{pages, {}, false}, false, 16});
    REQUIRE(made.ok());
    return **made;
  }
  TableInst& table(uint64_t size) {
    Result<TableInst*> made = store.new_table({kFuncRef, {size, {}, false}}, Ref::null());
    REQUIRE(made.ok());
    return **made;
  }
};

constexpr uint64_t kLong = 3 * kSliceBytes + 5;
constexpr uint64_t kElements = kSliceBytes / sizeof(Ref);
constexpr std::byte kOne{1}, kZero{0};

/// While this lives, serving Request::yield calls a function.
int served = 0;
struct Serving {
  explicit Serving(ServeRequest serve) {
    served = 0;
    set_request_server(Request::yield, serve);
  }
  ~Serving() { set_request_server(Request::yield, nullptr); }
};

}  // namespace

TEST_CASE("slices are all of it, once, in either order") {
  for (Order order : {Order::up, Order::down}) {
    for (uint64_t size : {0, 1, 9, 10, 11, 20, 35}) {
      std::vector<int> times(size);
      std::vector<uint64_t> begins;
      CHECK(in_slices(nullptr, size, 10, order, [&](uint64_t at, uint64_t count) {
              REQUIRE(count <= 10);
              REQUIRE(at + count <= size);
              for (uint64_t i = at; i < at + count; ++i) ++times[i];
              begins.push_back(at);
              return TrapCode::None;
            }) == TrapCode::None);
      CHECK(std::accumulate(times.begin(), times.end(), uint64_t{0}) == size);
      CHECK(begins.size() == std::max<uint64_t>(1, (size + 9) / 10));
      CHECK(std::is_sorted(begins.begin(), begins.end()) == (order == Order::up || begins.size() == 1));
    }
  }
}

TEST_CASE("an interrupt ends an instruction after the slice in which it comes") {
  World w;
  MemoryInst& a = w.memory(64);
  MemoryInst& b = w.memory(64);
  std::memset(a.base, 1, kLong);
  w.cx.interrupt = true;
  CHECK(memory_fill(&w.cx, b, 0, 1, kLong) == TrapCode::Interrupted);
  CHECK(b.base[kSliceBytes - 1] == kOne);
  CHECK(b.base[kSliceBytes] == kZero);
  CHECK_FALSE(w.cx.interrupt);
  w.cx.interrupt = true;
  CHECK(memory_copy(&w.cx, b, a, 2 * kSliceBytes, 0, 2 * kSliceBytes) == TrapCode::Interrupted);
  CHECK(b.base[3 * kSliceBytes - 1] == kOne);
  CHECK(b.base[3 * kSliceBytes] == kZero);
  // From the back.
  a.base[0] = std::byte{7};
  w.cx.interrupt = true;
  CHECK(memory_copy(&w.cx, a, a, 1, 0, kLong) == TrapCode::Interrupted);
  CHECK(a.base[1] == kOne);
  // Nobody's instruction, and one of a single slice, are done as a whole.
  w.cx.interrupt = true;
  CHECK(memory_fill(nullptr, b, 0, 2, kLong) == TrapCode::None);
  CHECK(memory_fill(&w.cx, b, 0, 3, kSliceBytes) == TrapCode::None);
  CHECK(b.base[kLong - 1] == std::byte{2});
  CHECK(b.base[kSliceBytes - 1] == std::byte{3});
  CHECK(w.cx.interrupt);
  // The bounds come first.
  CHECK(memory_fill(&w.cx, b, 1, 4, 64 * 65536) == TrapCode::MemoryOutOfBounds);
  CHECK(b.base[1] == std::byte{3});
}

TEST_CASE("an interrupt ends instructions on tables, and a table that was growing has its old size") {
  World w;
  TableInst& t = w.table(3 * kElements);
  const Ref x = Ref::of(&t);
  w.cx.interrupt = true;
  CHECK(table_fill(&w.cx, t, 0, x, 3 * kElements) == TrapCode::Interrupted);
  CHECK(t.elems[kElements - 1] == x);
  CHECK(t.elems[kElements].is_null());
  w.cx.interrupt = true;
  CHECK(table_copy(&w.cx, t, t, 1, 0, 3 * kElements - 1) == TrapCode::Interrupted);
  CHECK(t.elems[kElements].is_null());  // from the back
  w.cx.interrupt = true;
  uint64_t previous = 0;
  CHECK(table_grow(&w.cx, t, 5 * kElements, x, &previous) == TrapCode::Interrupted);
  CHECK(t.size == 3 * kElements);
  // What it had been charged is free again: the store's limit allows ten million.
  CHECK(table_grow(&w.cx, t, 10'000'000 - 3 * kElements, x, &previous) == TrapCode::None);
  CHECK(previous == 3 * kElements);
  CHECK(t.elems[3 * kElements] == x);
  CHECK(t.elems[t.size - 1] == x);
}

TEST_CASE("a guest gives way between slices and goes on") {
  World w;
  MemoryInst& m = w.memory(64);
  const Serving serving([](Vcpu& cx) {
    ++served;
    ask(cx, Request::yield);
  });
  w.cx.requests = static_cast<uint8_t>(Request::yield);
  CHECK(memory_fill(&w.cx, m, 0, 1, kLong) == TrapCode::None);
  CHECK(served == 3);
  CHECK(m.base[kLong - 1] == kOne);
  CHECK(m.base[kLong] == kZero);
}
