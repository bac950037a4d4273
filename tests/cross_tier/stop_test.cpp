// Stopping guests that are hardly ever in code that a signal can stop: loops of calls to the host and of what the
// runtime does for them. A stop is served where the host or the runtime returns, so it comes at once and costs no storm
// of signals, however long the host takes and however often somebody asks.
#include <atomic>
#include <chrono>
#include <thread>

#include "jit/stop/preempt.h"
#include "tests/support/tiers_world.h"

namespace vmrun::spine {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr vm::Tier kAll[] = {vm::Tier::interp, vm::Tier::baseline, vm::Tier::opt};

/// `spin` calls `import` for ever and adds up what it returns.
Bytes calls_host(const char* import) {
  ModuleBuilder m;
  const uint32_t host = m.import(import, m.type({}, {i32}));
  const uint32_t spin = m.func("spin", m.type({}, {}));
  m.define(spin, Code().loop().call(host).get(0).i32_add().set(0).br(0).end(), {i32});
  return m.build();
}

/// `spin` does for ever what the runtime does: one case each.
Bytes calls_runtime(unsigned what) {
  ModuleBuilder m;
  const uint32_t tag = m.tag(m.type({}, {}));
  const uint32_t spin = m.func("spin", m.type({}, {}));
  m.element(spin);
  Code c;
  c.loop();
  switch (what) {
    case 0:  // throws and catches
      c.block().try_table(-64, 0, tag, 0).throw_(tag).end().end();
      break;
    case 1:  // memory.fill
      c.i32_const(0).i32_const(7).i32_const(65536).op({0xfc, 11, 0});
      break;
    case 2:  // memory.grow by nothing
      c.i32_const(0).op({0x40, 0}).drop();
      break;
    case 3:  // table.copy
      c.i32_const(0).i32_const(0).i32_const(1).op({0xfc, 14, 0, 0});
      break;
  }
  c.br(0).end();
  m.define(spin, c);
  return m.build();
}

/// `spin` calls `import`, which throws what `thrower` does, and comes to its end: in a try that catches that (0), in one
/// that does not (1), or in none (2).
Bytes calls_thrower(const char* import, unsigned what) {
  ModuleBuilder m;
  const uint32_t host = m.import(import, m.type({}, {}));
  const uint32_t tag = m.tag(m.type({}, {})), other = m.tag(m.type({}, {}));
  const uint32_t spin = m.func("spin", m.type({}, {})), thrower = m.func("thrower", m.type({}, {}));
  Code c;
  if (what == 2) {
    c.call(host);
  } else {
    c.block().try_table(-64, 0, what == 0 ? tag : other, 0).call(host).end().end();
  }
  m.define(spin, c);
  m.define(thrower, Code().throw_(tag));
  return m.build();
}

struct Spinner {
  World world;
  std::optional<Module> module;
  std::optional<Instance> instance;

  void prepare(const Bytes& image, vm::Tier tier) {
    module.emplace(world.compile(image));
    const uint32_t spin = module->impl()->imported_funcs;
    World::promote(*module, spin, tier);
    instance.emplace(ok(world.linker.instantiate(world.store, *module)));
  }
  /// Whether the guest runs, or has run. Any thread.
  bool begun() {
    const auto runs = World::runs(*module, module->impl()->imported_funcs);
    return runs[0] + runs[1] + runs[2] != 0;
  }
  Result<std::vector<Val>> run() { return ok(instance->func("spin")).call({}); }
  Result<std::vector<Val>> run(const Bytes& image, vm::Tier tier) {
    prepare(image, tier);
    return run();
  }
  void check(const Result<std::vector<Val>>& result, vm::Tier tier) {
    REQUIRE_FALSE(result);
    CHECK(result.error().trap == TrapCode::Interrupted);
    const uint32_t spin = module->impl()->imported_funcs;
    REQUIRE(result.error().backtrace.size() == 1);
    CHECK(result.error().backtrace[0].func_index == spin);
    CHECK(result.error().backtrace[0].offset != 0);
    const auto runs = World::runs(*module, spin);
    for (unsigned t = 0; t < vm::kTiers; ++t) CHECK(runs[t] == (t == static_cast<unsigned>(tier) ? 1 : 0));
  }
};

TEST_CASE("spine: stop: a host function that asks its guest to end is its last") {
  for (vm::Tier tier : kAll) {
    CAPTURE(std::string(vm::to_string(tier)));
    Spinner s;
    int calls = 0;
    ok(s.world.linker.func_wrap("env", "ask", [&] {
      if (++calls == 100) s.world.store.interrupt();
      return 1;
    }));
    s.check(s.run(calls_host("ask"), tier), tier);
    CHECK(calls == 100);
  }
}

TEST_CASE("spine: stop: an exception that is on its way when its guest is to end does not land") {
  for (vm::Tier tier : kAll) {
    for (unsigned what = 0; what < 3; ++what) {
      CAPTURE(std::string(vm::to_string(tier)));
      CAPTURE(what);
      Spinner s;
      ok(s.world.linker.func_wrap("env", "fail", [&]() -> Result<void> {
        const auto thrown = ok(s.instance->func("thrower")).call();
        REQUIRE_FALSE(thrown);
        CHECK(thrown.error().kind == ErrorKind::Exception);
        s.world.store.interrupt();
        return thrown.error();
      }));
      s.check(s.run(calls_thrower("fail", what), tier), tier);
      // The store is as good as before.
      const auto after = ok(s.instance->func("thrower")).call();
      REQUIRE_FALSE(after);
      CHECK(after.error().kind == ErrorKind::Exception);
    }
  }
}

TEST_CASE("spine: stop: somebody who asks again and again does not keep the guest from ending") {
  for (vm::Tier tier : kAll) {
    CAPTURE(std::string(vm::to_string(tier)));
    Spinner s;
    std::atomic<bool> inside{false}, over{false};
    ok(s.world.linker.func_wrap("env", "work", [&] {
      inside = true;
      const auto until = Clock::now() + 200us;
      while (Clock::now() < until) {
      }
      return 1;
    }));
    std::thread asker([&] {
      while (!inside) std::this_thread::yield();
      while (!over) s.world.store.interrupt(), std::this_thread::sleep_for(20us);
    });
    const auto result = s.run(calls_host("work"), tier);
    over = true;
    asker.join();
    s.check(result, tier);
  }
}

TEST_CASE("spine: stop: a host function that takes long gets few signals") {
  for (vm::Tier tier : kAll) {
    CAPTURE(std::string(vm::to_string(tier)));
    Spinner s;
    int calls = 0;
    ok(s.world.linker.func_wrap("env", "sleep", [&] {
      ++calls;
      s.world.store.interrupt();
      const auto until = Clock::now() + 100ms;
      while (Clock::now() < until) {
      }
      return 1;
    }));
    const uint64_t before = jit::preempt_counts().signals;
    const auto start = Clock::now();
    s.check(s.run(calls_host("sleep"), tier), tier);
    CHECK(calls == 1);
    // They come at doubling distances up to 5 ms: a bound by the time it took, however busy the machine is.
    CHECK(jit::preempt_counts().signals - before < 20 + static_cast<uint64_t>((Clock::now() - start) / 5ms));
  }
}

TEST_CASE("spine: stop: loops that are nearly always in the runtime") {
  for (vm::Tier tier : kAll) {
    for (unsigned what = 0; what < 4; ++what) {
      CAPTURE(std::string(vm::to_string(tier)));
      CAPTURE(what);
      Spinner s;
      s.prepare(calls_runtime(what), tier);
      std::thread asker([&] {
        while (!s.begun()) std::this_thread::yield();
        std::this_thread::sleep_for(10ms);
        s.world.store.interrupt();
      });
      const auto result = s.run();
      asker.join();
      s.check(result, tier);
    }
  }
}

}  // namespace
}  // namespace vmrun::spine
