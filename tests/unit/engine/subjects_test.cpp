// The subjects of the standard C API's examples (tests/capi/ has them in C), as a program on the C++ API writes them.
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/engine/fixture.h"
#include "vmrun/executor.h"

namespace vmrun {
namespace {

using test::load;
using test::ok;
using namespace std::chrono_literals;

struct World {
  Engine engine;
  Store store{engine};
};

TEST_CASE("subject hello: a guest calls a function of the host") {
  World world;
  int hellos = 0;
  Linker linker(world.engine);
  ok(linker.func_wrap("", "hello", [&] { ++hellos; }));
  const Instance instance = ok(linker.instantiate(world.store, load(world.engine, "capi_hello")));
  ok(ok(ok(instance.func("run")).typed<void()>()).call());
  CHECK(hellos == 1);
}

TEST_CASE("subject callback: closures are callables, typed or dynamic") {
  World world;
  int printed = 0;
  int number = 41;
  Linker linker(world.engine);
  ok(linker.func("host", "print", {{ValKind::I32}, {ValKind::I32}},
                 [&](Caller&, std::span<const Val> args, std::span<Val> results) -> Result<void> {
                   printed = args[0].as_i32();
                   results[0] = args[0];
                   return {};
                 }));
  ok(linker.func_wrap("host", "closure", [number]() mutable { return ++number; }));
  const Instance instance = ok(linker.instantiate(world.store, load(world.engine, "capi_callback")));
  CHECK(*ok(ok(instance.func("run")).typed<int32_t(int32_t, int32_t)>()).call(3, 4) == 49);
  CHECK(printed == 7);
}

TEST_CASE("subject finalize: what a host function owns goes with its store") {
  auto owned = std::make_shared<int>(1);
  {
    World world;
    Linker linker(world.engine);
    ok(linker.func_wrap("", "hello", [keep = owned] { CHECK(*keep == 1); }));
    for (int i = 0; i < 100; ++i) (void)ok(linker.instantiate(world.store, load(world.engine, "capi_hello")));
    CHECK(owned.use_count() > 1);
  }
  CHECK(owned.use_count() == 1);
}

TEST_CASE("subject global: one global, seen by the host and two instances") {
  World world;
  Global var = ok(Global::create(world.store, {ValKind::F32, true}, Val::f32(2)));
  const Global constant = ok(Global::create(world.store, {ValKind::I64, false}, Val::i64(5)));
  const Module module = load(world.engine, "capi_global");
  const Extern imports[] = {constant, var};
  const Instance one = ok(Instance::instantiate(world.store, module, imports));
  const Instance two = ok(Instance::instantiate(world.store, module, imports));
  CHECK(ok(one.global("var again")) == var);
  ok(ok(ok(one.func("set var")).typed<void(float)>()).call(73));
  CHECK(*ok(ok(two.func("get var")).typed<float()>()).call() == 73);
  CHECK(var.get().as_f32() == 73);
  ok(var.set(Val::f32(9)));
  CHECK(*ok(ok(two.func("get var")).typed<float()>()).call() == 9);
  Global fixed = constant;
  CHECK(fixed.set(Val::i64(6)).error().kind == ErrorKind::Usage);
}

TEST_CASE("subject hostref: a pointer of the host's goes through guests and tables") {
  World world;
  Linker linker(world.engine);
  ok(linker.func("host", "give", {{ValType::externref()}, {ValType::externref()}},
                 [](Caller&, std::span<const Val> args, std::span<Val> results) -> Result<void> {
                   results[0] = args[0];
                   return {};
                 }));
  const Instance instance = ok(linker.instantiate(world.store, load(world.engine, "capi_hostref")));
  int thing = 0;
  const Val ref = Val::externref(world.store, &thing);
  CHECK(ok(ok(instance.func("through")).call({ref}))[0].extern_ptr() == &thing);
  CHECK(ok(ok(instance.func("through")).call({Val::null(HeapKind::Extern)}))[0].is_null());
  Table table = ok(instance.table("table"));
  ok(table.set(3, ref));
  CHECK(ok(ok(instance.func("table get")).call({Val::i32(3)}))[0].extern_ptr() == &thing);
  const Func through = ok(instance.func("func through"));
  CHECK(ok(through.call({Val::func(through)}))[0].as_ref() == Ref::of(through.impl()));
}

TEST_CASE("subject memory: bytes that both see, growth, addresses beyond the end") {
  World world;
  const Instance instance = ok(Instance::instantiate(world.store, load(world.engine, "capi_memory"), {}));
  Memory memory = ok(instance.memory("memory"));
  auto load_byte = ok(ok(instance.func("load")).typed<int32_t(int32_t)>());
  std::byte* const base = memory.data().data();
  CHECK(*load_byte.call(0x1000) == 1);
  memory.data()[0x1003] = std::byte{5};
  CHECK(*load_byte.call(0x1003) == 5);
  CHECK(load_byte.call(0x20000).error().trap == TrapCode::MemoryOutOfBounds);
  CHECK(ok(memory.grow(1)) == 2);
  CHECK(memory.data().data() == base);
  CHECK(*load_byte.call(0x20000) == 0);
  CHECK(memory.grow(1).error().kind == ErrorKind::Limit);
  CHECK(memory.range(0x2fffe, 3).data() == nullptr);
}

TEST_CASE("subject multi: several results are a tuple") {
  World world;
  Linker linker(world.engine);
  using Back = std::tuple<double, float, int64_t, int32_t>;
  ok(linker.func_wrap("host", "f", [](int32_t a, int64_t b, float c, double d) { return Back(d, c, b, a); }));
  const Instance instance = ok(linker.instantiate(world.store, load(world.engine, "capi_multi")));
  auto g = ok(ok(instance.func("g")).typed<Back(int32_t, int64_t, float, double)>());
  CHECK(*g.call(1, 2, 3, 4) == Back(4, 3, 2, 1));
}

TEST_CASE("subject reflect: types of imports and exports") {
  World world;
  const Module module = load(world.engine, "capi_reflect");
  const std::vector<ImportType> imports = module.imports();
  REQUIRE(imports.size() == 1);
  CHECK(imports[0].module == "env");
  CHECK(imports[0].type.to_string() == "(func (param i64))");
  const std::map<std::string, std::string> wanted{{"func", "(func (param i32 f64 f32) (result i32))"},
                                                  {"global", "(global (mut f64))"},
                                                  {"table", "(table 0 50 externref)"},
                                                  {"memory", "(memory 1)"},
                                                  {"refs", "(func (param funcref externref) (result v128))"}};
  CHECK(module.exports().size() == wanted.size());
  for (const ExportType& item : module.exports()) CHECK(item.type.to_string() == wanted.at(item.name));
}

TEST_CASE("subject start: a trap in the start function is the instantiation's error") {
  World world;
  const Result<Instance> made = Instance::instantiate(world.store, load(world.engine, "capi_start"), {});
  REQUIRE(!made);
  CHECK(made.error().trap == TrapCode::Unreachable);
  CHECK(made.error().backtrace.size() == 1);
}

TEST_CASE("subject table: functions that come and go") {
  World world;
  const Instance instance = ok(Instance::instantiate(world.store, load(world.engine, "capi_table"), {}));
  Table table = ok(instance.table("table"));
  auto call = ok(ok(instance.func("call")).typed<int32_t(int32_t, int32_t)>());
  CHECK(call.call(7, 0).error().trap == TrapCode::UninitializedElement);
  CHECK(*call.call(7, 1) == 7);
  ok(table.set(0, Val::func(ok(Func::wrap(world.store, [](int32_t a) { return -a; })))));
  CHECK(*call.call(7, 0) == -7);
  CHECK(ok(table.grow(8, Val::func(ok(instance.func("g"))))) == 2);
  CHECK(*call.call(7, 9) == 666);
  CHECK(table.grow(1, Val::null(HeapKind::Func)).error().kind == ErrorKind::Limit);
  CHECK(call.call(7, 10).error().trap == TrapCode::UndefinedElement);
}

TEST_CASE("subject threads: a module in several threads, a store in each") {
  const Engine engine;
  const Module module = load(engine, "capi_threads");
  int calls[4] = {};
  std::vector<std::thread> threads;
  for (int id = 0; id < 4; ++id) {
    threads.emplace_back([&, id] {
      Store store(engine);
      const Func message = ok(Func::wrap(store, [&, id](int32_t got) { calls[id] += got == id; }));
      const Extern imports[] = {message, ok(Global::create(store, {ValKind::I32, false}, Val::i32(id)))};
      const Instance instance = ok(Instance::instantiate(store, module, imports));
      auto run = ok(ok(instance.func("run")).typed<void()>());
      for (int i = 0; i < 100; ++i) ok(run.call());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int count : calls) CHECK(count == 100);
}

TEST_CASE("subject trap: what a host function fails with comes out, and where the guest was") {
  World world;
  Linker linker(world.engine);
  bool throws = false;
  ok(linker.func_wrap("host", "fail", [&]() -> Result<int32_t> {
    if (throws) throw std::runtime_error("thrown");
    return Error(ErrorKind::Host, "the host has failed");
  }));
  const Instance instance = ok(linker.instantiate(world.store, load(world.engine, "capi_trap")));
  const Func callback = ok(instance.func("callback"));
  const Result<std::vector<Val>> failed = callback.call();
  REQUIRE(!failed);
  CHECK(failed.error().message == "the host has failed");
  REQUIRE(failed.error().backtrace.size() == 2);
  CHECK(failed.error().backtrace[0].function == "inner");
  throws = true;
  CHECK_THROWS_AS((void)callback.call(), std::runtime_error);
  CHECK(ok(instance.func("unreachable")).call().error().trap == TrapCode::Unreachable);
}

TEST_CASE("a deadline ends a call that takes longer, and no other") {
  World world;
  Linker linker(world.engine);
  ok(linker.func_wrap("host", "fail", [] { return int32_t{1}; }));
  const Instance instance = ok(linker.instantiate(world.store, load(world.engine, "capi_trap")));
  const Func spin = ok(instance.func("spin"));
  auto quick = ok(ok(instance.func("callback")).typed<int32_t()>());
  {
    const Deadline deadline(world.store, 20ms);
    const Result<std::vector<Val>> ended = spin.call();
    REQUIRE(!ended);
    CHECK(ended.error().trap == TrapCode::Interrupted);
    CHECK(deadline.passed());
  }
  CHECK(*quick.call() == 1);
  {
    // One that nobody noticed is forgotten.
    const Deadline over(world.store, -1s);
    while (!over.passed()) std::this_thread::yield();
  }
  CHECK(*quick.call() == 1);
  {
    // The shorter of two, in either order; times that no clock can hold are far away.
    const Deadline far(world.store, std::chrono::nanoseconds::max());
    const Deadline near(world.store, 20ms);
    const Deadline later(world.store, 1h);
    CHECK(spin.call().error().trap == TrapCode::Interrupted);
    CHECK(near.passed());
    CHECK(!far.passed());
    CHECK(!later.passed());
  }
  CHECK(*quick.call() == 1);
}

TEST_CASE("completions are taken as many as there is room for") {
  Completions completions = ok(Completions::create());
  Executor executor = ok(Executor::create());
  for (uint64_t token = 0; token < 5; ++token) {
    TaskOptions options;
    options.completions = &completions;
    options.token = token;
    (void)ok(executor.spawn([] {}, options));
  }
  executor.wait_idle();
  auto readable = [&] {
    pollfd entry{completions.descriptor(), POLLIN, 0};
    return poll(&entry, 1, 0) == 1;
  };
  uint64_t some[3];
  CHECK(completions.take(std::span<uint64_t>()) == 0);
  CHECK(completions.take(some) == 3);
  CHECK(readable());
  CHECK(completions.take(some) == 2);
  CHECK(!readable());
  CHECK(completions.take(some) == 0);
  CHECK(completions.take().empty());
}

}  // namespace
}  // namespace vmrun
