// The image of a module's data segments: instances that it makes are those that copying segment by segment makes.
#include "vm/runtime/data_image.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/support/module_bytes.h"
#include "vm/runtime/memory.h"
#include "vm/runtime/memory_owner.h"
#include "vm/runtime/store.h"

using namespace vmrun;
using namespace vmrun::vm;

namespace {

struct Memory {
  uint64_t pages;
  bool is64 = false;
  bool shared = false;
};

struct Segment {
  enum Kind { Active, Passive, OfGlobal } kind = Active;
  uint32_t memory = 0;
  uint64_t offset = 0;
  std::vector<uint8_t> bytes{};
};

void append_s64(test::Bytes& out, int64_t n) {
  for (;; n >>= 7) {
    const uint8_t low = n & 0x7f;
    if (n >> 6 == 0 || n >> 6 == -1) return out.push_back(low);
    out.push_back(low | 0x80);
  }
}

/// Memories of its own, the first one imported if `imports`, a global of 16 that is imported, and data segments.
struct Description {
  std::vector<Memory> memories;
  std::vector<Segment> segments;
  bool imports = false;

  static void limits(test::Bytes& out, const Memory& m) {
    out.push_back((m.is64 ? 4 : 0) | (m.shared ? 3 : 0));
    test::append_u32(out, static_cast<uint32_t>(m.pages));
    if (m.shared) test::append_u32(out, static_cast<uint32_t>(m.pages));
  }

  std::shared_ptr<Module> decode() const {
    test::Bytes out = test::kHeader, import{static_cast<uint8_t>(imports ? 2 : 1), 0, 1, 'g', 3, 0x7f, 0};
    if (imports) {
      test::append(import, {0, 1, 'm', 2});
      limits(import, memories[0]);
    }
    test::append_section(out, 2, import);
    test::Bytes own;
    test::append_u32(own, static_cast<uint32_t>(memories.size() - imports));
    for (size_t i = imports; i < memories.size(); ++i) limits(own, memories[i]);
    test::append_section(out, 5, own);
    test::Bytes data;
    test::append_u32(data, static_cast<uint32_t>(segments.size()));
    for (const Segment& s : segments) {
      data.push_back(s.kind == Segment::Passive ? 1 : 2);
      if (s.kind != Segment::Passive) {
        test::append_u32(data, s.memory);
        if (s.kind == Segment::OfGlobal) {
          test::append(data, {0x23, 0, 0x0b});
        } else if (memories[s.memory].is64) {
          data.push_back(0x42), append_s64(data, static_cast<int64_t>(s.offset)), data.push_back(0x0b);
        } else {
          data.push_back(0x41), append_s64(data, static_cast<int32_t>(s.offset)), data.push_back(0x0b);
        }
      }
      test::append_u32(data, static_cast<uint32_t>(s.bytes.size()));
      test::append(data, s.bytes);
    }
    test::append_section(out, 11, data);
    auto module = test::decode(out);
    if (!module) FAIL(module.error().to_string());
    return *module;
  }
};

/// What instantiation leaves, by the specification: segment by segment, until one traps.
struct Expected {
  std::vector<std::vector<uint8_t>> memories;
  std::vector<uint8_t> dropped;
  bool traps = false;

  explicit Expected(const Description& d) {
    for (const Memory& m : d.memories) memories.emplace_back(m.pages << 16);
    dropped.resize(d.segments.size());
    for (size_t i = 0; i < d.segments.size(); ++i) {
      const Segment& s = d.segments[i];
      if (s.kind == Segment::Passive) continue;
      const uint64_t offset = s.kind == Segment::OfGlobal ? 16 : s.offset;
      std::vector<uint8_t>& to = memories[s.memory];
      if (offset > to.size() || s.bytes.size() > to.size() - offset) {
        traps = true;
        return;
      }
      std::ranges::copy(s.bytes, to.begin() + static_cast<ptrdiff_t>(offset));
      dropped[i] = 1;
    }
  }
};

/// Instances of one module in stores of one pool.
struct World {
  std::shared_ptr<Module> module;
  std::shared_ptr<MemoryPool> pool;
  World(const Description& d, bool dense) : module(d.decode()) {
    MemoryPool::Options options;
    options.dense = dense;
    pool = std::make_shared<MemoryPool>(options);
    module->guarded_memories = pool->guards();
  }

  /// Makes an instance and compares it with what is expected. Then everything is written to.
  void check(const Description& d, const Expected& expected) const {
    Store store(pool, module->registry, {});
    Instance& instance = **store.new_instance(module);
    const Slot sixteen[2] = {Slot::i32(16), {}};
    instance.globals[0] = store.new_global(module->globals[0].type, sixteen);
    for (size_t i = 0; i < d.memories.size(); ++i) instance.memories[i] = *store.new_memory(module->memories[i]);
    CHECK(copy_data(instance) == (expected.traps ? TrapCode::MemoryOutOfBounds : TrapCode::None));
    for (size_t i = 0; i < d.memories.size(); ++i) {
      MemoryInst& memory = *instance.memories[i];
      CAPTURE(i);
      REQUIRE(memory.bytes == expected.memories[i].size());
      CHECK(std::memcmp(memory.base, expected.memories[i].data(), memory.bytes) == 0);
      if (memory_grow(memory, 1) != kGrowFailed) {
        const std::byte* end = memory.base + memory.bytes;
        CHECK(std::all_of(end - 65536, end, [](std::byte b) { return b == std::byte{0}; }));
      }
      std::memset(memory.base, 0xa5, memory.bytes);
    }
    for (size_t i = 0; i < d.segments.size(); ++i) CHECK(instance.dropped_datas[i] == expected.dropped[i]);
  }
};

void check_all(const Description& d) {
  const Expected expected(d);
  for (bool dense : {false, true}) {
    CAPTURE(dense);
    const World world(d, dense);
    for (int i = 0; i < 5; ++i) world.check(d, expected);
    // Others that come after see nothing of it.
    Store store(world.pool, world.module->registry, {});
    for (int i = 0; i < 4; ++i) {
      MemoryInst& memory = **store.new_memory({{3, {}, false}, false, 16});
      CHECK(std::all_of(memory.base, memory.base + memory.bytes, [](std::byte b) { return b == std::byte{0}; }));
    }
  }
}

std::vector<uint8_t> some(size_t bytes, uint8_t first) {
  std::vector<uint8_t> out(bytes);
  for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<uint8_t>(first + i * 7 + (i >> 8));
  return out;
}

}  // namespace

TEST_CASE("small segments become pieces; later ones win where they overlap") {
  Description d{{{2}}, {}};
  d.segments = {{Segment::Active, 0, 100, some(50, 1)},  {Segment::Active, 0, 120, some(10, 2)},  // inside
                {Segment::Passive, 0, 0, some(9, 3)},    {Segment::Active, 0, 149, some(20, 4)},  // over its end
                {Segment::Active, 0, 90, some(20, 5)},                                            // and its beginning
                {Segment::Active, 0, 70000, some(1, 6)}, {Segment::Active, 0, 131072, {}},  // nothing, at the very end
                {Segment::Active, 0, 131071, some(1, 7)}};
  check_all(d);
  const auto image = DataImage::make(*d.decode());
  REQUIRE(image != nullptr);
  CHECK(image->segments() == 8);
  CHECK(image->copied_bytes() == 79 + 1 + 1);
  CHECK(image->mapped_bytes() == 0);
}

TEST_CASE("the image ends where a segment may trap, depends on the instance, or writes to another's memory") {
  Description d{{{1}, {1}}, {}};
  const Segment fine{Segment::Active, 1, 5, some(10, 1)};
  for (const Segment& end :
       {Segment{Segment::OfGlobal, 1, 0, some(20, 9)}, Segment{Segment::Active, 1, 65530, some(7, 9)},
        Segment{Segment::Active, 1, 65537, {}}, Segment{Segment::Active, 1, UINT32_MAX, some(7, 9)}}) {
    d.segments = {fine, fine, end, {Segment::Active, 1, 8, some(3, 4)}};
    check_all(d);
    CHECK(DataImage::make(*d.decode())->segments() == 2);
  }
  d.imports = true;
  d.segments = {fine, fine, {Segment::Active, 0, 7, some(5, 2)}, fine};
  check_all(d);
  CHECK(DataImage::make(*d.decode())->segments() == 2);
  d.segments = {fine};
  CHECK(DataImage::make(*d.decode()) == nullptr);  // nothing to gain
}

TEST_CASE("large data is mapped where a memory can be, with what lies around it") {
  Description d{{{40}}, {}};
  for (uint64_t at = 300'001; at < 900'000; at += 1000) {
    d.segments.push_back({Segment::Active, 0, at, some(900, static_cast<uint8_t>(at))});
  }
  d.segments.push_back({Segment::Active, 0, 17, some(100, 3)});
  d.segments.push_back({Segment::Active, 0, 2'000'000, some(100, 4)});
  d.segments.push_back({Segment::Active, 0, 300'100, some(2000, 5)});
  check_all(d);
  const auto image = DataImage::make(*d.decode());
  REQUIRE(image != nullptr);
  CHECK(image->mapped_bytes() >= 600'000);
  CHECK(image->mapped_bytes() < 620'000);
  CHECK(image->copied_bytes() == 200);
}

namespace {

/// What the kernel says of the mapping around an address in /proc/self/smaps: "rd wr mr mw me nr hg", for one.
std::string flags_at(const void* address) {
  std::ifstream smaps("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
      const auto at = reinterpret_cast<uintptr_t>(address);
      here = begin <= at && at < end;
    } else if (here && line.starts_with("VmFlags:")) {
      return line;
    }
  }
  return {};
}

bool is_large(const void* address) { return flags_at(address).find(" hg") != std::string::npos; }

}  // namespace

TEST_CASE("the first instance has large pages where its segments write much, and no later guest sees that") {
  constexpr uint64_t kPages = 6 * kLargePage / 65536;
  Description d{{{kPages}}, {}};
  const auto fill = [&](uint64_t begin, uint64_t bytes) {
    for (uint64_t at = 0; at < bytes; at += 8192) {
      d.segments.push_back({Segment::Active, 0, begin + at, some(8000, static_cast<uint8_t>(at >> 13))});
    }
  };
  fill(kLargePage - 300'000,
       300'000 + kLargePage + 700'000);  // little of the first, all of the second, enough of the third
  fill(4 * kLargePage + 5, 1'000'000);
  d.segments.push_back({Segment::Passive, 0, 0, some(3'000'000, 3)});
  check_all(d);

  const World world(d, false);
  if (!world.pool->guards()) return;
  for (int round = 0; round < 2; ++round) {
    CAPTURE(round);
    Store store(world.pool, world.module->registry, {});
    Instance& instance = **store.new_instance(world.module);
    instance.memories[0] = *store.new_memory(world.module->memories[0]);
    REQUIRE(copy_data(instance) == TrapCode::None);
    const MemoryInst& memory = *instance.memories[0];
    const MemoryMapping& mapping = static_cast<MemoryOwner*>(memory.impl)->mapping;
    CHECK(reinterpret_cast<uintptr_t>(memory.base) % kLargePage == 0);
    if (round == 0 && mapping.large_bytes == 0) {
      MESSAGE("this kernel has no large pages: not tested");
      return;
    }
    // The second instance maps what there is.
    CHECK(mapping.large_at == (round == 0 ? kLargePage : 0));
    CHECK(mapping.large_bytes == (round == 0 ? 4 * kLargePage : 0));
    CHECK((mapping.file_bytes != 0) == (round == 1));
    for (uint64_t page = 0; page < 6; ++page) {
      CAPTURE(page);
      CHECK(is_large(memory.base + page * kLargePage) == (round == 0 && page != 0 && page != 3 && page != 5));
    }
  }
  // Of the same size, in the same place.
  Store store(world.pool, world.module->registry, {});
  const MemoryInst& memory = **store.new_memory(world.module->memories[0]);
  CHECK(static_cast<const MemoryOwner*>(memory.impl)->mapping.large_bytes == 0);
  CHECK_FALSE(is_large(memory.base + kLargePage));
  CHECK(std::all_of(memory.base, memory.base + memory.bytes, [](std::byte b) { return b == std::byte{0}; }));
}

TEST_CASE("64-bit, shared, dense and lesser memories with much data") {
  for (const Memory& memory : {Memory{96, true}, Memory{96, false, true}, Memory{50}, Memory{33}}) {
    Description d{{{1}, memory}, {}};
    d.segments.push_back({Segment::Active, 1, 3, some(2'100'000, 1)});
    d.segments.push_back({Segment::Active, 0, 3, some(100, 2)});
    // One that traps leaves what came before it.
    check_all(d);
    d.segments.push_back({Segment::Active, 1, memory.pages << 16, some(1, 2)});
    check_all(d);
    d.imports = true;
    d.memories[0].pages = 40;
    d.segments.insert(d.segments.begin(), {Segment::Active, 0, 3, some(2'100'000, 1)});
    check_all(d);
  }
}

TEST_CASE("images of several memories, of 64-bit and shared ones") {
  Description d{{{8}, {9, true}, {10, false, true}}, {}};
  for (uint32_t memory = 0; memory < 3; ++memory) {
    d.segments.push_back({Segment::Active, memory, 4096 * memory + 5, some(300'000, static_cast<uint8_t>(memory))});
    d.segments.push_back({Segment::Active, memory, 300'000, some(70'000, static_cast<uint8_t>(9 * memory))});
  }
  check_all(d);
}

TEST_CASE("random segments") {
  std::mt19937 random(11);
  const auto draw = [&](uint64_t below) { return std::uniform_int_distribution<uint64_t>(0, below - 1)(random); };
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    Description d;
    for (uint64_t n = 1 + draw(3); n > 0; --n) d.memories.push_back({1 + draw(12), draw(4) == 0, draw(6) == 0});
    d.imports = draw(4) == 0;
    const uint64_t largest = draw(3) == 0 ? 120'000 : 300;
    for (uint64_t n = draw(60); n > 0; --n) {
      Segment s;
      s.memory = static_cast<uint32_t>(draw(d.memories.size()));
      const uint64_t bytes = d.memories[s.memory].pages << 16;
      s.bytes = some(draw(largest), static_cast<uint8_t>(draw(256)));
      const uint64_t odd = draw(100);
      s.kind = odd < 5 ? Segment::Passive : Segment::Active;
      if (odd >= 5 && odd < 7 && !d.memories[s.memory].is64) s.kind = Segment::OfGlobal;
      s.offset = odd == 99 ? bytes - std::min<uint64_t>(bytes, draw(2 * largest))
                           : draw(1 + bytes - std::min<uint64_t>(bytes, s.bytes.size()));
      d.segments.push_back(std::move(s));
    }
    check_all(d);
  }
}
