// Instantiation: linking between instances, constant expressions, segments, start functions, limits, introspection.
#include <thread>

#include "tests/unit/engine/fixture.h"
#include "vm/runtime/store.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {
std::vector<uint8_t> bytes_of(std::initializer_list<int> body) {
  std::vector<uint8_t> out = {0, 'a', 's', 'm', 1, 0, 0, 0};
  for (int b : body) out.push_back(static_cast<uint8_t>(b));
  return out;
}
}  // namespace

TEST_CASE("instances share what they export") {
  Basic b;
  ok(b.linker.define_instance("basic", b.instance, b.store));
  Instance user = ok(b.linker.instantiate(b.store, load(b.engine, "engine_user")));
  CHECK(ok(ok(user.func("add3")).call({Val::i32(1), Val::i32(2), Val::i32(3)}))[0].as_i32() == 6);
  CHECK(ok(ok(user.func("byte")).call({Val::i32(8)}))[0].as_i32() == 'h');
  CHECK(std::to_integer<char>(ok(b.instance.memory("memory")).data()[100]) == 'l');
  CHECK(ok(b.func<int32_t(int32_t)>("indirect").call(1)) == 42);
  ok(ok(user.func("raise_counter")).call());
  CHECK(ok(b.instance.global("counter")).get().as_i32() == 99);
  CHECK(ok(b.func<int32_t()>("bump").call()) == 100);

  Result<std::vector<Val>> trap = ok(user.func("cross_divide")).call({Val::i32(0)});
  REQUIRE(!trap);
  REQUIRE(trap.error().backtrace.size() == 3);
  CHECK(trap.error().backtrace[0].module == "basic");
  CHECK(trap.error().backtrace[2].module == "user");
  CHECK(trap.error().backtrace[2].function == "cross");
}

TEST_CASE("missing and mismatched imports are link errors") {
  Engine engine;
  Store store(engine);
  Linker linker(engine);
  Module module = load(engine, "engine_basic");
  CHECK(
      linker.instantiate(store, module).error().message ==
      "unknown imports: env.add, a (func (param i32 i32) (result i32)); env.note, a (func (param i64 f64)); env.again, "
      "a (func (param i32) (result i32))");
  ok(linker.func_wrap("env", "add", [](int64_t) {}));
  ok(linker.func_wrap("env", "note", [](int64_t, double) {}));
  ok(linker.func_wrap("env", "again", [](int32_t n) { return n; }));
  Result<Instance> wrong = linker.instantiate(store, module);
  REQUIRE(!wrong);
  CHECK(wrong.error().kind == ErrorKind::Link);
  CHECK(wrong.error().message ==
        "incompatible import type: env.add is (func (param i64)), not (func (param i32 i32) (result i32))");
  CHECK(linker.func_wrap("env", "add", [] {}).error().message == "env.add is defined twice");
  linker.allow_shadowing(true);
  ok(linker.func_wrap("env", "add", [](int32_t a, int32_t c) { return a - c; }));
  Instance instance = ok(linker.instantiate(store, module));
  CHECK(ok(ok(instance.func("via_host")).call({Val::i32(5), Val::i32(3)}))[0].as_i32() == 2);

  Store other(engine);
  ok(linker.define_instance("basic", instance, store));
  CHECK(linker.instantiate(other, load(engine, "engine_user")).error().message == "basic.add belongs to another store");
  ok(linker.alias_module("basic", "copy"));
  CHECK(linker.has("copy", "memory"));
  ok(linker.alias("basic", "add", "x", "y"));
  CHECK(linker.get(store, "x", "y")->kind() == ExternKind::Func);
}

TEST_CASE("memory, table and global limits decide whether an import fits") {
  Engine engine;
  Store store(engine);
  Module module = load(engine, "engine_bad_data");
  const auto with = [&](const MemoryType& type) {
    Linker linker(engine);
    ok(linker.define("env", "memory", ok(Memory::create(store, type)), store));
    return linker.instantiate(store, module);
  };
  CHECK(with({.min = 0}).error().message == "incompatible import type: env.memory is (memory 0), not (memory 1)");
  CHECK(with({.min = 1, .max = 2, .shared = true}).error().kind == ErrorKind::Link);
  CHECK(with({.min = 1, .is64 = true}).error().kind == ErrorKind::Link);
  CHECK(with({.min = 1}).error().trap == TrapCode::MemoryOutOfBounds);
}

TEST_CASE("what was written before a segment traps stays written") {
  Engine engine;
  Store store(engine);
  Memory memory = ok(Memory::create(store, {.min = 1}));
  Linker linker(engine);
  ok(linker.define("env", "memory", memory, store));
  Result<Instance> failed = linker.instantiate(store, load(engine, "engine_bad_data"));
  REQUIRE(!failed);
  CHECK(failed.error().kind == ErrorKind::Trap);
  CHECK(std::to_integer<char>(memory.data()[0]) == 'w');
  CHECK(std::to_integer<int>(memory.data()[65535]) == 0);
}

TEST_CASE("constant expressions and segments") {
  Engine engine;
  Store store(engine);
  Linker linker(engine);
  ok(linker.define("env", "base", ok(Global::create(store, {ValKind::I32, false}, Val::i32(2))), store));
  Instance instance = ok(linker.instantiate(store, load(engine, "engine_segments")));
  CHECK(ok(instance.global("sum")).get().as_i32() == 17);
  CHECK(ok(instance.global("wide")).get().as_i64() == -3);
  CHECK(ok(instance.global("vector")).get().as_v128() == V128{0x0000000200000001, 0x0000000400000003});
  CHECK(!ok(instance.global("function")).get().is_null());
  CHECK(ok(instance.global("sum")).set(Val::i32(1)).error().message == "the global is immutable");

  Table table = ok(instance.table("table"));
  CHECK(ok(table.get(2)).is_null());
  CHECK(!ok(table.get(3)).is_null());
  CHECK(table.get(5).error().kind == ErrorKind::Usage);
  CHECK(ok(table.grow(2, Val::null(HeapKind::Func))) == 5);
  CHECK(table.set(0, Val::null(HeapKind::Extern)).error().kind == ErrorKind::Usage);

  std::span<std::byte> data = ok(instance.memory("memory")).data();
  CHECK(std::to_integer<char>(data[2]) == 'a');
  CHECK(ok(ok(instance.func("second")).call({Val::i32(0)}))[0].as_i32() == 'o');

  Func init = ok(instance.func("init"));
  ok(init.call({Val::i32(20), Val::i32(1), Val::i32(3)}));
  CHECK(std::to_integer<char>(data[20]) == 'b');
  CHECK(init.call({Val::i32(0), Val::i32(4), Val::i32(3)}).error().trap == TrapCode::MemoryOutOfBounds);
  ok(ok(instance.func("drop")).call());
  CHECK(init.call({Val::i32(0), Val::i32(0), Val::i32(1)}).error().trap == TrapCode::MemoryOutOfBounds);
  ok(init.call({Val::i32(0), Val::i32(0), Val::i32(0)}));
  Func table_init = ok(instance.func("table_init"));
  ok(table_init.call({Val::i32(0), Val::i32(0), Val::i32(2)}));
  CHECK(!ok(table.get(1)).is_null());
  CHECK(table_init.call({Val::i32(0), Val::i32(1), Val::i32(2)}).error().trap == TrapCode::TableOutOfBounds);
}

TEST_CASE("a trap in the start function is the instantiation's") {
  Engine engine;
  Store store(engine);
  Linker linker(engine);
  int ready = 0;
  ok(linker.func_wrap("env", "ready", [&] { ++ready; }));
  Result<Instance> failed = linker.instantiate(store, load(engine, "engine_start"));
  REQUIRE(!failed);
  CHECK(ready == 1);
  CHECK(failed.error().trap == TrapCode::Unreachable);
  REQUIRE(failed.error().backtrace.size() == 1);
  CHECK(failed.error().backtrace[0].function == "start");
}

TEST_CASE("limits of a store") {
  StoreLimits limits;
  limits.memory_bytes = 2 << 16;
  limits.table_elements = 5;
  limits.instances = 1;
  Basic b({}, limits);
  CHECK(ok(b.func<int32_t(int32_t)>("grow").call(1)) == 1);
  CHECK(ok(b.func<int32_t(int32_t)>("grow").call(1)) == -1);
  CHECK(b.store.memory_bytes() == 2 << 16);
  CHECK(Memory::create(b.store, {.min = 1}).error().kind == ErrorKind::Limit);
  CHECK(ok(b.instance.memory("memory")).grow(1).error().kind == ErrorKind::Limit);
  Table table = ok(b.instance.table("table"));
  CHECK(ok(table.grow(3, Val::null(HeapKind::Func))) == 2);
  CHECK(table.grow(1, Val::null(HeapKind::Func)).error().kind == ErrorKind::Limit);
  CHECK(b.linker.instantiate(b.store, load(b.engine, "engine_basic")).error().message == "more than 1 instances");
}

TEST_CASE("64-bit memories, and waiting on shared ones") {
  Engine engine;
  Store store(engine);
  Linker linker(engine);
  Instance instance = ok(linker.instantiate(store, load(engine, "engine_memory64")));
  auto store32 = ok(ok(instance.func("store")).typed<void(int64_t, int32_t)>());
  auto load32 = ok(ok(instance.func("load")).typed<int32_t(int64_t)>());
  ok(store32.call(65532, 7));
  CHECK(ok(load32.call(65532)) == 7);
  CHECK(load32.call(65533).error().trap == TrapCode::MemoryOutOfBounds);
  CHECK(load32.call(int64_t{1} << 33).error().trap == TrapCode::MemoryOutOfBounds);
  CHECK(load32.call(-2).error().trap == TrapCode::MemoryOutOfBounds);
  CHECK(ok(ok(ok(instance.func("grow")).typed<int64_t(int64_t)>()).call(99998)) == 1);
  ok(store32.call((int64_t{99999} << 16) - 4, 3));
  CHECK(ok(load32.call((int64_t{99999} << 16) - 4)) == 3);

  auto wait = ok(ok(instance.func("wait")).typed<int32_t(int32_t, int32_t, int64_t)>());
  CHECK(ok(wait.call(0, 1, -1)) == 1);
  CHECK(ok(wait.call(0, 0, 1000000)) == 2);
  CHECK(wait.call(2, 0, 0).error().trap == TrapCode::UnalignedAtomic);
  CHECK(ok(ok(ok(instance.func("notify")).typed<int32_t(int32_t, int32_t)>()).call(0, 1)) == 0);
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    store.interrupt();
  });
  CHECK(wait.call(0, 0, -1).error().trap == TrapCode::Interrupted);
  other.join();
  store.clear_interrupt();
}

TEST_CASE("instances come and go, with their memories zeroed") {
  for (bool dense : {false, true}) {
    Config config;
    config.dense_memory = dense;
    config.cached_memories = 2;
    Engine engine(config);
    for (int round = 0; round < 20; ++round) {
      Store store(engine);
      std::vector<Memory> memories;
      for (int i = 0; i < 4; ++i) memories.push_back(ok(Memory::create(store, {.min = static_cast<uint64_t>(i % 3)})));
      for (Memory& memory : memories) {
        ok(memory.grow(1));
        for (std::byte b : memory.data().first(100)) REQUIRE(b == std::byte{0});
        std::fill(memory.data().begin(), memory.data().end(), std::byte{0xff});
      }
    }
  }
}

TEST_CASE("what a module says about itself") {
  Engine engine;
  Module module = load(engine, "engine_basic");
  CHECK(module.name() == "basic");
  CHECK(module.imports().size() == 3);
  CHECK(module.imports()[1].type.to_string() == "(func (param i64 f64))");
  CHECK(module.export_type("memory")->to_string() == "(memory 1 4)");
  CHECK(module.export_type("table")->to_string() == "(table 2 10 funcref)");
  CHECK(module.export_type("counter")->to_string() == "(global (mut i32))");
  CHECK(!module.export_type("nothing"));
  CHECK(module.functions()[0].name == "add");
  CHECK(module.functions()[0].func_index == 3);
  CHECK(module.types()[0] == "(func (param i32 i32) (result i32))");
  CHECK(module.custom_section("name"));
  CHECK(module.sections()[0].name == "type");
  const std::vector<DisassembledInstr> code = ok(module.disassemble(3));
  REQUIRE(code.size() == 4);
  CHECK(code[0].text == "local.get 0");
  CHECK(code[2].text == "i32.add");
  CHECK(code[3].text == "end");
  CHECK(module.disassemble(0).error().kind == ErrorKind::Usage);

  Store store(engine);
  Linker linker(engine);
  linker.unknown_imports_trap(true);
  Instance instance = ok(linker.instantiate(store, module));
  CHECK(instance.module().name() == "basic");
  CHECK(instance.exports().size() == module.exports().size());
  CHECK(instance.get("fixed")->global()->get().as_i64() == -5);
}

TEST_CASE("a store keeps nothing of instantiations that failed") {
  Engine engine;
  StoreLimits limits;
  limits.memory_bytes = 1;
  Store store(engine, limits);
  Linker linker(engine);
  linker.unknown_imports_trap(true);
  ok(linker.func_wrap("env", "add", [](int32_t a, int32_t b) { return a + b; }));
  const Module module = load(engine, "engine_basic");
  CHECK(linker.instantiate(store, module).error().kind == ErrorKind::Limit);
  const size_t kept = store.impl().mark().funcs;
  CHECK(kept == 1);  // the linker's function, which the next instantiation uses again
  for (int i = 0; i < 3; ++i) CHECK(linker.instantiate(store, module).error().kind == ErrorKind::Limit);
  CHECK(store.impl().mark().funcs == kept);
}

TEST_CASE("images that are not modules are refused with a place") {
  Engine engine;
  CHECK(Module::compile(engine, std::vector<uint8_t>{1, 2, 3}).error().kind == ErrorKind::Malformed);
  CHECK(Module::compile_file(engine, "/nonexistent/x.wasm").error().kind == ErrorKind::Io);
  CHECK(Module::compile_file(engine, "/tmp").error().kind == ErrorKind::Io);
  Result<Module> bad = Module::compile(engine, bytes_of({99, 0}));
  REQUIRE(!bad);
  CHECK(bad.error().kind == ErrorKind::Malformed);
  CHECK(bad.error().offset);
  Config small;
  small.max_image_bytes = 4;
  CHECK(Module::compile(Engine(small), bytes_of({})).error().kind == ErrorKind::Limit);
  CHECK(Module::compile(engine, bytes_of({})).ok());
}
