// Calls both ways, values, traps with backtraces, limits and interrupts.
#include <atomic>
#include <thread>

#include "tests/unit/engine/fixture.h"

using namespace vmrun;
using namespace vmrun::test;

TEST_CASE("typed and dynamic calls give the same results") {
  Basic b;
  CHECK(ok(b.func<int32_t(int32_t, int32_t)>("add").call(2, 3)) == 5);
  const std::vector<Val> sum = ok(ok(b.instance.func("add")).call({Val::i32(-1), Val::i32(4)}));
  REQUIRE(sum.size() == 1);
  CHECK(sum[0].as_i32() == 3);

  const auto [first, second] = ok(b.func<std::tuple<double, int32_t>(int32_t, double)>("swap").call(7, 0.5));
  CHECK(first == 0.5);
  CHECK(second == 7);
  const std::vector<Val> swapped = ok(ok(b.instance.func("swap")).call({Val::i32(9), Val::f64(2)}));
  CHECK(swapped[0].as_f64() == 2);
  CHECK(swapped[1].as_i32() == 9);
}

TEST_CASE("host functions are called with their arguments") {
  Basic b;
  CHECK(ok(b.func<int32_t(int32_t, int32_t)>("via_host").call(20, 22)) == 42);
  CHECK(b.notes == 1);
}

TEST_CASE("calls that do not fit the type are usage errors") {
  Basic b;
  Func add = ok(b.instance.func("add"));
  CHECK(add.call({Val::i32(1)}).error().kind == ErrorKind::Usage);
  CHECK(add.call({Val::i32(1), Val::f32(1)}).error().message == "argument 1 has type f32, not i32");
  CHECK(add.typed<int64_t(int32_t, int32_t)>().error().kind == ErrorKind::Usage);
  CHECK(b.instance.func("nothing").error().message == "no export named 'nothing'");
  CHECK(b.instance.func("memory").error().message == "export 'memory' is a memory, not a func");
}

TEST_CASE("a trap says what, where and through which functions") {
  Basic b;
  Result<int32_t> result = b.func<int32_t(int32_t, int32_t)>("divide").call(1, 0);
  REQUIRE(!result);
  CHECK(result.error().kind == ErrorKind::Trap);
  CHECK(result.error().trap == TrapCode::IntegerDivideByZero);
  CHECK(result.error().message == "integer divide by zero");
  REQUIRE(result.error().backtrace.size() == 2);
  CHECK(result.error().backtrace[0].module == "basic");
  CHECK(result.error().backtrace[0].function == "divide");
  CHECK(result.error().backtrace[1].function == "outer");
  CHECK(result.error().backtrace[0].offset > 0);
  // The store goes on.
  CHECK(ok(b.func<int32_t(int32_t, int32_t)>("divide").call(6, 3)) == 3);
  CHECK(b.func<int32_t(int32_t, int32_t)>("divide").call(INT32_MIN, -1).error().trap == TrapCode::IntegerOverflow);
}

TEST_CASE("memory accesses beyond the end trap, guarded or checked") {
  for (bool dense : {false, true}) {
    CAPTURE(dense);
    Config config;
    config.dense_memory = dense;
    Basic b(config);
    auto load32 = b.func<int32_t(int32_t)>("load");
    CHECK(ok(load32.call(8)) == 0x6c6c6568);
    CHECK(ok(load32.call(65532)) == 0);
    CHECK(load32.call(65533).error().trap == TrapCode::MemoryOutOfBounds);
    CHECK(load32.call(-1).error().trap == TrapCode::MemoryOutOfBounds);
    CHECK(b.func<int32_t(int32_t)>("load_far").call(-1).error().message == "out of bounds memory access");
    CHECK(ok(b.func<int32_t(int32_t)>("grow").call(1)) == 1);
    CHECK(ok(load32.call(65533)) == 0);
    CHECK(ok(b.func<int32_t(int32_t)>("grow").call(3)) == -1);
  }
}

TEST_CASE("indirect calls check index, null and type") {
  Basic b;
  auto indirect = b.func<int32_t(int32_t)>("indirect");
  CHECK(ok(indirect.call(0)) == 7);
  CHECK(indirect.call(1).error().trap == TrapCode::UninitializedElement);
  CHECK(indirect.call(2).error().trap == TrapCode::UndefinedElement);
  Table table = ok(b.instance.table("table"));
  ok(table.set(1, Val::func(ok(b.instance.func("grow")))));
  CHECK(indirect.call(1).error().trap == TrapCode::IndirectCallTypeMismatch);
}

TEST_CASE("endless recursion is a trap in guests and between guest and host") {
  StoreLimits limits;
  limits.stack_bytes = 256 << 10;
  Basic b({}, limits);
  Result<int32_t> deep = b.func<int32_t(int32_t)>("down").call(0);
  REQUIRE(!deep);
  CHECK(deep.error().trap == TrapCode::StackOverflow);
  CHECK(deep.error().message == "call stack exhausted");
  CHECK(!deep.error().backtrace.empty());

  CHECK(ok(b.func<int32_t(int32_t)>("nested").call(50)) == 50);
  Result<int32_t> nested = b.func<int32_t(int32_t)>("nested").call(100000);
  REQUIRE(!nested);
  CHECK(nested.error().trap == TrapCode::StackOverflow);
  CHECK(ok(b.func<int32_t(int32_t)>("nested").call(1)) == 1);
}

TEST_CASE("an interrupt from another thread ends an endless loop") {
  Basic b;
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    b.store.interrupt();
  });
  Result<void> spun = b.func<void()>("spin").call();
  other.join();
  REQUIRE(!spun);
  CHECK(spun.error().trap == TrapCode::Interrupted);
  CHECK(ok(b.func<int64_t(int64_t)>("count").call(10)) == 20);
}

TEST_CASE("host functions fail, exit and trap") {
  Engine engine;
  Module module = load(engine, "engine_basic");
  const auto run = [&](std::function<Result<int32_t>(Caller&)> body) {
    Store store(engine);
    Linker linker(engine);
    linker.unknown_imports_trap(true);
    ok(linker.func_wrap("env", "add", [body](Caller& caller, int32_t, int32_t) { return body(caller); }));
    ok(linker.func_wrap("env", "note", [](int64_t, double) {}));
    Instance instance = ok(linker.instantiate(store, module));
    return ok(instance.func("via_host")).call({Val::i32(1), Val::i32(2)});
  };
  CHECK(ok(run([](Caller&) -> Result<int32_t> { return 5; }))[0].as_i32() == 5);

  Result<std::vector<Val>> failed = run([](Caller&) -> Result<int32_t> { return Error(ErrorKind::Host, "no luck"); });
  CHECK(failed.error().kind == ErrorKind::Host);
  CHECK(failed.error().message == "no luck");
  CHECK(failed.error().backtrace.size() == 1);

  Result<std::vector<Val>> left = run([](Caller&) -> Result<int32_t> {
    Error exit(ErrorKind::Exit, "");
    exit.exit_status = 3;
    return exit;
  });
  CHECK(left.error().kind == ErrorKind::Exit);
  CHECK(left.error().exit_status == 3);

  Result<std::vector<Val>> trapped = run([](Caller&) -> Result<int32_t> {
    Error trap(ErrorKind::Trap, "device on fire");
    trap.trap = TrapCode::Unreachable;
    return trap;
  });
  CHECK(trapped.error().kind == ErrorKind::Trap);
  CHECK(trapped.error().message == "device on fire");

  Store store(engine);
  Linker linker(engine);
  linker.unknown_imports_trap(true);
  Instance instance = ok(linker.instantiate(store, module));
  Result<std::vector<Val>> unknown = ok(instance.func("nested")).call({Val::i32(1)});
  CHECK(unknown.error().kind == ErrorKind::Trap);
  CHECK(unknown.error().message == "unknown import called: env.again");
}

TEST_CASE("dynamic host functions are held to their type") {
  Basic b;
  FuncType type{{ValKind::I32, ValKind::V128}, {ValKind::V128, ValKind::I64}};
  bool lie = false;
  Func f = ok(
      Func::create(b.store, type, [&](Caller& caller, std::span<const Val> args, std::span<Val> out) -> Result<void> {
        CHECK(!caller.has_instance());
        out[0] = args[1];
        out[1] = lie ? Val::i32(0) : Val::i64(args[0].as_i32());
        return {};
      }));
  const std::vector<Val> out = ok(f.call({Val::i32(-3), Val::v128({1, 2})}));
  CHECK(out[0].as_v128() == V128{1, 2});
  CHECK(out[1].as_i64() == -3);
  lie = true;
  CHECK(f.call({Val::i32(0), Val::v128({})}).error().kind == ErrorKind::Usage);
}

TEST_CASE("an i32 from a slot whose upper half is dirty is that i32 in all tiers") {
  Slot slot{0x0000'6000'0000'0008};
  const Val value = Val::from_slots(ValType(ValKind::I32), &slot);
  CHECK(value.as_i32() == 8);
  Slot again;
  value.to_slots(&again);
  CHECK(again.bits == 8);
  for (Tiers tiers : {Tiers::Interp, Tiers::Baseline, Tiers::Opt}) {
    Config config;
    config.tiers = tiers;
    Basic b(config);
    CHECK(ok(ok(b.instance.func("load")).call({value}))[0].as_i32() == 0x6c6c6568);  // "hell"
  }
}

TEST_CASE("a host function needs code") {
  Engine engine;
  Linker linker(engine);
  const Result<void> added = linker.func_raw("env", "nothing", FuncType{{}, {}}, nullptr, nullptr);
  REQUIRE_FALSE(added);
  CHECK(added.error().kind == ErrorKind::Usage);
}

TEST_CASE("values print as people read them") {
  Engine engine;
  Store store(engine);
  CHECK(Val::i32(-1).to_string() == "-1");
  CHECK(Val::f64(1.5).to_string() == "1.5");
  CHECK(Val::f32_bits(0x7fc00000).to_string() == "nan:0x400000");
  CHECK(Val::null(HeapKind::Func).to_string() == "null");
  CHECK(Val::v128({1, 2}).to_string() == "0x00000000000000020000000000000001");
  int x = 0;
  CHECK(Val::externref(store, &x).extern_ptr() == &x);
  CHECK(Val::externref(store, &x).as_ref() == Val::externref(store, &x).as_ref());
  CHECK(FuncType{{ValKind::I32}, {ValType::externref()}}.to_string() == "(i32) -> (externref)");
}

TEST_CASE("exceptions cross between guest and host") {
  Basic b;
  Tag* tag = nullptr;
  ok(b.linker.func_wrap("env", "raise", [&](Caller& caller) -> Result<void> {
    if (tag == nullptr) return Error(ErrorKind::Host, "no tag");
    Result<Val> exn = tag->exception(std::vector{Val::i32(77), Val::f64(0)});
    if (!exn) return exn.error();
    Error error(ErrorKind::Exception, "raised");
    error.exception = exn->as_ref().bits;
    (void)caller;
    return error;
  }));
  Instance thrower = ok(b.linker.instantiate(b.store, load(b.engine, "engine_throw")));
  Tag e = ok(thrower.tag("e"));
  tag = &e;

  Result<std::vector<Val>> thrown = ok(thrower.func("throw")).call({Val::i32(5)});
  REQUIRE(!thrown);
  CHECK(thrown.error().kind == ErrorKind::Exception);
  REQUIRE(!thrown.error().backtrace.empty());
  CHECK(thrown.error().backtrace[0].function == "thrower");
  REQUIRE(e.names(Ref{thrown.error().exception}));
  const std::vector<Val> values = e.values(Ref{thrown.error().exception});
  CHECK(values[0].as_i32() == 5);
  CHECK(values[1].as_f64() == 1.5);

  CHECK(ok(ok(thrower.func("catch_host")).call())[0].as_i32() == 77);
  CHECK(ok(ok(thrower.func("many")).call({Val::i32(100000)}))[0].as_i32() == static_cast<int32_t>(5000050000));
}
