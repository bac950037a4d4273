// How host functions end otherwise than by returning: what they throw comes out of the embedder's call; what cannot be
// taken through a guest ends the process.
#include <csetjmp>
#include <stdexcept>

#include "tests/support/child.h"
#include "tests/unit/engine/fixture.h"

namespace vmrun::test {
namespace {

constexpr Tiers kTiers[] = {Tiers::Interp, Tiers::Baseline, Tiers::Opt};

Config in(Tiers tiers) {
  Config config;
  config.tiers = tiers;
  return config;
}

/// An instance of engine_basic whose host functions throw or worse.
struct Thrower {
  Engine engine;
  Store store;
  Linker linker;
  Instance instance{nullptr};

  explicit Thrower(Tiers tiers) : engine(in(tiers)), store(engine), linker(engine) {
    linker.unknown_imports_trap(true);
  }
  void instantiate() { instance = ok(linker.instantiate(store, load(engine, "engine_basic"))); }
  template <class Signature>
  TypedFunc<Signature> func(const char* name) {
    return ok(ok(instance.func(name)).template typed<Signature>());
  }
};

TEST_CASE("what a host function throws comes out of the call, and the store goes on") {
  for (Tiers tiers : kTiers) {
    for (bool dynamic : {false, true}) {
      CAPTURE(static_cast<int>(tiers));
      CAPTURE(dynamic);
      Thrower t(tiers);
      ok(t.linker.func_wrap("env", "note", [](int64_t, double) {}));
      if (dynamic) {
        const FuncType type{{ValKind::I32, ValKind::I32}, {ValKind::I32}};
        ok(t.linker.func("env", "add", type, [](Caller&, std::span<const Val> args, std::span<Val> results) {
          if (args[0].as_i32() == 0) throw std::runtime_error("thrown by the host");
          results[0] = args[0];
          return Result<void>();
        }));
      } else {
        ok(t.linker.func_wrap("env", "add", [](int32_t a, int32_t) -> int32_t {
          return a != 0 ? a : throw std::runtime_error("thrown by the host");
        }));
      }
      t.instantiate();
      auto via_host = t.func<int32_t(int32_t, int32_t)>("via_host");
      for (int i = 0; i < 300; ++i) {  // more than the depth of calls that a store allows
        CHECK_THROWS_WITH_AS((void)via_host.call(0, 1), "thrown by the host", std::runtime_error);
        REQUIRE(ok(via_host.call(5, 1)) == 5);
      }
      CHECK_THROWS_WITH_AS((void)via_host.func().call({Val::i32(0), Val::i32(0)}), "thrown by the host",
                           std::runtime_error);
      CHECK(t.func<int32_t(int32_t)>("load").call(-1).error().trap == TrapCode::MemoryOutOfBounds);
      CHECK(t.func<int32_t(int32_t)>("down").call(0).error().trap == TrapCode::StackOverflow);
    }
  }
}

TEST_CASE("an exception comes through guests and host functions in turn, as far as its handler") {
  for (Tiers tiers : kTiers) {
    CAPTURE(static_cast<int>(tiers));
    Thrower t(tiers);
    ok(t.linker.func_wrap("env", "again", [](Caller& caller, int32_t n) -> int32_t {
      if (n == 0) throw std::string("bottom");
      auto nested = ok(ok(caller.instance().func("nested")).typed<int32_t(int32_t)>());
      if (n != 7) return ok(nested.call(n - 1));
      try {
        return ok(nested.call(n - 1));
      } catch (const std::string& thrown) {
        return thrown == "bottom" ? 70 : -1;
      }
    }));
    t.instantiate();
    auto nested = t.func<int32_t(int32_t)>("nested");
    CHECK_THROWS_AS((void)nested.call(6), std::string);
    CHECK(ok(nested.call(7)) == 70);
    CHECK(ok(nested.call(10)) == 70);
  }
}

TEST_CASE("an exception leaves a start function by the instantiation") {
  Engine engine;
  Store store(engine);
  Linker linker(engine);
  const Module module = load(engine, "engine_start");
  REQUIRE(module.imports().size() == 1);
  linker.unknown_imports_trap(false);
  const auto type = *module.imports()[0].type.func();
  ok(linker.func(module.imports()[0].module, module.imports()[0].name, type,
                 [](Caller&, auto, auto) -> Result<void> { throw 42; }));
  CHECK_THROWS_AS((void)linker.instantiate(store, module), int);
}

TEST_CASE("a host function's own std::bad_alloc comes out like anything it throws") {
  Thrower t(Tiers::Auto);
  ok(t.linker.func_wrap("env", "again", [](int32_t) -> int32_t { throw std::bad_array_new_length(); }));
  t.instantiate();
  auto nested = t.func<int32_t(int32_t)>("nested");
  CHECK_THROWS_AS((void)nested.call(1), std::bad_array_new_length);
  CHECK_THROWS_AS((void)nested.func().call({Val::i32(1)}), std::bad_array_new_length);

  Store store(t.engine);
  Linker linker(t.engine);
  const Module module = load(t.engine, "engine_start");
  const auto import = module.imports()[0];
  ok(linker.func(import.module, import.name, *import.type.func(),
                 [](Caller&, auto, auto) -> Result<void> { throw std::bad_alloc(); }));
  CHECK_THROWS_AS((void)linker.instantiate(store, module), std::bad_alloc);
}

TEST_CASE("a failure that a host function announced and did not return is not another call's") {
  Thrower t(Tiers::Auto);
  ok(t.linker.func_wrap("env", "again", [](Caller& caller, int32_t n) -> int32_t {
    Error error(ErrorKind::Trap, "announced");
    error.trap = TrapCode::TableOutOfBounds;
    static_cast<void>(caller.fail(std::move(error)));
    return n;
  }));
  t.instantiate();
  CHECK(ok(t.func<int32_t(int32_t)>("nested").call(1)) == 1);
  const auto divided = t.func<int32_t(int32_t, int32_t)>("divide").call(1, 0);
  CHECK(divided.error().trap == TrapCode::IntegerDivideByZero);
  CHECK(divided.error().message.find("announced") == std::string::npos);
}

// ---- what ends the process ----

Outcome throws_raw(void*, vm::Vcpu&, vm::Instance*, const Slot*, Slot*) { throw std::runtime_error("thrown raw"); }

void call_raw(Tiers tiers) {
  Thrower t(tiers);
  ok(t.linker.func_wrap("env", "note", [](int64_t, double) {}));
  ok(t.linker.func_raw("env", "add", FuncType{{ValKind::I32, ValKind::I32}, {ValKind::I32}}, throws_raw, nullptr));
  t.instantiate();
  try {
    (void)t.func<int32_t(int32_t, int32_t)>("via_host").call(0, 1);
  } catch (...) {
    FAIL("came out");
  }
}
TEST_CASE("host child: raw throws in the interpreter" * doctest::skip()) { call_raw(Tiers::Interp); }
TEST_CASE("host child: raw throws in compiled code" * doctest::skip()) { call_raw(Tiers::Baseline); }

TEST_CASE("a raw host function that throws ends the process") {
  for (const char* name : {"host child: raw throws in the interpreter", "host child: raw throws in compiled code"}) {
    const Ended ended = in_child(name);
    CAPTURE(ended.text);
    CHECK(ended.status == -SIGABRT);
    CHECK(says(ended, "terminate called after throwing an instance of 'std::runtime_error'"));
    CHECK(says(ended, "thrown raw"));
  }
}

std::jmp_buf out;
/// Leaves a host function of `t` by longjmp.
void jump_out(Thrower& t) {
  ok(t.linker.func_wrap("env", "note", [](int64_t, double) {}));
  ok(t.linker.func_wrap("env", "add", [](int32_t a, int32_t) -> int32_t {
    if (a == 0) std::longjmp(out, 1);
    return a;
  }));
  t.instantiate();
  auto via_host = t.func<int32_t(int32_t, int32_t)>("via_host");
  if (setjmp(out) == 0) (void)via_host.call(0, 1);
}
TEST_CASE("host child: a call after longjmp in the interpreter" * doctest::skip()) {
  Thrower t(Tiers::Interp);
  jump_out(t);
  (void)t.func<int32_t(int32_t, int32_t)>("via_host").call(5, 1);
}
TEST_CASE("host child: a call after longjmp in compiled code" * doctest::skip()) {
  Thrower t(Tiers::Baseline);
  jump_out(t);
  (void)t.func<int32_t(int32_t, int32_t)>("via_host").call(5, 1);
}
TEST_CASE("host child: the store's end after longjmp" * doctest::skip()) {
  Thrower t(Tiers::Baseline);
  jump_out(t);
}

TEST_CASE("a host function that was left by longjmp is noticed") {
  for (const char* name :
       {"host child: a call after longjmp in the interpreter", "host child: a call after longjmp in compiled code",
        "host child: the store's end after longjmp"}) {
    const Ended ended = in_child(name);
    CAPTURE(ended.text);
    CHECK(ended.status == -SIGABRT);
    CHECK(says(ended, "a host function was left by longjmp"));
  }
}

TEST_CASE("host child: the value of a failed result" * doctest::skip()) {
  Engine engine;
  (void)*Module::compile_file(engine, "there-is-no-such.wasm");
}
TEST_CASE("host child: the error of a success" * doctest::skip()) { (void)Result<int>(1).error(); }

TEST_CASE("a failed result that is used says its failure before the process ends") {
  const Ended used = in_child("host child: the value of a failed result");
  CAPTURE(used.text);
  CHECK(used.status == -SIGABRT);
  CHECK(says(used, "the value of a failed Result was used"));
  CHECK(says(used, "there-is-no-such.wasm"));
  CHECK(says(used, "No such file or directory"));
  const Ended none = in_child("host child: the error of a success");
  CHECK(none.status == -SIGABRT);
  CHECK(says(none, "the error of a Result was used that has none"));
}

/// A raw host function in place of env.add that ends with `outcome`, which no Caller made.
Result<int32_t> call_that_ends(Tiers tiers, Outcome outcome) {
  Thrower t(tiers);
  ok(t.linker.func_wrap("env", "note", [](int64_t, double) {}));
  auto env = std::make_shared<Outcome>(outcome);
  const FuncType type{{ValKind::I32, ValKind::I32}, {ValKind::I32}};
  ok(t.linker.func_raw(
      "env", "add", type,
      [](void* end, vm::Vcpu&, vm::Instance*, const Slot*, Slot*) { return *static_cast<Outcome*>(end); }, env));
  t.instantiate();
  return t.func<int32_t(int32_t, int32_t)>("via_host").call(2, 3);
}

TEST_CASE("a raw host function that fails has to say how") {
  for (Tiers tiers : kTiers) {
    CAPTURE(static_cast<int>(tiers));
    const auto trap = call_that_ends(tiers, Outcome::Trap), failure = call_that_ends(tiers, Outcome::Error);
    CHECK(trap.error().kind == ErrorKind::Usage);
    CHECK(trap.error().message == "a host function ended as if it had trapped: Caller::trap says by what");
    CHECK(failure.error().kind == ErrorKind::Usage);
    CHECK(failure.error().message == "a host function ended as if it had failed: Caller::fail says why");
  }
}

TEST_CASE("host function child: exception that is none: interpreted" * doctest::skip()) {
  (void)call_that_ends(Tiers::Interp, Outcome::Exception);
}
TEST_CASE("host function child: exception that is none: compiled" * doctest::skip()) {
  (void)call_that_ends(Tiers::Baseline, Outcome::Exception);
}
TEST_CASE("host function child: exception that is none: without a guest" * doctest::skip()) {
  Engine engine;
  Store store(engine);
  Linker linker(engine);
  const auto end = [](void*, vm::Vcpu&, vm::Instance*, const Slot*, Slot*) { return Outcome::Exception; };
  ok(linker.func_raw("h", "f", FuncType{}, end, nullptr));
  (void)linker.get(store, "h", "f")->func()->call();
}
TEST_CASE("a raw host function that throws has to say what") {
  for (const char* how : {"interpreted", "compiled", "without a guest"}) {
    CAPTURE(how);
    const Ended ended = in_child(std::string("host function child: exception that is none: ") + how);
    CAPTURE(ended.text);
    CHECK(ended.status == -SIGABRT);
    CHECK(says(ended, "vmrun: a host function returned Outcome::Exception without Caller::throw_exception\n"));
  }
}

}  // namespace
}  // namespace vmrun::test
