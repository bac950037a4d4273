// Calls: recursion, tail calls within and between instances, parameters in registers and slots, several results.
#include <atomic>
#include <thread>
#include <tuple>
#include <vector>

#include "tests/support/interp_fixture.h"
#include "tests/support/module_builder.h"
#include "vm/runtime/stop.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

double mix(int32_t a, float b, int64_t c, double d, int32_t e, double f, int64_t g, float h) {
  return a + double{b} + double(c) + d + e + f + double(g) + double{h};
}

Instance calls(World& world) {
  ok(world.linker.func_wrap("env", "mix",
                            [](int32_t a, float b, int64_t c, double d, int32_t e, double f, int64_t g, float h) {
                              return 1000 * mix(a, b, c, d, e, f, g, h);
                            }));
  return world.run("interp_calls", "calls");
}

}  // namespace

TEST_CASE("recursion") {
  for (Effort effort : kEfforts) {
    World world(effort);
    Instance instance = calls(world);
    CHECK(ok(func<int32_t(int32_t)>(instance, "fib").call(22)) == 17711);
    CHECK(ok(func<int32_t(int32_t)>(instance, "depth").call(20000)) == 20000);
  }
}

TEST_CASE("parameters and results keep their places") {
  for (Effort effort : kEfforts) {
    World world(effort);
    Instance instance = calls(world);
    for (int round = 0; round < 500; ++round) {  // long enough to be promoted in between
      double sum = mix(round, 0.5f, -2, 3.25, 4, 5.5, int64_t{1} << 40, 8.5f);
      CHECK(ok(func<double(int32_t, float, int64_t, double, int32_t, double, int64_t, float)>(instance, "mix")
                   .call(round, 0.5f, -2, 3.25, 4, 5.5, int64_t{1} << 40, 8.5f)) == sum + 1000 * sum);
      CHECK(ok(func<double(int32_t, float, int64_t, double, int32_t, double, int64_t, float)>(instance, "tail_host")
                   .call(round, 0.5f, -2, 3.25, 4, 5.5, int64_t{1} << 40, 8.5f)) == 1000 * sum);
      CHECK(ok(func<int32_t(int32_t, int32_t)>(instance, "exchange").call(round, 20)) ==
            (round + 100) * (27 - round - 3));
      CHECK(ok(func<std::tuple<int64_t, double, int32_t>(int32_t, double)>(instance, "three").call(round, 1.5)) ==
            std::tuple<int64_t, double, int32_t>(round, 3.0, round + 1));
      CHECK(ok(func<std::tuple<int32_t, int32_t>(int32_t, int32_t)>(instance, "swap").call(round, 2)) ==
            std::tuple<int32_t, int32_t>(2, round));
      CHECK(ok(func<int32_t(int32_t)>(instance, "vector").call(round)) == round + 4);
    }
  }
}

TEST_CASE("a million tail calls take constant stack") {
  for (Effort effort : kEfforts) {
    StoreLimits limits;
    limits.stack_bytes = 64 << 10;
    World world(effort, false, limits);
    Instance instance = calls(world);
    CHECK(ok(func<int64_t(int64_t, int64_t)>(instance, "count").call(1'000'000, 5)) == 1'000'005);
    world.run("interp_partner");
    // Each call changes the instance, and the caller's must be back afterwards.
    CHECK(ok(func<int32_t(int32_t)>(instance, "ping").call(1'000'000)) == 1);
    CHECK(ok(func<int32_t(int32_t)>(instance, "ping").call(1'000'001)) == 2);
    CHECK(ok(func<int32_t(int32_t)>(instance, "fib").call(10)) == 55);
  }
}

TEST_CASE("a call into another instance restores the caller's memory") {
  for (Effort effort : kEfforts) {
    World world(effort);
    calls(world);
    Instance partner = world.run("interp_partner");
    CHECK(ok(func<int32_t(int32_t)>(partner, "through").call(10)) == 1055);
  }
}

TEST_CASE("endless recursion is a trap, and the store goes on") {
  for (Effort effort : kEfforts) {
    World world(effort);
    Instance instance = calls(world);
    for (int round = 0; round < 3; ++round) {
      Result<int32_t> result = func<int32_t(int32_t)>(instance, "endless").call(1);
      REQUIRE_FALSE(result);
      CHECK(result.error().trap == TrapCode::StackOverflow);
      CHECK(result.error().backtrace.size() > 10);
      CHECK(result.error().backtrace[0].function == "endless");
      CHECK(ok(func<int32_t(int32_t)>(instance, "fib").call(10)) == 55);
    }
  }
}

TEST_CASE("promotion translates what is hot, and only that") {
  World world(Effort::Auto);
  ok(world.linker.func_wrap("env", "mix",
                            [](int32_t, float, int64_t, double, int32_t, double, int64_t, float) { return 0.0; }));
  Module module = world.load("interp_calls");
  Instance instance = ok(world.linker.instantiate(world.store, module));
  CHECK(module.translation_stats().quick_functions == 0);
  CHECK(ok(func<int32_t(int32_t)>(instance, "fib").call(2)) == 1);
  CHECK(module.translation_stats().quick_functions == 1);
  CHECK(module.translation_stats().careful_functions == 0);
  CHECK(ok(func<int32_t(int32_t)>(instance, "fib").call(20)) == 6765);
  CHECK(module.translation_stats().quick_functions == 1);
  CHECK(module.translation_stats().careful_functions == 1);
}

TEST_CASE("stores on several threads translate and promote the same functions") {
  for (int round = 0; round < 10; ++round) {
    Engine engine(with(Effort::Auto));
    Module module = ok(Module::compile_file(engine, VMRUN_FIXTURES "/interp_calls.wasm"));
    std::atomic<int> waiting{4}, right{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        Store store(engine);
        Linker linker(engine);
        linker.unknown_imports_trap(true);
        Result<Instance> instance = linker.instantiate(store, module);
        if (!instance) return;
        auto fib = instance->func("fib")->typed<int32_t(int32_t)>();
        auto depth = instance->func("depth")->typed<int32_t(int32_t)>();
        --waiting;
        while (waiting > 0) std::this_thread::yield();
        Result<int32_t> a = fib->call(18), b = depth->call(3000);
        if (a && b && *a == 2584 && *b == 3000) ++right;
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(right == 4);
    CHECK(module.translation_stats().quick_functions == 2);
  }
}

namespace {

/// "f0" to "f7": calls the host function "ask", then by index 1 "add" with some arguments computed before. The index lies
/// in one virtual register or another.
spine::Bytes indirect_after_ask() {
  spine::ModuleBuilder m;
  const uint32_t ask = m.import("ask", m.type({}, {}));
  const uint32_t add = m.import("add", m.type({spine::i32, spine::i32, spine::i32}, {spine::i32}));
  const uint32_t one = m.type({spine::i32}, {spine::i32});
  m.element(ask), m.element(add);
  for (uint32_t live = 0; live < 8; ++live) {
    const uint32_t f = m.func("f" + std::to_string(live), one);
    spine::Code c;
    c.call(ask);
    for (uint32_t i = 0; i < live; ++i) c.get(0).i32_const(static_cast<int32_t>(i)).i32_add();
    for (int32_t i = 0; i < 3; ++i) c.get(0).i32_const(i).i32_sub();
    c.get(0).i32_const(-6).i32_add().call_indirect(m.type({spine::i32, spine::i32, spine::i32}, {spine::i32}));
    for (uint32_t i = 0; i < live; ++i) c.i32_add();
    m.define(f, c);
  }
  return m.build();
}

}  // namespace

TEST_CASE("a call whose callee is known already when the guest is asked to stop is made all the same") {
  for (Effort effort : kEfforts) {
    World world(effort);
    vm::set_request_server(vm::Request::yield, [](vm::Vcpu&) {});
    ok(world.linker.func_wrap("env", "ask", [](Caller& caller) { vm::ask(caller.vcpu(), vm::Request::yield); }));
    ok(world.linker.func_wrap("env", "add", [](int32_t a, int32_t b, int32_t c) { return a + b + c; }));
    Instance instance =
        ok(world.linker.instantiate(world.store, ok(Module::compile(world.engine, indirect_after_ask(), "calls"))));
    for (int live = 0; live < 8; ++live) {
      CAPTURE(live);
      const auto f = func<int32_t(int32_t)>(instance, ("f" + std::to_string(live)).c_str());
      CHECK(ok(f.call(7)) == 7 + 6 + 5 + live * 7 + live * (live - 1) / 2);
    }
    vm::set_request_server(vm::Request::yield, nullptr);
  }
}
