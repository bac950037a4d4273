// What threads have parts of: counts, references, shelves of free memories and stacks, lists of vCPUs.
#include "vm/base/stripe.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "vm/runtime/memory.h"
#include "vm/runtime/shelf.h"
#include "vm/runtime/store.h"
#include "vm/runtime/vcpus.h"

using namespace vmrun;
using namespace vmrun::vm;

namespace {

constexpr MemoryType kOnePage{{1, 1, false}, false, 16};

/// On a thread of its own.
template <class Body>
void elsewhere(Body body) {
  std::thread(body).join();
}

/// Whether a child that does this, and no more, ends.
template <class Body>
bool child_ends(Body body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(5);
    body();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CAPTURE(status);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("a thread keeps its stripe, and threads one after the other have all of them") {
  const size_t mine = stripe();
  CHECK(mine < kStripes);
  std::set<size_t> seen;
  for (size_t i = 0; i < kStripes; ++i) {
    elsewhere([&] {
      seen.insert(stripe());
      CHECK(stripe() < kStripes);
    });
  }
  CHECK(seen.size() == kStripes);
  CHECK(stripe() == mine);
}

TEST_CASE("a striped count is the sum of what all threads added and took away") {
  StripedCount count;
  count.add(5);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) count.add(3);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(count.load() == 24005);
  elsewhere([&] { count.subtract(24000); });  // more than that thread's part has
  CHECK(count.load() == 5);
}

TEST_CASE("references with counts of their own keep a thing alive, and no longer") {
  const auto alive = std::make_shared<int>(7);
  std::weak_ptr<int> thing;
  {
    auto whole = std::make_shared<int>(42);
    thing = whole;
    StripedRef<int> refs(whole);
    whole.reset();
    const std::shared_ptr<int> copy = refs.ref();
    CHECK(copy.use_count() == 2);
    std::weak_ptr<int> weak = copy;  // a count with weak references stays, the thing does not
    refs = {};
    CHECK(*copy == 42);
    CHECK(!thing.expired());
    std::shared_ptr<int> last = copy;
    CHECK(weak.lock() != nullptr);
  }
  CHECK(thing.expired());

  std::weak_ptr<int> weak;
  {
    const std::shared_ptr<int> apart = counted_apart(alive);
    CHECK(alive.use_count() == 2);
    const std::shared_ptr<int> more = apart;
    CHECK(alive.use_count() == 2);  // which is the point of it
    weak = apart;
  }
  CHECK(weak.lock() == nullptr);
  CHECK(alive.use_count() == 1);
}

TEST_CASE("what one thread has put back, another finds before anything is mapped") {
  MemoryPool::Options options;
  options.cached = 1;
  MemoryPool pool(options);
  const std::byte* memory = nullptr;
  const std::byte* stack = nullptr;
  elsewhere([&] {
    MemoryMapping mapping = *pool.acquire(kOnePage, 65536, 65536);
    memory = mapping.base;
    mapping.base[0] = std::byte{1};
    pool.release(mapping);
    std::byte* own = *pool.acquire_stack(1 << 20);
    stack = own;
    pool.release_stack(own, 1 << 20);
  });
  elsewhere([&] {
    const MemoryMapping mapping = *pool.acquire(kOnePage, 65536, 65536);
    CHECK(mapping.base == memory);
    CHECK(mapping.base[0] == std::byte{0});
    pool.release(mapping);
    std::byte* own = *pool.acquire_stack(1 << 20);
    CHECK(own == stack);
    pool.release_stack(own, 1 << 20);
  });
}

TEST_CASE("what threads keep resident is bounded for all of them, and goes at a trim, what they have spare included") {
  MemoryPool::Options options;
  options.most_warm = 20 * 4096;
  MemoryPool pool(options);
  for (size_t thread = 0; thread < 2 * kStripes; ++thread) {
    elsewhere([&] {
      std::array<MemoryMapping, 3> mappings;
      for (MemoryMapping& mapping : mappings) {
        mapping = *pool.acquire(kOnePage, 65536, 65536);
        for (size_t at = 0; at < 65536; at += 4096) mapping.base[at] = std::byte{1};
      }
      for (const MemoryMapping& mapping : mappings) pool.release(mapping);
      CHECK(pool.warm_bytes() <= options.most_warm);
      // Of which this thread's shelf now has some to spare.
      mappings[0] = *pool.acquire(kOnePage, 65536, 65536);
      CHECK(std::all_of(mappings[0].base, mappings[0].base + 65536, [](std::byte b) { return b == std::byte{0}; }));
      CHECK(pool.warm_bytes() <= options.most_warm);
      pool.release(mappings[0]);
    });
  }
  pool.trim();
  CHECK(pool.warm_bytes() == 0);
  // All of it may be used again, by one thread.
  std::vector<MemoryMapping> mappings;
  for (int i = 0; i < 4; ++i) {
    mappings.push_back(*pool.acquire(kOnePage, 65536, 65536));
    for (size_t at = 0; at < 65536; at += 4096) mappings.back().base[at] = std::byte{1};
  }
  for (const MemoryMapping& mapping : mappings) pool.release(mapping);
  DirtyPages dirty;
  std::array<std::byte, 1> here{};
  if (find_dirty(here.data() - reinterpret_cast<uintptr_t>(here.data()) % 4096, 4096, 4096, dirty)) {
    CHECK(pool.warm_bytes() == options.most_warm);
  }
}

TEST_CASE("a walk over all vCPUs finds those of all threads, and each once") {
  auto pool = std::make_shared<MemoryPool>(MemoryPool::Options{});
  auto registry = std::make_shared<TypeRegistry>();
  std::vector<std::unique_ptr<Store>> stores;
  for (size_t i = 0; i < 3 * kStripes; ++i) {
    elsewhere([&] { stores.push_back(std::make_unique<Store>(pool, registry, Store::Limits{})); });
  }
  const auto walk = [] {
    std::multiset<const Vcpu*> found;
    for_each_vcpu([](void* env, VcpuEntry& entry) { static_cast<std::multiset<const Vcpu*>*>(env)->insert(&entry.cx); },
                  &found);
    return found;
  };
  std::multiset<const Vcpu*> found = walk();
  for (const auto& store : stores) CHECK(found.count(&store->vcpu()) == 1);
  const size_t before = found.size();
  std::ranges::reverse(stores);
  stores.resize(stores.size() / 2);  // by another thread than made them
  found = walk();
  CHECK(found.size() == before - stores.size());
  for (const auto& store : stores) CHECK(found.count(&store->vcpu()) == 1);
}

TEST_CASE("a child after fork may destroy its stores, whatever the lists of vCPUs were used for meanwhile") {
  auto pool = std::make_shared<MemoryPool>(MemoryPool::Options{});
  auto store = std::make_unique<Store>(pool, std::make_shared<TypeRegistry>(), Store::Limits{});
  static std::atomic<bool> walks{false};
  walks = false;
  std::jthread walker([&] {
    for_each_vcpu(
        [](void* mine, VcpuEntry& entry) {
          if (&entry.cx != mine) return;
          walks = true;
          std::this_thread::sleep_for(std::chrono::milliseconds(200));
        },
        &store->vcpu());
  });
  while (!walks) std::this_thread::yield();
  CHECK(child_ends([&] { store.reset(); }));
}

TEST_CASE("a child after fork leaves a shelf alone that another thread of its parent was changing") {
  Shelf shelf;
  shelf.hold_at_most(2);
  std::array<std::byte, 1> somewhere{};
  CHECK(shelf.put(FreeStack{somewhere.data(), 4096, FreeStack::Warm}));
  const auto find = [&] {
    shelf.take_from_parent();
    const bool found = shelf.take_stack(4096) != nullptr;
    return found ? 1 : shelf.put(FreeStack{somewhere.data(), 4096, FreeStack::Warm}) ? 2 : 0;
  };
  CHECK(child_ends([&] { _exit(find() == 1 ? 0 : 1); }));
  std::atomic<int> step{0};
  std::jthread other([&] {
    std::lock_guard hold(shelf.lock);
    step = 1;
    while (step == 1) std::this_thread::yield();
  });
  while (step == 0) std::this_thread::yield();
  CHECK(child_ends([&] { _exit(find()); }));
  step = 2;
}
