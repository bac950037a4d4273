// Memories that several stores use: whose they are, what they count for, and what guests on several threads see.
#include <signal.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "tests/unit/engine/fixture.h"
#include "vm/runtime/memory_owner.h"
#include "vm/runtime/store.h"
#include "vmrun/executor.h"

namespace vmrun {
namespace {

using namespace std::chrono_literals;
using test::load;
using test::ok;

MemoryType shared_type(uint64_t min = 1, uint64_t max = 10) { return {.min = min, .max = max, .shared = true}; }

/// A store with an instance over `memory`.
struct User {
  Store store;
  Linker linker;
  Instance instance{nullptr};
  User(const Module& module, const SharedMemory& memory, const StoreLimits& limits = {})
      : store(module.engine(), limits), linker(module.engine()) {
    ok(linker.define("env", "memory", memory));
    instance = ok(linker.instantiate(store, module));
  }
  Result<std::vector<Val>> try_call(const char* name, const std::vector<Val>& args = {}) {
    return ok(instance.func(name)).call(args);
  }
  int32_t call(const char* name, const std::vector<Val>& args = {}) {
    const auto results = ok(try_call(name, args));
    return results.empty() ? 0 : results[0].as_i32();
  }
};

Engine engine_with(bool dense, Tiers tiers = Tiers::Auto) {
  Config config;
  config.dense_memory = dense;
  config.tiers = tiers;
  return Engine(config);
}

TEST_CASE("shared memory: stores see what others write, grow and wait for") {
  for (const bool dense : {false, true}) {
    for (Tiers tiers : {Tiers::Interp, Tiers::Baseline, Tiers::Opt}) {
      const Engine engine = engine_with(dense, tiers);
      const Module module = load(engine, "engine_shared");
      SharedMemory memory = ok(SharedMemory::create(engine, shared_type()));
      User a(module, memory), b(module, memory);
      a.call("store", {Val::i32(8), Val::i32(5)});
      CHECK(b.call("add", {Val::i32(8), Val::i32(2)}) == 5);
      CHECK(a.call("load", {Val::i32(8)}) == 7);
      CHECK(memory.data()[8] == std::byte{7});
      CHECK(b.call("grow", {Val::i32(2)}) == 1);
      CHECK(a.call("size") == 3);
      CHECK(a.call("load", {Val::i32(3 * 65536 - 4)}) == 0);
      CHECK(ok(memory.grow(1)) == 3);
      CHECK(b.call("size") == 4);
      CHECK(b.call("grow", {Val::i32(7)}) == -1);
      // A fault in it is the trap of whoever made it.
      for (User* user : {&a, &b}) {
        const auto beyond = user->try_call("load", {Val::i32(4 * 65536)});
        REQUIRE(!beyond);
        CHECK(beyond.error().trap == TrapCode::MemoryOutOfBounds);
      }
      std::atomic<int32_t> woken{0};
      std::thread waits([&] { woken = 1 + b.call("wait", {Val::i32(16), Val::i32(0), Val::i64(-1)}); });
      while (a.call("notify", {Val::i32(16), Val::i32(1)}) == 0) std::this_thread::yield();
      waits.join();
      CHECK(woken == 1);
      CHECK(a.call("wait", {Val::i32(16), Val::i32(1), Val::i64(-1)}) == 1);
      CHECK(a.call("wait64", {Val::i32(16), Val::i64(0), Val::i64(1000)}) == 2);
    }
  }
}

TEST_CASE("shared memory: the last who keeps it frees it") {
  const Engine engine;
  const Module module = load(engine, "engine_shared");
  std::optional<SharedMemory> memory = ok(SharedMemory::create(engine, shared_type()));
  const std::weak_ptr<vm::MemoryOwner> owner = memory->impl();
  auto a = std::make_unique<User>(module, *memory);
  {
    User b(module, *memory);
    memory.reset();
    b.call("store", {Val::i32(0), Val::i32(1)});
    // From an instance to another store.
    const Memory exported = ok(b.instance.memory("memory"));
    memory = exported.shared(b.store);
    REQUIRE(memory);
    CHECK(exported.shared(a->store));  // a keeps it as well
    Store stranger(engine);
    CHECK(!exported.shared(stranger));
  }
  CHECK(a->call("load", {Val::i32(0)}) == 1);
  memory.reset();
  CHECK(!owner.expired());
  a.reset();
  CHECK(owner.expired());
}

TEST_CASE("shared memory: what it is not") {
  const Engine engine, other;
  const auto unshared = SharedMemory::create(engine, {.min = 1, .max = 2});
  REQUIRE(!unshared);
  CHECK(unshared.error().kind == ErrorKind::Usage);
  const auto unbounded = SharedMemory::create(engine, {.min = 1, .shared = true});
  REQUIRE(!unbounded);
  CHECK(unbounded.error().kind == ErrorKind::Usage);
  const auto large = SharedMemory::create(engine, shared_type(2, 10), 65536);
  REQUIRE(!large);
  CHECK(large.error().kind == ErrorKind::Limit);
  SharedMemory limited = ok(SharedMemory::create(engine, shared_type(), 3 << 16));
  CHECK(limited.grow(2));
  CHECK(!limited.grow(1));

  // Of another engine.
  const SharedMemory memory = ok(SharedMemory::create(engine, shared_type()));
  Store foreign(other);
  CHECK(!memory.in(foreign));
  Linker linker(other);
  ok(linker.define("env", "memory", memory));
  const auto linked = linker.instantiate(foreign, load(other, "engine_shared"));
  REQUIRE(!linked);
  CHECK(linked.error().kind == ErrorKind::Usage);

  // A memory is another store's until it is brought in.
  Store first(engine), second(engine);
  const Module module = load(engine, "engine_shared");
  const Memory handle = ok(memory.in(first));
  CHECK(ok(memory.in(first)) == handle);
  const Extern import = handle;
  CHECK(Instance::instantiate(first, module, {&import, 1}));
  const auto refused = Instance::instantiate(second, module, {&import, 1});
  REQUIRE(!refused);
  CHECK(refused.error().kind == ErrorKind::Link);
  ok(memory.in(second));
  CHECK(Instance::instantiate(second, module, {&import, 1}));
}

TEST_CASE("stores beside each other have one limit, and one's memory outlives it") {
  const Engine engine;
  StoreLimits limits;
  limits.memory_bytes = 10 << 16;
  auto first = std::make_unique<Store>(engine, limits);
  int data = 0;
  first->set_data(&data);
  const std::unique_ptr<Store> second = Store::beside(*first);
  CHECK(second->data() == &data);
  Memory own = ok(Memory::create(*second, {.min = 4, .max = 100}));
  Memory shared = ok(Memory::create(*first, shared_type(4, 100)));
  CHECK(first->memory_bytes() == 8 << 16);
  CHECK(!own.grow(3));
  CHECK(own.grow(1));
  const SharedMemory kept = *shared.shared(*first);
  Memory again = ok(kept.in(*second));
  first.reset();
  CHECK(second->memory_bytes() == 9 << 16);
  CHECK(again.grow(1));
  CHECK(!again.grow(1));
  CHECK(second->peak_memory_bytes() == 10 << 16);
}

TEST_CASE("stores beside each other have one limit for tables and for exceptions, too") {
  const Engine engine;
  StoreLimits limits;
  limits.table_elements = 100;
  limits.exception_bytes = 1000;
  Store first(engine, limits);
  std::unique_ptr<Store> second = Store::beside(first);
  const TableType type{.min = 60};
  const Val null = Val::null(HeapKind::Func);
  Table table = ok(Table::create(first, type, null));
  CHECK(!Table::create(*second, type, null));
  CHECK(table.grow(40, null));
  CHECK(!table.grow(1, null));
  CHECK(first.impl().budget()->exception_bytes.limit() == 1000);
  CHECK(first.impl().budget() == second->impl().budget());
}

TEST_CASE("an access that meets another thread's growth traps or succeeds, and the process goes on handling faults") {
  constexpr uint64_t kPages = 10;
  for (Tiers tiers : {Tiers::Interp, Tiers::Baseline, Tiers::Opt}) {
    const Engine engine = engine_with(false, tiers);
    const Module module = load(engine, "engine_shared");
    struct sigaction before = {}, after = {};
    sigaction(SIGSEGV, nullptr, &before);
    for (int round = 0; round < 300; ++round) {
      const SharedMemory memory = ok(SharedMemory::create(engine, shared_type(1, kPages)));
      User grows(module, memory), reads(module, memory);
      std::atomic<bool> wrong{false};
      std::thread reader([&] {
        for (uint64_t page = 1; page < kPages;) {  // always the page that comes next
          const auto got = reads.try_call("load", {Val::i32(static_cast<int32_t>(page << 16))});
          page += got ? 1 : 0;
          wrong = wrong || (!got && got.error().trap != TrapCode::MemoryOutOfBounds);
        }
      });
      for (uint64_t page = 1; page < kPages; ++page) grows.call("grow", {Val::i32(1)});
      reader.join();
      CHECK(!wrong);
    }
    sigaction(SIGSEGV, nullptr, &after);
    const bool same = before.sa_sigaction == after.sa_sigaction;
    REQUIRE(same);
  }
}

TEST_CASE("a linker makes the shared memories that an image imports") {
  const Engine engine;
  const Module module = load(engine, "engine_shared");
  Store store(engine);
  Linker linker(engine);
  ok(linker.add_shared_memories(store, module));
  ok(linker.add_shared_memories(store, module));  // it is there
  const Instance instance = ok(linker.instantiate(store, module));
  const auto second = Store::beside(store);
  const Instance other = ok(linker.instantiate(*second, module));
  CHECK(ok(instance.memory("memory")) == ok(other.memory("memory")));
  StoreLimits limits;
  limits.memory_bytes = 1000;
  Store small(engine, limits);
  const auto refused = Linker(engine).add_shared_memories(small, module);
  REQUIRE(!refused);
  CHECK(refused.error().kind == ErrorKind::Limit);
}

TEST_CASE("litmus: two guests in tasks, and on threads") {
  for (Tiers tiers : {Tiers::Interp, Tiers::Baseline, Tiers::Opt}) {
    const Engine engine = engine_with(false, tiers);
    const Module module = load(engine, "engine_shared");
    for (const char* name : {"store_buffering", "message_passing", "coherence"}) {
      CAPTURE(name);
      // The first two spin, so where they have one processor a slice of time ends each round.
      for (unsigned workers : {0u, 1u, 2u, 8u}) {
        CAPTURE(workers);
        const int32_t rounds = name == std::string_view("coherence") ? 100'000 : workers == 1 ? 20 : 300;
        const SharedMemory memory = ok(SharedMemory::create(engine, shared_type()));
        User first(module, memory), second(module, memory);
        int32_t forbidden[2] = {-1, -1};
        const auto run = [&](User& user, int32_t which) {
          forbidden[which] = user.call(name, {Val::i32(which), Val::i32(rounds)});
        };
        if (workers == 0) {
          std::thread other([&] { run(second, 1); });
          run(first, 0);
          other.join();
        } else {
          ExecutorConfig config;
          config.workers = workers;
          config.slice = 500us;
          Executor executor = ok(Executor::create(config));
          ok(executor.spawn(first.store, [&] { run(first, 0); }));
          ok(executor.spawn(second.store, [&] { run(second, 1); }));
          executor.wait_idle();
        }
        CHECK(forbidden[0] == 0);
        CHECK(forbidden[1] == 0);
      }
    }
  }
}

TEST_CASE("wait and notify over tasks: each notify wakes as many as it says") {
  const Engine engine;
  const Module module = load(engine, "engine_shared");
  for (unsigned workers : {1u, 2u, 8u}) {
    ExecutorConfig config;
    config.workers = workers;
    Executor executor = ok(Executor::create(config));
    const SharedMemory memory = ok(SharedMemory::create(engine, shared_type()));
    std::vector<std::unique_ptr<User>> users;
    std::atomic<int> woken{0}, failed{0};
    constexpr int kUsers = 30;
    for (int i = 0; i < kUsers; ++i) {
      users.push_back(std::make_unique<User>(module, memory));
      ok(executor.spawn(users.back()->store, [&, user = users.back().get()] {
        ++(user->call("wait", {Val::i32(32), Val::i32(0), Val::i64(-1)}) == 0 ? woken : failed);
      }));
    }
    User notifier(module, memory);
    int told = 0;
    while (told < kUsers) {
      const int32_t now = notifier.call("notify", {Val::i32(32), Val::i32(3)});
      CHECK((now >= 0 && now <= 3));
      told += now;
    }
    executor.wait_idle();
    CHECK(woken == kUsers);
    CHECK(failed == 0);
    CHECK(notifier.call("notify", {Val::i32(32), Val::i32(-1)}) == 0);
  }
}

}  // namespace
}  // namespace vmrun
