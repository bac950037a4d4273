// Memories by the embedder's hooks: guests see no difference, and what a hook does wrong fails one instantiation or one
// growth.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "tests/unit/engine/fixture.h"
#include "vmrun/executor.h"

namespace vmrun::test {
namespace {

constexpr uint64_t kPage = 65536;

/// An embedder's memories: mappings of its own, which it counts, with known bytes behind each.
class Host {
 public:
  enum class Kind { fixed, growing, guarded };
  explicit Host(Kind kind) : kind_(kind) {}
  ~Host() { CHECK(live() == 0); }

  /// A host lives as long as its engine's memories.
  Config config(Tiers tiers) {
    Config config;
    config.tiers = tiers;
    config.memory_hooks = MemoryHooks{.create = [this](const MemoryRequest& wanted) { return create(wanted); },
                                      .release = [this](const HostMemory& memory) { release(memory); },
                                      .guarded = kind_ == Kind::guarded};
    if (kind_ != Kind::fixed) {
      config.memory_hooks->grow = [this](const HostMemory& memory, uint64_t from, uint64_t to) {
        return grow(memory, from, to);
      };
    }
    return config;
  }

  size_t live() {
    std::lock_guard hold(lock_);
    return regions_.size();
  }
  bool has(const std::byte* base) {
    std::lock_guard hold(lock_);
    return regions_.contains(const_cast<std::byte*>(base));
  }
  /// Whether nobody has written behind a memory.
  bool untouched() {
    std::lock_guard hold(lock_);
    return std::all_of(regions_.begin(), regions_.end(), [&](const auto& region) {
      const auto [base, all] = region;
      if (kind_ == Kind::guarded) return true;
      return std::all_of(base + all - kBehind, base + all, [](std::byte b) { return b == std::byte{0x5a}; });
    });
  }
  int growths = 0;
  MemoryRequest last{};

 private:
  static constexpr uint64_t kBehind = 4096;

  Result<HostMemory> create(const MemoryRequest& wanted) {
    const uint64_t capacity = std::min<uint64_t>(std::max(wanted.bytes, 8 * kPage), wanted.max_bytes);
    const bool guarded = wanted.reservation != 0;
    const uint64_t all = guarded ? wanted.reservation : ((capacity + 4095) & ~uint64_t{4095}) + kBehind;
    void* memory = mmap(nullptr, all, guarded ? PROT_NONE : PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return Error(ErrorKind::Limit, "no room");
    auto* base = static_cast<std::byte*>(memory);
    if (guarded) {
      if (wanted.bytes != 0) REQUIRE(mprotect(base, wanted.bytes, PROT_READ | PROT_WRITE) == 0);
    } else {
      std::fill_n(base + all - kBehind, kBehind, std::byte{0x5a});
    }
    std::lock_guard hold(lock_);
    regions_[base] = all;
    last = wanted;
    return HostMemory{base, capacity, this};
  }
  bool grow(const HostMemory& memory, uint64_t from, uint64_t to) {
    CHECK(memory.handle == this);
    CHECK(from < to);
    CHECK(to <= memory.capacity);
    ++growths;
    return kind_ != Kind::guarded || mprotect(memory.base + from, to - from, PROT_READ | PROT_WRITE) == 0;
  }
  void release(const HostMemory& memory) {
    CHECK(memory.handle == this);
    std::lock_guard hold(lock_);
    const auto at = regions_.find(memory.base);
    REQUIRE(at != regions_.end());
    munmap(memory.base, at->second);
    regions_.erase(at);
  }

  const Kind kind_;
  std::mutex lock_;
  std::map<std::byte*, uint64_t> regions_;
};

constexpr Tiers kTiers[] = {Tiers::Interp, Tiers::Baseline, Tiers::Opt, Tiers::Steps};

void use(Basic& b, Host& host) {
  const Memory memory = ok(b.instance.memory("memory"));
  CHECK(host.has(memory.data().data()));
  CHECK(host.last.bytes == kPage);
  CHECK(host.last.max_bytes == 4 * kPage);
  const auto load = b.func<int32_t(int32_t)>("load");
  const auto grow = b.func<int32_t(int32_t)>("grow");
  CHECK(ok(load.call(8)) == 0x6c6c6568);  // "hell"
  CHECK(ok(load.call(kPage - 4)) == 0);
  CHECK(load.call(kPage - 3).error().trap == TrapCode::MemoryOutOfBounds);
  CHECK(load.call(-1).error().trap == TrapCode::MemoryOutOfBounds);
  CHECK(b.func<int32_t(int32_t)>("load_far").call(-1).error().trap == TrapCode::MemoryOutOfBounds);
  CHECK(ok(grow.call(2)) == 1);
  CHECK(ok(load.call(3 * kPage - 4)) == 0);
  CHECK(load.call(3 * kPage - 3).error().trap == TrapCode::MemoryOutOfBounds);
  CHECK(ok(grow.call(2)) == -1);
  CHECK(ok(grow.call(1)) == 3);
  CHECK(memory.size_bytes() == 4 * kPage);
  CHECK(host.untouched());
}

TEST_CASE("guests in memories of the embedder's see no difference") {
  for (const Host::Kind kind : {Host::Kind::fixed, Host::Kind::growing, Host::Kind::guarded}) {
    for (const Tiers tiers : kTiers) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(static_cast<int>(tiers));
      Host host(kind);
      Basic b(host.config(tiers));
      CHECK((host.last.reservation != 0) == (kind == Host::Kind::guarded));
      use(b, host);
      if (kind != Host::Kind::fixed) CHECK(host.growths == 2);
      CHECK(host.live() == 1);
    }
  }
}

TEST_CASE("memories of all types come from the hooks, in tasks too") {
  for (const Host::Kind kind : {Host::Kind::fixed, Host::Kind::growing, Host::Kind::guarded}) {
    Host host(kind);
    std::optional<SharedMemory> shared;
    {
      Engine engine(host.config(Tiers::Baseline));
      Store store(engine);
      MemoryType wide;
      wide.min = 2;
      wide.is64 = true;
      Memory memory = ok(Memory::create(store, wide));
      CHECK(host.has(memory.data().data()));
      CHECK(host.last.reservation == 0);
      CHECK(ok(memory.grow(1)) == 2);
      CHECK(!memory.grow(100));  // beyond the capacity
      MemoryType together;
      together.min = 1;
      together.max = 3;
      together.shared = true;
      shared = ok(SharedMemory::create(engine, together));
      CHECK(host.last.shared);
      CHECK(host.live() == 2);
    }
    CHECK(host.live() == 1);  // a handle of the embedder's keeps it, and the hooks, beyond the engine
    CHECK(ok(shared->grow(1)) == 1);
    CHECK(host.untouched());
    shared.reset();
    CHECK(host.live() == 0);

    Engine engine(host.config(Tiers::Baseline));
    const Module module = load(engine, "engine_basic");
    Executor executor = ok(Executor::create({.workers = 1}));
    Store store(engine);
    ok(executor.spawn(store, [&] {
      Linker linker(engine);
      linker.unknown_imports_trap(true);
      const Instance instance = ok(linker.instantiate(store, module));
      CHECK(host.has(ok(instance.memory("memory")).data().data()));
      CHECK(ok(ok(ok(instance.func("load")).typed<int32_t(int32_t)>()).call(8)) == 0x6c6c6568);
    })).join();
  }
}

/// A config whose hooks give what `make` does, and count what is released.
struct Bad {
  alignas(4096) static inline std::array<std::byte, 16 * kPage> buffer{};
  std::function<Result<HostMemory>(const MemoryRequest&)> make;
  bool guarded = false;
  int released = 0;
  Config config() {
    Config config;
    config.memory_hooks = MemoryHooks{.create = [this](const MemoryRequest& wanted) { return make(wanted); },
                                      .release = [this](const HostMemory&) { ++released; },
                                      .guarded = guarded};
    return config;
  }
};

TEST_CASE("a hook that gives garbage, nothing or an exception fails one instantiation, with the reason") {
  std::byte* const good = Bad::buffer.data();
  void* const read_only = mmap(nullptr, 4 * kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct Row {
    const char* says;
    HostMemory memory;
    bool guarded = false;
  };
  const Row rows[] = {
      {"it is nowhere", {nullptr, kPage}},
      {"no multiple of 4096", {good + 8, 4 * kPage}},
      {"its capacity is less", {good, kPage - 1}},
      {"beyond all addresses", {reinterpret_cast<std::byte*>(~uintptr_t{4095}), 4 * kPage}},
      {"beyond all addresses", {reinterpret_cast<std::byte*>((uintptr_t{1} << 47) - 8192), 4 * kPage}},
      {"cannot be written", {reinterpret_cast<std::byte*>(4096), 4 * kPage}},
      {"cannot be written", {static_cast<std::byte*>(read_only), 4 * kPage}},
      {"is reserved", {good, 4 * kPage}, true},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.says));
    std::fill_n(good, 16 * kPage, std::byte{0});
    Bad bad{.make = [&](const MemoryRequest&) { return row.memory; }, .guarded = row.guarded};
    Engine engine(bad.config());
    const Module module = load(engine, "engine_basic");
    Store store(engine);
    Linker linker(engine);
    linker.unknown_imports_trap(true);
    const auto made = linker.instantiate(store, module);
    REQUIRE(!made);
    CHECK(made.error().kind == ErrorKind::Host);
    CHECK(made.error().message.find(row.says) != std::string::npos);
    CHECK(bad.released == 1);
    // The store is as good as before.
    bad.guarded = false;
    if (row.guarded) continue;
    std::fill_n(good, 8 * kPage, std::byte{0});
    bad.make = [&](const MemoryRequest&) { return HostMemory{good, 4 * kPage, nullptr}; };
    CHECK(linker.instantiate(store, module));
    // And the same bytes are not given twice.
    const auto again = linker.instantiate(store, module);
    REQUIRE(!again);
    CHECK(again.error().message.find("another memory has some of its bytes") != std::string::npos);
  }
  munmap(read_only, 4 * kPage);

  Bad throws{.make = [](const MemoryRequest&) -> Result<HostMemory> { throw std::runtime_error("out of huge pages"); }};
  Bad refuses{.make = [](const MemoryRequest&) -> Result<HostMemory> { return Error(ErrorKind::Limit, "all in use"); }};
  Bad empty;
  for (const auto& [bad, kind, says] :
       {std::tuple{&throws, ErrorKind::Host, "out of huge pages"}, std::tuple{&refuses, ErrorKind::Limit, "all in use"},
        std::tuple{&empty, ErrorKind::Usage, "is empty"}}) {
    Config config = bad->config();
    if (bad == &empty) config.memory_hooks->create = {};
    Engine engine(config);
    Store store(engine);
    Linker linker(engine);
    linker.unknown_imports_trap(true);
    const auto made = linker.instantiate(store, load(engine, "engine_basic"));
    REQUIRE(!made);
    CHECK(made.error().kind == kind);
    CHECK(made.error().message.find(says) != std::string::npos);
    CHECK(bad->released == 0);
    CHECK(store.memory_bytes() == 0);
  }
}

TEST_CASE("growth that a hook refuses, lies about or throws out of gives -1") {
  for (const Tiers tiers : kTiers) {
    int how = 0, releases = 0;
    Config config;
    config.tiers = tiers;
    config.memory_hooks = MemoryHooks{.create = [](const MemoryRequest& wanted) -> Result<HostMemory> {
                                        void* memory =
                                            mmap(nullptr, 4 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                                        mprotect(memory, wanted.bytes, PROT_READ | PROT_WRITE);
                                        return HostMemory{static_cast<std::byte*>(memory), 4 * kPage, nullptr};
                                      },
                                      .grow = [&](const HostMemory& memory, uint64_t from, uint64_t to) -> bool {
                                        if (how == 0) return false;
                                        if (how == 1) throw 5;
                                        if (how == 3) mprotect(memory.base + from, to - from, PROT_READ | PROT_WRITE);
                                        return true;
                                      },
                                      .release =
                                          [&](const HostMemory& memory) {
                                            munmap(memory.base, 4 * kPage);
                                            ++releases;
                                            throw std::runtime_error("in the end");
                                          }};
    {
      Basic b(config);
      const auto grow = b.func<int32_t(int32_t)>("grow");
      for (how = 0; how < 3; ++how) {
        CHECK(ok(grow.call(1)) == -1);
        CHECK(b.store.memory_bytes() == kPage);
        CHECK(b.func<int32_t(int32_t)>("load").call(kPage).error().trap == TrapCode::MemoryOutOfBounds);
      }
      CHECK(ok(grow.call(1)) == 1);
      CHECK(ok(b.func<int32_t(int32_t)>("load").call(kPage)) == 0);
    }
    CHECK(releases == 1);
  }
}

#ifdef VMRUN_ASSERTIONS
TEST_CASE("builds with assertions see bytes that are not zero") {
  Bad bad{.make = [](const MemoryRequest&) {
    Bad::buffer[kPage + 5] = std::byte{1};
    return HostMemory{Bad::buffer.data(), 4 * kPage, nullptr};
  }};
  Engine engine(bad.config());
  Store store(engine);
  Linker linker(engine);
  linker.unknown_imports_trap(true);
  const auto made = linker.instantiate(store, load(engine, "engine_basic"));
  REQUIRE(!made);
  CHECK(made.error().message.find("are not zero") != std::string::npos);
  Bad::buffer[kPage + 5] = std::byte{0};
}
#endif

TEST_CASE("without guard pages memories grow, and accesses are checked") {
  for (const Tiers tiers : kTiers) {
    Config config;
    config.tiers = tiers;
    config.guard_pages = false;
    Basic b(config);
    const auto load = b.func<int32_t(int32_t)>("load");
    CHECK(ok(load.call(8)) == 0x6c6c6568);
    CHECK(load.call(-1).error().trap == TrapCode::MemoryOutOfBounds);
    CHECK(b.func<int32_t(int32_t)>("load_far").call(-1).error().trap == TrapCode::MemoryOutOfBounds);
    CHECK(ok(b.func<int32_t(int32_t)>("grow").call(3)) == 1);
    CHECK(ok(load.call(4 * kPage - 4)) == 0);
    CHECK(load.call(4 * kPage - 3).error().trap == TrapCode::MemoryOutOfBounds);
  }
}

}  // namespace
}  // namespace vmrun::test
