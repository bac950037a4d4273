// Code memory: allocation, lookup by pc, tables of a code object, retirement.
#include "jit/code/code.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <vector>

namespace vmrun::jit {
namespace {

constexpr size_t kSmall = size_t{1} << 20;

const CodeObject* publish(CodeSpace& space, size_t size, CodeArena* arena = nullptr) {
  CodeSpace::Block block = space.allocate(size, CodeSpace::Use::function, arena);
  if (!block) return nullptr;
  auto object = std::make_unique<CodeObject>();
  object->size = static_cast<uint32_t>(size);
  return space.publish(std::move(object), block);
}

TEST_CASE("code written through one view runs through the other") {
#if defined(__x86_64__)
  const uint8_t code[] = {0xb8, 42, 0, 0, 0, 0xc3};  // mov eax, 42; ret
#elif defined(__aarch64__)
  const uint32_t code[] = {0x52800540, 0xd65f03c0};  // mov w0, 42; ret
#endif
  CodeSpace& space = CodeSpace::get();
  const size_t objects = space.live_objects(), bytes = space.live_bytes();
  CodeSpace::Block block = space.allocate(sizeof code);
  REQUIRE(block);
  CHECK(reinterpret_cast<uintptr_t>(block.rx) % CodeSpace::kGranule == 0);
  CHECK(block.size > sizeof code);
  std::memcpy(block.rw, code, sizeof code);
  const CodeObject* object = space.publish(std::make_unique<CodeObject>(), block);
  CHECK(reinterpret_cast<int (*)()>(reinterpret_cast<uintptr_t>(object->begin))() == 42);
  CHECK(space.live_objects() == objects + 1);
  space.retire(object);
  CHECK(space.retired_objects() == 1);
  CHECK(space.reclaim(space.retirements(), {}) == 1);
  CHECK(space.live_objects() == objects);
  CHECK(space.live_bytes() == bytes);
}

TEST_CASE("trampolines have a budget of their own") {
  CodeSpace space(kSmall);
  space.set_budget(0);
  space.set_trampoline_budget(3 * CodeSpace::kGranule);
  CHECK(!space.allocate(1));
  const CodeSpace::Block two = space.allocate(CodeSpace::kGranule, CodeSpace::Use::trampoline);
  REQUIRE(two);
  CHECK(!space.allocate(CodeSpace::kGranule, CodeSpace::Use::trampoline));
  const CodeSpace::Block one = space.allocate(1, CodeSpace::Use::trampoline);
  REQUIRE(one);
  space.free(two);
  const CodeSpace::Block again = space.allocate(CodeSpace::kGranule, CodeSpace::Use::trampoline);
  REQUIRE(again);
  space.free(again);
  space.free(one);
}

// A walk asks for whatever stands on a stack: also for code of a module that is being dropped. Sanitizers see it if that
// looks into what is gone.
TEST_CASE("owners are found while their code goes away") {
  CodeSpace space(kSmall);
  std::atomic<bool> done = false;
  const std::byte* const first = space.range().data();
  size_t found = 0;
  std::thread walker([&] {
    while (!done.load()) {
      for (size_t at = 0; at < 64; ++at) found += space.owner(first + at * CodeSpace::kGranule) != nullptr;
    }
  });
  for (int i = 0; i < 2000; ++i) {
    CodeArena arena(false);
    const CodeObject* object = publish(space, 100, &arena);
    REQUIRE(object != nullptr);
    const std::byte* const begin = object->begin;
    CHECK(space.owner(begin) == object);
    space.drop(arena);
    CHECK(space.owner(begin) == nullptr);
  }
  done = true;
  walker.join();
  MESSAGE(found << " times met");
}

TEST_CASE("a pc finds its object, from the first byte to the return address of its last call") {
  CodeSpace space(kSmall);
  const CodeObject* a = publish(space, 128);
  const CodeObject* b = publish(space, 1);
  CHECK(space.find(a->begin) == a);
  CHECK(space.find(a->begin + 127) == a);
  CHECK(space.find(a->begin + 128) == a);
  CHECK(space.find(a->begin + 129) == nullptr);
  CHECK(space.find(b->begin) == b);
  CHECK(space.find(space.range().data() - 1) == nullptr);
  CHECK(space.find(space.range().data() + space.range().size()) == nullptr);
  CHECK(space.find(nullptr) == nullptr);
  CHECK(space.find(&space) == nullptr);
}

TEST_CASE("the tables of an object") {
  CodeSpace space(kSmall);
  CodeSpace::Block block = space.allocate(100);
  auto made = std::make_unique<CodeObject>();
  made->marks = {{10, 1000}, {20, 1001}, {20, 1002}, {30, 1003}};
  made->pads = {{20, 64}, {30, 72}};
  made->preempt = {{8, 16}, {24, 40}};
  const CodeObject* object = space.publish(std::move(made), block);
  auto at = [&](uint32_t pc) { return object->begin + pc; };
  // A call returns to 20, and the load there faults: two marks of one address.
  CHECK(object->source_offset(at(20), true) == 1001);
  CHECK(object->source_offset(at(20), false) == 1002);
  CHECK(object->source_offset(at(10), false) == 1000);
  CHECK(object->source_offset(at(25), false) == 1002);
  CHECK(object->source_offset(at(5), false) == 0);
  CHECK(object->source_offset(at(90), false) == 1003);
  CHECK(object->pad(at(20)) == at(64));
  CHECK(object->pad(at(30)) == at(72));
  CHECK(object->pad(at(21)) == nullptr);
  CHECK_FALSE(object->preemptible(at(7)));
  CHECK(object->preemptible(at(8)));
  CHECK(object->preemptible(at(15)));
  CHECK_FALSE(object->preemptible(at(16)));
  CHECK(object->preemptible(at(39)));
  CHECK_FALSE(object->preemptible(at(40)));
}

TEST_CASE("an exhausted range or budget gives an empty block, and what comes back is whole again") {
  CodeSpace space(kSmall);
  CHECK_FALSE(space.allocate(kSmall));
  CHECK_FALSE(space.allocate(SIZE_MAX));
  std::vector<CodeSpace::Block> blocks;
  while (CodeSpace::Block block = space.allocate(4000)) blocks.push_back(block);
  CHECK(blocks.size() >= kSmall / 4096);
  // Odd ones first, so that the even ones have to join on both sides.
  for (size_t i = 1; i < blocks.size(); i += 2) space.free(blocks[i]);
  CHECK_FALSE(space.allocate(7000));
  for (size_t i = 0; i < blocks.size(); i += 2) space.free(blocks[i]);
  CHECK(space.live_bytes() == 0);
  CodeSpace::Block all = space.allocate(kSmall - 1);
  CHECK(all.size == kSmall);
  space.free(all);  // long enough to give its pages back
  space.set_budget(1000);
  CHECK_FALSE(space.allocate(1000));
  CodeSpace::Block small = space.allocate(900);
  CHECK(small);
  CHECK_FALSE(space.allocate(100));
  space.free(small);
}

TEST_CASE("code memory is no file, whose size may be limited") {
  rlimit old;
  REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
  const rlimit small{std::min<rlim_t>(4096, old.rlim_max), old.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  {
    CodeSpace space(kSmall);
    CodeSpace::Block block = space.allocate(kSmall / 2);
    REQUIRE(block);
    space.free(block);
  }
  REQUIRE(setrlimit(RLIMIT_FSIZE, &old) == 0);
}

TEST_CASE("trampolines get what is beyond the budget") {
  CodeSpace space(kSmall);
  space.set_budget(0);
  CHECK_FALSE(space.allocate(10));
  CodeSpace::Block block = space.allocate(10, CodeSpace::Use::trampoline);
  REQUIRE(block);
  space.free(block);
}

TEST_CASE("retired code lives while somebody stands in it or the walk began before its retirement") {
  CodeSpace space(kSmall);
  const CodeObject* a = publish(space, 100);
  const CodeObject* b = publish(space, 100);
  const CodeObject* c = publish(space, 100);
  space.retire(a);
  space.retire(b);
  const uint64_t seen = space.retirements();
  space.retire(c);
  CHECK(space.reclaim(seen, {b}) == 1);
  CHECK(space.find(b->begin) == b);
  CHECK(space.find(c->begin) == c);
  CHECK(space.retired_objects() == 2);
  CHECK(space.reclaim(space.retirements(), {}) == 2);
  CHECK(space.live_objects() == 0);
  CHECK(space.live_bytes() == 0);
}

/// Pages of the space that take memory.
size_t resident_pages(const CodeSpace& space) {
  std::vector<unsigned char> pages(space.range().size() / 4096);
  REQUIRE(mincore(const_cast<std::byte*>(space.range().data()), space.range().size(), pages.data()) == 0);
  return static_cast<size_t>(std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return page & 1; }));
}

TEST_CASE("modules have pages of their own, which go back to the system with them") {
  CodeSpace space(kSmall * 4);
  CodeArena one(false), other(false);
  std::set<uintptr_t> pages_of_one, pages_of_other;
  auto add_pages = [](std::set<uintptr_t>& pages, const CodeObject* object) {
    const auto at = reinterpret_cast<uintptr_t>(object->begin);
    for (uintptr_t page = at / 4096; page <= (at + object->size) / 4096; ++page) pages.insert(page);
  };
  const CodeObject* kept = nullptr;
  for (unsigned i = 0; i < 300; ++i) {
    kept = publish(space, 100 + i * 10, &one);
    add_pages(pages_of_one, kept);
    add_pages(pages_of_other, publish(space, 100 + i * 10, &other));
    if (i % 3 == 0) space.retire(kept);
  }
  for (uintptr_t page : pages_of_one) CHECK(pages_of_other.count(page) == 0);
  // Close together: they are hardly in more pages than they fill.
  CHECK(pages_of_one.size() < space.live_bytes() / 2 / 4096 * 5 / 4);
  CHECK(resident_pages(space) == pages_of_one.size() + pages_of_other.size());
  const size_t bytes = space.live_bytes();
  const std::byte* place = kept->begin;
  CHECK(space.drop(one) == 300);
  CHECK(space.retired_objects() == 0);
  CHECK(space.live_objects() == 300);
  CHECK(space.live_bytes() == bytes / 2);
  CHECK(space.find(place) == nullptr);
  CHECK(resident_pages(space) == pages_of_other.size());
  CHECK(space.drop(other) == 300);
  CHECK(space.live_bytes() == 0);
  CHECK(resident_pages(space) == 0);
  CodeSpace::Block all = space.allocate(kSmall * 4 - 1);
  CHECK(all);
  space.free(all);
}

TEST_CASE("memory that is expected is large pages of the arena's, which are used while they are made") {
  constexpr size_t kLarge = size_t{2} << 20;
  CodeSpace space(8 * kLarge);
  CodeArena arena(false), small(true), other(false);
  CHECK(space.expect(small, 3 * kLarge).count == 0);
  CHECK(space.expect(arena, kLarge / 4 - 1).count == 0);
  CHECK(space.expect(arena, 20 * kLarge).count == 0);  // there is no room
  const CodeObject* before = publish(space, 5000, &other);
  const Extent chunk = space.expect(arena, 2 * kLarge + kLarge / 4 - 1);
  REQUIRE(chunk.count == 2 * kLarge / CodeSpace::kGranule);
  const std::byte* const begin = space.range().data() + size_t{chunk.first} * CodeSpace::kGranule;
  CHECK(reinterpret_cast<uintptr_t>(begin) % kLarge == 0);
  CHECK(resident_pages(space) == 1 + 2);  // the end of the other's, and one of each that is to be large

  std::vector<std::pair<const CodeObject*, uint8_t>> made;
  const auto add = [&](size_t size) {
    CodeSpace::Block block = space.allocate(size, CodeSpace::Use::function, &arena);
    REQUIRE(block);
    const auto value = static_cast<uint8_t>(made.size());
    std::memset(block.rw, value, size);
    auto object = std::make_unique<CodeObject>();
    object->size = static_cast<uint32_t>(size);
    made.emplace_back(space.publish(std::move(object), block), value);
  };
  std::thread maker([&] { space.make_large(chunk); });
  for (size_t i = 0; i < 300; ++i) add(1 + i * 37 % 5000);
  maker.join();
  space.make_large(chunk);  // whatever is in it
  for (size_t i = 0; i < 300; ++i) add(1 + i * 41 % 5000);
  for (const auto& [object, value] : made) {
    CHECK(object->begin >= begin);
    CHECK(object->begin + object->size < begin + 2 * kLarge);
    CHECK(space.find(object->begin + object->size - 1) == object);
    const auto good = [value = value](std::byte b) { return b == static_cast<std::byte>(value); };
    CHECK(std::all_of(object->begin, object->begin + object->size, good));
    CHECK(object->begin[object->size] == std::byte{0xcc});
  }
  CHECK(space.find(before->begin) == before);
  // All of it goes back.
  CHECK(space.drop(arena) == made.size());
  CHECK(space.drop(small) == 0);
  CHECK(space.drop(other) == 1);
  CHECK(resident_pages(space) == 0);
  const CodeSpace::Block all = space.allocate(8 * kLarge - 1);
  CHECK(all);
  space.free(all);
  // Nothing of it was used.
  CodeArena unused(false);
  space.make_large(space.expect(unused, kLarge));
  space.make_large({});
  CHECK(space.drop(unused) == 0);
  CHECK(resident_pages(space) == 0);
}

TEST_CASE("small modules by the thousand share pages") {
  CodeSpace space(kSmall * 4);
  std::vector<std::unique_ptr<CodeArena>> arenas;
  for (unsigned i = 0; i < 1000; ++i) {
    arenas.push_back(std::make_unique<CodeArena>(true));
    for (unsigned j = 0; j < 3; ++j) {
      const CodeObject* object = publish(space, 300, arenas.back().get());
      if (j == 1) space.retire(object);
    }
  }
  CHECK(resident_pages(space) <= space.live_bytes() / 4096 * 17 / 16);
  const size_t bytes = space.live_bytes();
  for (unsigned i = 0; i < 1000; i += 2) CHECK(space.drop(*arenas[i]) == 3);
  CHECK(space.live_bytes() == bytes / 2);
  CHECK(space.retired_objects() == 500);
  CHECK(space.reclaim(space.retirements(), {}) == 500);
  for (unsigned i = 1; i < 1000; i += 2) CHECK(space.drop(*arenas[i]) == 2);
  CHECK(space.live_bytes() == 0);
  // A chunk is kept for the next one.
  CHECK(resident_pages(space) <= 64);
}

TEST_CASE("a lone function that comes and goes keeps its chunk") {
  CodeSpace space(kSmall);
  CodeArena arena(false);
  const std::byte* place = nullptr;
  for (unsigned i = 0; i < 10; ++i) {
    const CodeObject* object = publish(space, 1000, &arena);
    CHECK((place == nullptr || object->begin == place));
    place = object->begin;
    space.discard(object);
    CHECK(resident_pages(space) == 1);
  }
  CHECK(space.drop(arena) == 0);
  CHECK(resident_pages(space) == 0);
}

TEST_CASE("threads that allocate, look up, retire and reclaim at once") {
  CodeSpace space(kSmall);
  std::atomic<bool> over{false};
  std::atomic<uint64_t> hits{0};
  CodeArena arenas[] = {CodeArena(false), CodeArena(true), CodeArena(false)};
  auto work = [&](unsigned seed) {
    std::mt19937 random(seed);
    std::vector<const CodeObject*> mine;
    for (int i = 0; i < 4000; ++i) {
      if (mine.size() < 20 && random() % 2 == 0) {
        const size_t size = 1 + random() % 3000;
        if (const CodeObject* object = publish(space, size, &arenas[seed])) mine.push_back(object);
      } else if (!mine.empty()) {
        const size_t at = random() % mine.size();
        CHECK(space.find(mine[at]->begin + random() % mine[at]->size) == mine[at]);
        if (random() % 2 == 0) {
          space.retire(mine[at]);
          mine.erase(mine.begin() + static_cast<ptrdiff_t>(at));
        }
      }
      if (random() % 64 == 0) space.reclaim(space.retirements(), {});
      if (random() % 512 == 0) {  // the module dies, and another takes its place
        space.drop(arenas[seed]);
        mine.clear();
      }
    }
    for (const CodeObject* object : mine) space.retire(object);
    if (seed == 0) space.drop(arenas[seed]);
  };
  const CodeObject* fixed = publish(space, 64);
  std::thread reader([&] {
    while (!over.load(std::memory_order_relaxed)) hits += space.find(fixed->begin + 32) == fixed;
  });
  std::vector<std::thread> workers;
  for (unsigned i = 0; i < 3; ++i) workers.emplace_back(work, i);
  for (std::thread& worker : workers) worker.join();
  over = true;
  reader.join();
  CHECK(hits > 0);
  space.retire(fixed);
  space.reclaim(space.retirements(), {});
  CHECK(space.live_objects() == 0);
  CHECK(space.live_bytes() == 0);
  for (CodeArena& arena : arenas) space.drop(arena);
}

}  // namespace
}  // namespace vmrun::jit
