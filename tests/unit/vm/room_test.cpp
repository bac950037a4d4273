// Rooms beside stacks, what stores do with them, and pages that nobody may touch.
#include "vm/runtime/room.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <memory>

#include "tests/support/child.h"
#include "vm/runtime/guard.h"
#include "vm/runtime/memory.h"
#include "vm/runtime/store.h"

using namespace vmrun;
using namespace vmrun::vm;

namespace {

constexpr size_t kNative = size_t{256} << 10;
constexpr RoomShape kShape = RoomShape::beside(kNative);

/// Memory for rooms, one after the other, and how often they came back.
struct Lender {
  std::byte* pages;
  int returned = 0;
  Lender() {
    void* p =
        mmap(nullptr, 4096 + kShape.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(p != MAP_FAILED);
    pages = static_cast<std::byte*>(p) + 4096;
    REQUIRE(guard_page(pages + kShape.guard));
  }
  ~Lender() { munmap(pages - 4096, 4096 + kShape.size); }
  Room lend() {
    return Room(
        pages - kShape.shared, kShape, [](void* self) noexcept { ++static_cast<Lender*>(self)->returned; }, this);
  }
};

struct World {
  std::shared_ptr<MemoryPool> pool;
  std::shared_ptr<TypeRegistry> registry = std::make_shared<TypeRegistry>();
  explicit World(MemoryPool::Options options = {}) {
    options.dense = true;
    pool = std::make_shared<MemoryPool>(options);
  }
  std::unique_ptr<Store> store(const Store::Limits& limits = {}) const {
    return std::make_unique<Store>(pool, registry, limits);
  }
};

constexpr MemoryType kMemory{{1, {}, false}, false, 16};

}  // namespace

TEST_CASE("a guarded page faults, also when pages were dropped, and in a child") {
  void* p = mmap(nullptr, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(p != MAP_FAILED);
  auto* pages = static_cast<std::byte*>(p);
  REQUIRE(guard_page(pages + 4096));
  pages[0] = pages[2 * 4096] = std::byte{7};
  CHECK(test::signal_of_writing(pages) == 0);
  CHECK(test::signal_of_writing(pages + 4096) == SIGSEGV);
  CHECK(test::signal_of_writing(pages + 2 * 4096 - 1) == SIGSEGV);
  CHECK(test::signal_of_writing(pages + 2 * 4096) == 0);
  REQUIRE(madvise(pages, 3 * 4096, MADV_DONTNEED) == 0);
  CHECK(pages[0] == std::byte{0});
  CHECK(pages[2 * 4096] == std::byte{0});
  CHECK(test::signal_of_writing(pages + 4096) == SIGSEGV);
  munmap(p, 3 * 4096);
}

TEST_CASE("the parts of a room lie apart") {
  for (size_t native : {size_t{0}, size_t{192} << 10, kNative, size_t{1} << 20, size_t{16} << 30}) {
    const RoomShape shape = RoomShape::beside(native);
    CHECK(shape.shared % 64 == 0);
    CHECK(shape.guard % 4096 == 0);
    CHECK(shape.stack_bytes() >= 4096);
    CHECK(shape.stack_bytes() <= RoomShape::kMostStack);
    CHECK(shape.stack_bytes() + kStackRedZone + kAreaBytes == shape.guard);
    CHECK(shape.memory_bytes() == RoomShape::kMemory);
    CHECK(shape.guard + 4096 + shape.memory_bytes() == shape.size);
  }
}

TEST_CASE("a store takes its stack and its first memory from the room, and leaves the memory empty") {
  World world;
  Lender lender;
  for (int round = 0; round < 3; ++round) {
    auto store = world.store();
    store->take_room(lender.lend());
    const Vcpu& cx = store->vcpu();
    CHECK(cx.stack_base == lender.pages - kShape.shared);
    CHECK(cx.stack_end == cx.stack_base + kShape.stack_bytes());  // less than the store's limit
    CHECK(reinterpret_cast<std::byte*>(cx.area) == cx.stack_end + kStackRedZone);
    CHECK(reinterpret_cast<std::byte*>(cx.area) + kAreaBytes <= lender.pages + kShape.guard);
    std::memset(cx.stack_base, 1, kShape.stack_bytes());

    MemoryInst& first = **store->new_memory(kMemory);
    CHECK(first.base == lender.pages + kShape.guard + 4096);
    CHECK(!first.guarded);
    CHECK(first.max_pages == kShape.memory_bytes() >> 16);
    MemoryInst& second = **store->new_memory(kMemory);
    CHECK((second.base < lender.pages || second.base >= lender.pages + kShape.size));
    REQUIRE(memory_grow(first, 9) == 1);
    for (size_t at : {0u, 65535u, 655359u}) {
      CHECK(first.base[at] == std::byte{0});
      first.base[at] = std::byte{7};
    }
    CHECK(test::signal_of_writing(first.base - 1) == SIGSEGV);  // the guard
    CHECK(lender.returned == round);
    store.reset();
    CHECK(lender.returned == round + 1);
  }
}

TEST_CASE("a memory that was taken back leaves the room's memory empty for the next one") {
  World world;
  Lender lender;
  auto store = world.store();
  store->take_room(lender.lend());
  const Store::Mark mark = store->mark();
  for (int round = 0; round < 3; ++round) {
    MemoryInst& memory = **store->new_memory(kMemory);
    CHECK(memory.base == lender.pages + kShape.guard + 4096);
    CHECK(memory.base[100] == std::byte{0});
    memory.base[100] = std::byte{1};
    store->undo(mark);
  }
  store.reset();
  CHECK(lender.pages[kShape.guard + 4096 + 100] == std::byte{0});
}

TEST_CASE("a room's memory is empty where pages cannot be dropped") {
  MemoryPool::Options options;
  options.pages.drop = [](void*, size_t) { return false; };
  World world(options);
  Lender lender;
  for (int round = 0; round < 3; ++round) {
    auto store = world.store();
    store->take_room(lender.lend());
    MemoryInst& memory = **store->new_memory(kMemory);
    for (size_t at : {0u, 4096u, 65535u}) {
      CHECK(memory.base[at] == std::byte{0});
      memory.base[at] = std::byte{1};
    }
  }
  CHECK(lender.returned == 3);
}

TEST_CASE("what a room is too small for, or too late, lies elsewhere") {
  World world;
  Lender lender;
  {
    auto store = world.store();
    store->need_stack();
    const std::byte* stack = store->vcpu().stack_base;
    store->take_room(lender.lend());
    CHECK(lender.returned == 1);
    CHECK(store->vcpu().stack_base == stack);
    CHECK((*store->new_memory(kMemory))->base != lender.pages + kShape.guard + 4096);
  }
  {
    MemoryPool::Options options;
    options.dense_bytes = 2 * kShape.memory_bytes();
    World larger(options);
    auto store = larger.store();
    store->take_room(lender.lend());
    MemoryInst& memory = **store->new_memory(kMemory);
    CHECK(memory.base != lender.pages + kShape.guard + 4096);
    CHECK(memory.reserved == options.dense_bytes);
  }
  {
    auto store = world.store({.stack_bytes = 64 << 10});
    store->take_room(lender.lend());
    CHECK(store->vcpu().stack_end == store->vcpu().stack_base + (64 << 10));
  }
}
