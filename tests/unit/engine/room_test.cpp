// Guests whose VM stack and memory lie beside their task's stack: they are stopped at the same limits as elsewhere, and
// leave nothing to one another.
#include "vm/runtime/room.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "engine/guest_task.h"
#include "tests/unit/engine/fixture.h"
#include "vm/runtime/store.h"
#include "vmrun/executor.h"

namespace vmrun::test {
namespace {

constexpr Tiers kTiers[] = {Tiers::Interp, Tiers::Baseline, Tiers::Opt};

/// What engine_basic imports, for any store.
Linker basic_linker(const Engine& engine) {
  Linker linker(engine);
  ok(linker.func_wrap("env", "add", [](int32_t a, int32_t b) { return a + b; }));
  ok(linker.func_wrap("env", "note", [](int64_t, double) {}));
  ok(linker.func_wrap("env", "again", [](Caller& caller, int32_t n) -> Result<int32_t> {
    if (n == 0) return 0;
    Result<int32_t> below = ok(ok(caller.instance().func("nested")).typed<int32_t(int32_t)>()).call(n - 1);
    if (!below) return below.error();
    return *below + 1;
  }));
  return linker;
}

Executor executor_of(size_t stack_bytes) {
  ExecutorConfig config;
  config.workers = 1;
  config.stack_bytes = stack_bytes;
  return ok(Executor::create(config));
}

/// Whether the store's VM stack is right above the stack of the running task.
bool has_room(const Store& store) {
  const std::byte* base = store.impl().vcpu().stack_base;
  const sched::StackBounds stack = sched::stack_bounds();
  return base >= stack.high && base < stack.high + 4096;
}

}  // namespace

TEST_CASE("guests in rooms trap by name where stacks and memories end, and the next one finds nothing of them") {
  for (Tiers tiers : kTiers) {
    for (bool dense : {true, false}) {
      CAPTURE(static_cast<int>(tiers));
      CAPTURE(dense);
      Config config;
      config.tiers = tiers;
      config.dense_memory = dense;
      Engine engine(config);
      const Module module = load(engine, "engine_basic");
      const Linker linker = basic_linker(engine);
      Executor executor = executor_of(size_t{512} << 10);
      for (int round = 0; round < 3; ++round) {
        Store store(engine);
        int done = 0;
        ok(executor.spawn(store, [&] {
          CHECK(has_room(store));
          Instance instance = ok(linker.instantiate(store, module));
          const auto call = [&](const char* name, int32_t n) {
            return ok(ok(instance.func(name)).typed<int32_t(int32_t)>()).call(n);
          };
          Memory memory = ok(instance.memory("memory"));
          std::span<std::byte> bytes = memory.data();
          CHECK(std::ranges::all_of(bytes.subspan(16), [](std::byte b) { return b == std::byte{0}; }));
          if (dense) {
            const vm::Vcpu& cx = store.impl().vcpu();
            CHECK(bytes.data() > reinterpret_cast<const std::byte*>(cx.area));
            CHECK(bytes.data() < reinterpret_cast<const std::byte*>(cx.area) + (1 << 20));
          }
          std::ranges::fill(bytes, std::byte{0xaa});
          CHECK(call("load", 65536 - 4));
          for (int32_t beyond : {65536 - 3, 65536, -1}) {
            CHECK(call("load", beyond).error().trap == TrapCode::MemoryOutOfBounds);
          }
          CHECK(call("load_far", 0).error().trap == TrapCode::MemoryOutOfBounds);
          CHECK(ok(call("grow", 1)) == 1);
          CHECK(call("load", 65536 + 100).value_or(-1) == 0);
          CHECK(ok(call("grow", 3)) == -1);
          Result<int32_t> deep = call("down", 0);
          REQUIRE(!deep);
          CHECK(deep.error().trap == TrapCode::StackOverflow);
          CHECK(!deep.error().backtrace.empty());
          CHECK(call("nested", 1'000'000).error().trap == TrapCode::StackOverflow);
          CHECK(call("nested", 10).value_or(-1) == 10);
          ++done;
        })).join();
        CHECK(done == 1);
      }
    }
  }
}

TEST_CASE("a store keeps its room when its task and its executor have ended") {
  Config config;
  config.dense_memory = true;
  Engine engine(config);
  const Module module = load(engine, "engine_basic");
  const Linker linker = basic_linker(engine);
  std::vector<std::unique_ptr<Store>> stores;
  std::vector<Instance> instances;
  {
    Executor executor = executor_of(size_t{256} << 10);
    for (int i = 0; i < 4; ++i) {
      Store& store = *stores.emplace_back(std::make_unique<Store>(engine));
      ok(executor.spawn(store, [&] {
        if (i == 0) CHECK(has_room(store));
        instances.push_back(ok(linker.instantiate(store, module)));
      })).join();
    }
    // On a stack whose room is still taken.
    Store late(engine);
    ok(executor.spawn(late, [&] {
      CHECK(!has_room(late));
      Instance instance = ok(linker.instantiate(late, module));
      CHECK(ok(ok(ok(instance.func("add")).typed<int32_t(int32_t, int32_t)>()).call(2, 3)) == 5);
    })).join();
  }
  for (Instance& instance : instances) {
    CHECK(ok(ok(ok(instance.func("add")).typed<int32_t(int32_t, int32_t)>()).call(2, 3)) == 5);
    CHECK(ok(instance.memory("memory")).data()[8] == std::byte{'h'});
    CHECK(ok(ok(instance.func("down")).typed<int32_t(int32_t)>()).call(0).error().trap == TrapCode::StackOverflow);
  }
}

TEST_CASE("a store whose stack is to be larger than a room has its own") {
  Engine engine;
  const Module module = load(engine, "engine_basic");
  const Linker linker = basic_linker(engine);
  Executor executor = executor_of(size_t{20} << 20);
  const auto room_with = [&](uint64_t stack_bytes) {
    Store store(engine, {.stack_bytes = stack_bytes});
    bool has = false;
    ok(executor.spawn(store, [&] {
      has = has_room(store);
      Instance instance = ok(linker.instantiate(store, module));
      CHECK(ok(ok(instance.func("down")).typed<int32_t(int32_t)>()).call(0).error().trap == TrapCode::StackOverflow);
    })).join();
    return has;
  };
  CHECK(room_with(64 << 10));
  CHECK(room_with(8 << 20));
  CHECK(!room_with(16 << 20));
}

TEST_CASE("an instance that was made before its task runs there, too") {
  Engine engine;
  Store store(engine);
  const Linker linker = basic_linker(engine);
  Instance instance = ok(linker.instantiate(store, load(engine, "engine_basic")));
  Executor executor = executor_of(size_t{256} << 10);
  ok(executor.spawn(store, [&] {
    CHECK(!has_room(store));
    CHECK(ok(ok(ok(instance.func("add")).typed<int32_t(int32_t, int32_t)>()).call(2, 3)) == 5);
    CHECK(ok(ok(instance.func("down")).typed<int32_t(int32_t)>()).call(0).error().trap == TrapCode::StackOverflow);
  })).join();
}

TEST_CASE("a shared memory that is made in a room's task lies elsewhere, and outlives the store") {
  Config config;
  config.dense_memory = true;
  Engine engine(config);
  Executor executor = executor_of(size_t{1} << 20);
  const MemoryType shared{.min = 1, .max = 1, .shared = true}, own{.min = 1, .max = 1};
  std::optional<SharedMemory> kept;
  bool in_room = false;
  {
    Store store(engine);
    ok(executor.spawn(store, [&] {
      in_room = has_room(store);
      kept = ok(Memory::create(store, shared)).shared(store);
      std::ranges::fill(kept->data(), std::byte{7});
    })).join();
  }
  REQUIRE(in_room);
  REQUIRE(kept.has_value());
  for (int i = 0; i < 3; ++i) {
    Store store(engine);
    ok(executor.spawn(store, [&] { std::ranges::fill(ok(Memory::create(store, own)).data(), std::byte{9}); })).join();
  }
  CHECK(std::ranges::all_of(kept->data(), [](std::byte b) { return b == std::byte{7}; }));
}

}  // namespace vmrun::test
