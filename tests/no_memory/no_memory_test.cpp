// Every allocation of a guest's life fails once: compiling, instantiating, calls, growth, exceptions and traps. Each time
// the API says so, or the guest traps or gets -1; nothing crashes, nothing leaks, and the next run is as good as ever.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <new>
#include <string>
#include <vector>

#include "tests/no_memory/allocators.h"
#include "vmrun/vmrun.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

std::vector<uint8_t> image_of(const std::string& name) {
  std::ifstream file(VMRUN_FIXTURES "/" + name + ".wasm", std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Looks at how things ended. An allocation that failed may show as these errors only.
struct Watch {
  bool complete = true;  // everything went as if there were memory
  bool wrong = false;    // something ended as it never may
  std::string what;

  template <class T>
  bool went(const Result<T>& result) {
    if (result) return true;
    complete = false;
    const Error& error = result.error();
    const bool allowed = error.kind == ErrorKind::Limit || error.kind == ErrorKind::Unsupported ||
                         (error.kind == ErrorKind::Trap && error.trap == TrapCode::OutOfMemory);
    if (!allowed) {
      wrong = true;
      what = error.message;
    }
    return false;
  }
  /// A call that traps with `code` when there is memory.
  void trapped(const Result<std::vector<Val>>& result, TrapCode code) {
    if (!result && result.error().kind == ErrorKind::Trap && result.error().trap == code) return;
    if (result) {
      wrong = true;
      what = "a call that should trap returned";
      return;
    }
    went(result);
  }
  /// A call whose result is `value`, or `failed` where growth has no memory.
  void gave(const Result<std::vector<Val>>& result, int32_t value, int32_t failed) {
    if (!went(result)) return;
    const int32_t got = (*result)[0].as_i32();
    complete &= got == value;
    if (got != value && got != failed) {
      wrong = true;
      what = "a call returned " + std::to_string(got) + " instead of " + std::to_string(value);
    }
  }
};

struct Images {
  std::vector<uint8_t> basic = image_of("engine_basic"), thrower = image_of("engine_throw"),
                       segments = image_of("engine_segments");
};

void basic(Watch& watch, const Engine& engine, const Images& images) {
  Store store(engine, {.stack_bytes = 128 << 10});  // a recursion touches all of it
  Linker linker(engine);
  if (!watch.went(linker.func_wrap("env", "add", [](int32_t a, int32_t b) { return a + b; }))) return;
  if (!watch.went(linker.func_wrap("env", "note", [](int64_t, double) {}))) return;
  if (!watch.went(linker.func("env", "again", FuncType{{ValKind::I32}, {ValKind::I32}},
                              [](Caller&, std::span<const Val> args, std::span<Val> results) -> Result<void> {
                                results[0] = args[0];
                                return {};
                              }))) {
    return;
  }
  Result<Module> module = Module::compile(engine, images.basic);
  if (!watch.went(module)) return;
  Result<Instance> instance = linker.instantiate(store, *module);
  if (!watch.went(instance)) return;
  const auto call = [&](const char* name, std::initializer_list<Val> args) {
    Result<Func> func = instance->func(name);
    return func ? func->call(args) : Result<std::vector<Val>>(func.error());
  };
  watch.gave(call("add", {Val::i32(2), Val::i32(3)}), 5, 5);
  watch.gave(call("via_host", {Val::i32(2), Val::i32(3)}), 5, 5);
  watch.gave(call("nested", {Val::i32(8)}), 8, 8);
  watch.gave(call("grow", {Val::i32(1)}), 1, -1);
  watch.gave(call("indirect", {Val::i32(0)}), 7, 7);
  watch.trapped(call("divide", {Val::i32(1), Val::i32(0)}), TrapCode::IntegerDivideByZero);
  watch.trapped(call("load", {Val::i32(-8)}), TrapCode::MemoryOutOfBounds);
  watch.trapped(call("down", {Val::i32(0)}), TrapCode::StackOverflow);
  Result<Table> table = instance->table("table");
  if (!watch.went(table)) return;
  Result<uint64_t> size = table->grow(5, Val::null(HeapKind::Func));
  if (watch.went(size) && *size != 2) watch.wrong = true;
  watch.went(Memory::create(store, {1, 2}));
  watch.went(Global::create(store, {ValKind::I64, true}, Val::i64(1)));
  watch.went(call("count", {Val::i64(20000)}));
}

void throws(Watch& watch, const Engine& engine, const Images& images) {
  Store store(engine);
  Linker linker(engine);
  if (!watch.went(linker.func_wrap("env", "raise", [] {}))) return;
  Result<Module> module = Module::compile(engine, images.thrower);
  if (!watch.went(module)) return;
  Result<Instance> instance = linker.instantiate(store, *module);
  if (!watch.went(instance)) return;
  Result<Func> many = instance->func("many"), thrower = instance->func("throw");
  if (!watch.went(many) || !watch.went(thrower)) return;
  watch.gave(many->call({Val::i32(100)}), 5050, 5050);
  Result<std::vector<Val>> thrown = thrower->call({Val::i32(1)});
  if (thrown || thrown.error().kind != ErrorKind::Exception) watch.went(thrown);
  Result<Tag> tag = instance->tag("e");
  if (watch.went(tag)) watch.went(tag->exception(std::initializer_list<Val>{Val::i32(1), Val::f64(2)}));
}

void segments(Watch& watch, const Engine& engine, const Images& images) {
  Store store(engine);
  Result<Module> module = Module::compile(engine, images.segments);
  if (!watch.went(module)) return;
  Result<Global> base = Global::create(store, {ValKind::I32, false}, Val::i32(1));
  if (!watch.went(base)) return;
  const Extern imports[] = {*base};
  watch.went(Instance::instantiate(store, *module, imports));
}

/// One life of guests. Constructors may throw, and so may functions that return plain values.
Watch live(const Config& config, const Images& images) {
  Watch watch;
  try {
    Engine engine(config);
    basic(watch, engine, images);
    throws(watch, engine, images);
    segments(watch, engine, images);
  } catch (const std::bad_alloc&) {
    watch.complete = false;
  }
  return watch;
}

void fail_each(const Config& config, bool all_after) {
  const Images images;
  fail_allocation(0, false);
  for (int warm = 0; warm < 3; ++warm) REQUIRE(live(config, images).complete);
  fail_allocation(0, false);
  REQUIRE(live(config, images).complete);
  const uint64_t total = allocations();
  CHECK(total > 200);
  int64_t blocks = live_blocks();
  uint64_t refused = 0;
  for (uint64_t number = 1; number <= total; ++number) {
    CAPTURE(number);
    fail_allocation(number, all_after);
    const Watch watch = live(config, images);
    fail_allocation(0, false);
    CAPTURE(watch.what);
    REQUIRE_FALSE(watch.wrong);
    refused += !watch.complete;
    if (live_blocks() <= blocks) continue;
    // Caches may have grown, code that was given up is freed by a later compile, and free code memory may have been cut
    // into more pieces. A leak grows each time.
    constexpr int kTimes = 8;
    live(config, images);
    blocks = live_blocks();
    for (int again = 0; again < kTimes; ++again) {
      fail_allocation(number, all_after);
      live(config, images);
      fail_allocation(0, false);
    }
    live(config, images);
    REQUIRE(live_blocks() < blocks + kTimes);
  }
  CHECK(live(config, images).complete);
  // Few are dispensable: backtraces, the reasons of failed compiles.
  CHECK(refused > total / 4);
  MESSAGE(total << " allocations, " << refused << " of which something could not do without");
}

}  // namespace

TEST_CASE("no memory: the interpreter, quick") {
  Config config;
  config.tiers = Tiers::Interp;
  config.effort = Effort::Quick;
  for (bool all_after : {false, true}) fail_each(config, all_after);
}

TEST_CASE("no memory: the interpreter, careful") {
  Config config;
  config.tiers = Tiers::Interp;
  config.effort = Effort::Careful;
  for (bool all_after : {false, true}) fail_each(config, all_after);
}

TEST_CASE("no memory: baseline code") {
  Config config;
  config.tiers = Tiers::Baseline;
  for (bool all_after : {false, true}) fail_each(config, all_after);
}
