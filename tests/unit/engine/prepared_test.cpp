// Prepared modules: imports found once, for many stores.
#include <memory>
#include <optional>
#include <thread>

#include "engine/engine_impl.h"
#include "tests/unit/engine/fixture.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

/// What engine_basic imports.
void define_all(Linker& linker) {
  ok(linker.func_wrap("env", "add", [](int32_t a, int32_t b) { return a + b; }));
  ok(linker.func_wrap("env", "note", [](int64_t, double) {}));
  ok(linker.func_wrap("env", "again", [](int32_t n) { return n; }));
}

}  // namespace

TEST_CASE("a prepared module has instances in any number of stores, whatever becomes of its linker") {
  Engine engine;
  std::optional<Prepared> prepared;
  {
    Linker linker(engine);
    define_all(linker);
    prepared = ok(linker.prepare(load(engine, "engine_basic")));
    linker.allow_shadowing(true);
    ok(linker.func_wrap("env", "add", [](int32_t, int32_t) { return 0; }));
  }
  for (int i = 0; i < 3; ++i) {
    Store store(engine);
    for (int j = 0; j < 2; ++j) {
      Instance instance = ok(prepared->instantiate(store));
      CHECK(instance.module().impl() == prepared->module().impl());
      CHECK(ok(ok(ok(instance.func("nested")).typed<int32_t(int32_t)>()).call(7)) == 7);
    }
  }
  std::vector<std::jthread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, own = *prepared] {
      for (int n = 0; n < 50; ++n) {
        Store store(engine);
        right += own.instantiate(store).ok();
      }
    });
  }
  threads.clear();
  CHECK(right == 200);
}

TEST_CASE("preparing names what is missing, and what belongs to a store") {
  Engine engine;
  Linker linker(engine);
  const Module module = load(engine, "engine_basic");
  const Result<Prepared> missing = linker.prepare(module);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind == ErrorKind::Link);
  CHECK(missing.error().message.find("env.again") != std::string::npos);

  Store store(engine);
  define_all(linker);
  linker.allow_shadowing(true);
  const Func own = ok(Func::wrap(store, [](int32_t a, int32_t b) { return a - b; }));
  ok(linker.define("env", "add", own, store));
  const Result<Prepared> held = linker.prepare(module);
  REQUIRE_FALSE(held);
  CHECK(held.error().kind == ErrorKind::Link);
  CHECK(held.error().message.find("env.add belongs to a store") != std::string::npos);
}

TEST_CASE("a prepared module's unknown imports trap, if the linker's do") {
  Engine engine;
  Linker linker(engine);
  linker.unknown_imports_trap(true);
  const Prepared prepared = ok(linker.prepare(load(engine, "engine_basic")));
  Store store(engine);
  Instance instance = ok(prepared.instantiate(store));
  const auto called = ok(instance.func("nested")).call({Val::i32(1)});
  REQUIRE_FALSE(called);
  CHECK(called.error().message == "unknown import called: env.again");
}

TEST_CASE("a prepared module is refused by a store of another engine, and by a function of another type") {
  Engine engine, other;
  Linker linker(engine);
  define_all(linker);
  const Prepared prepared = ok(linker.prepare(load(engine, "engine_basic")));
  Store store(other);
  const Result<Instance> foreign = prepared.instantiate(store);
  REQUIRE_FALSE(foreign);
  CHECK(foreign.error().kind == ErrorKind::Usage);
  CHECK_FALSE(linker.prepare(load(other, "engine_basic")));

  linker.allow_shadowing(true);
  ok(linker.func_wrap("env", "add", [](double a) { return a; }));
  Store own(engine);
  const Result<Instance> incompatible = ok(linker.prepare(load(engine, "engine_basic"))).instantiate(own);
  REQUIRE_FALSE(incompatible);
  CHECK(incompatible.error().kind == ErrorKind::Link);
}

TEST_CASE(
    "what an engine has lives as long as a store or a prepared module of it, and no longer, whichever goes last") {
  std::weak_ptr<vm::MemoryPool> pool;
  auto token = std::make_shared<int>(1);
  {
    std::optional<Prepared> prepared;
    std::optional<Store> last;
    {
      Engine engine;
      pool = engine.impl()->pool;
      Linker linker(engine);
      define_all(linker);
      linker.allow_shadowing(true);
      ok(linker.func_wrap("env", "add", [token](int32_t a, int32_t b) { return a + b + *token - 1; }));
      prepared = ok(linker.prepare(load(engine, "engine_basic")));
    }
    const Engine engine = prepared->module().engine();
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        Store store(engine);
        Instance instance = ok(prepared->instantiate(store));
        CHECK(ok(ok(ok(instance.func("nested")).typed<int32_t(int32_t)>()).call(7)) == 7);
      });
    }
    threads.clear();
    Store store(engine);
    ok(prepared->instantiate(store));
    last.emplace(store.engine());  // as from any other handle
    ok(prepared->instantiate(*last));
    prepared.reset();
    CHECK(token.use_count() > 1);
    CHECK(!pool.expired());
    CHECK(last->engine().config().cached_memories == Config{}.cached_memories);
  }
  CHECK(token.use_count() == 1);
  CHECK(pool.expired());
}

TEST_CASE("a store keeps an engine whose handles have gone, and more stores come from it") {
  std::weak_ptr<vm::MemoryPool> pool;
  {
    std::optional<Engine> engine(std::in_place);
    pool = engine->impl()->pool;
    Store first(*engine);
    engine.reset();
    Store second(first.engine());
    Store third(second.engine());
    CHECK(third.engine().impl()->pool == pool.lock());
  }
  CHECK(pool.expired());
}
