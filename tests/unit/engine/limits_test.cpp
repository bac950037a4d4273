// What failed leaves nothing behind, and what belongs to others is not read.
#include "tests/unit/engine/fixture.h"
#include "vm/runtime/store.h"

using namespace vmrun;
using namespace vmrun::test;

TEST_CASE("a failed instantiation gives back what it made") {
  Engine engine;
  Store store(engine, {.memory_bytes = 1 << 20, .table_elements = 20});
  // (module (memory 10) (table 10 funcref) (data (i32.const 655360) "x"))
  const std::vector<uint8_t> image = {0x00, 'a',  's',  'm',  1,    0,    0,    0,    0x04, 0x04,
                                      0x01, 0x70, 0x00, 0x0a, 0x05, 0x03, 0x01, 0x00, 0x0a, 0x0b,
                                      0x09, 0x01, 0x00, 0x41, 0x80, 0x80, 0x28, 0x0b, 0x01, 'x'};
  Module module = ok(Module::compile(engine, image));
  for (int i = 0; i < 100; ++i) {
    Result<Instance> instance = Instance::instantiate(store, module, {});
    REQUIRE_FALSE(instance);
    CHECK(instance.error().trap == TrapCode::MemoryOutOfBounds);
    CHECK(store.memory_bytes() == 0);
  }
  CHECK(store.peak_memory_bytes() == 655'360);
  CHECK(Memory::create(store, {16}).ok());
  CHECK(Table::create(store, {.min = 20}, Val::null(HeapKind::Func)).ok());
}

TEST_CASE("a memory that could not be made is no part of the peak") {
  Engine engine;
  Store store(engine);
  CHECK(Memory::create(store, {.min = 2}).ok());
  MemoryType huge;
  huge.min = uint64_t{1} << 47;
  huge.is64 = true;
  const Result<Memory> made = Memory::create(store, huge);
  REQUIRE_FALSE(made);
  CHECK(made.error().message == "a memory of 9223372036854775808 bytes exceeds the address space of 140737488355328");
  // More bytes than can be counted.
  huge.min = uint64_t{1} << 48;
  const Result<Memory> countless = Memory::create(store, huge);
  REQUIRE_FALSE(countless);
  CHECK(countless.error().message == "a memory of 281474976710656 pages of 65536 bytes is larger than all addresses");
  CHECK(store.memory_bytes() == 2 * 65'536);
  CHECK(store.peak_memory_bytes() == 2 * 65'536);
}

TEST_CASE("a table that is too large names the limit that it exceeds") {
  Engine engine;
  const auto message = [&](uint64_t limit) {
    Store store(engine, {.table_elements = limit});
    const Result<Table> made =
        Table::create(store, {.min = uint64_t{1} << 60, .is64 = true}, Val::null(HeapKind::Func));
    REQUIRE_FALSE(made);
    return made.error().message;
  };
  CHECK(message(UINT64_MAX) == "a table of 1152921504606846976 elements exceeds the limit of 1152921504606846975");
  CHECK(message(100) == "a table of 1152921504606846976 elements exceeds the limit of 100");
}

TEST_CASE("an engine that holds too many types makes no host functions and no tags") {
  Engine engine;
  Store store(engine);
  // Types of ever fewer parameters, until there is no room for one of a few.
  vm::TypeRegistry& registry = *store.impl().registry();
  for (size_t count : {10'000u, 500u, 20u}) {
    std::vector<vm::ValType> params(count, vm::kI32);
    for (size_t made = 0;; ++made) {
      for (size_t bit = 0; bit < 14; ++bit) params[bit] = made >> bit & 1 ? vm::kI64 : vm::kI32;
      if (!registry.intern_func(params, {})) break;
    }
  }
  const FuncType type{std::vector<ValType>(40, ValType(ValKind::F64)), {}};
  const auto refused = [](const auto& made) {
    REQUIRE_FALSE(made);
    CHECK(made.error().kind == ErrorKind::Limit);
    CHECK(made.error().message == "too many types in this engine");
  };
  const auto callback = [](Caller&, auto, auto) { return Result<void>(); };
  refused(Func::create(store, type, callback));
  refused(Func::from_host(store, HostFunc::dynamic(type, callback)));
  refused(Tag::create(store, TagType{type.params}));
  refused(Linker(engine).func("env", "f", type, callback));
}

TEST_CASE("a host function without code is refused") {
  Engine engine;
  Store store(engine);
  const auto made = Func::from_host(store, std::make_shared<HostFunc>());
  REQUIRE_FALSE(made);
  CHECK(made.error().kind == ErrorKind::Usage);
}

TEST_CASE("a guest stack beyond any address space is refused") {
  Engine engine;
  const Module module = ok(Module::compile(engine, std::vector<uint8_t>{0, 'a', 's', 'm', 1, 0, 0, 0}));
  for (uint64_t bytes : {UINT64_MAX, UINT64_MAX - 4096, UINT64_MAX - 100'000, uint64_t{1} << 48}) {
    CAPTURE(bytes);
    StoreLimits limits;
    limits.stack_bytes = bytes;
    Store store(engine, limits);
    const auto made = Instance::instantiate(store, module, {});
    REQUIRE_FALSE(made);
    CHECK(made.error().kind == ErrorKind::Limit);
    CHECK(made.error().message.find("for a stack") != std::string::npos);
  }
}

TEST_CASE("functions of a failed instantiation live on in the tables of others") {
  Engine engine;
  Store store(engine);
  // (module (import "" "t" (table 1 funcref)) (memory 1) (func (result i32) (i32.const 42))
  //   (elem (i32.const 0) 0) (data (i32.const 65536) "x"))
  const std::vector<uint8_t> image = {0x00, 'a',  's',  'm',  1,    0,    0,    0,    0x01, 0x05, 0x01, 0x60, 0x00,
                                      0x01, 0x7f, 0x02, 0x08, 0x01, 0x00, 0x01, 't',  0x01, 0x70, 0x00, 0x01, 0x03,
                                      0x02, 0x01, 0x00, 0x05, 0x03, 0x01, 0x00, 0x01, 0x09, 0x07, 0x01, 0x00, 0x41,
                                      0x00, 0x0b, 0x01, 0x00, 0x0a, 0x06, 0x01, 0x04, 0x00, 0x41, 0x2a, 0x0b, 0x0b,
                                      0x09, 0x01, 0x00, 0x41, 0x80, 0x80, 0x04, 0x0b, 0x01, 'x'};
  Table table = ok(Table::create(store, {.min = 1}, Val::null(HeapKind::Func)));
  const Extern imports[] = {table};
  Result<Instance> instance = Instance::instantiate(store, ok(Module::compile(engine, image)), imports);
  REQUIRE_FALSE(instance);
  CHECK(instance.error().trap == TrapCode::MemoryOutOfBounds);
  Val function = ok(table.get(0));
  REQUIRE_FALSE(function.is_null());
  Func func(&store.impl(), function.as_ref().as<vm::FuncRecord>());
  CHECK(ok(func.call())[0].as_i32() == 42);
}

TEST_CASE("a tag reads the values of its own exceptions only") {
  Engine engine;
  Store store(engine);
  Tag small = ok(Tag::create(store, TagType{{ValKind::I32}}));
  Tag large = ok(Tag::create(store, TagType{std::vector<ValType>(40, ValKind::I64)}));
  Val exception = ok(small.exception(std::initializer_list<Val>{Val::i32(7)}));
  store.pin(exception.as_ref());
  CHECK(small.values(exception.as_ref()).size() == 1);
  CHECK(large.values(exception.as_ref()).empty());
  CHECK(large.values(Ref::null()).empty());
  store.unpin(exception.as_ref());
}

TEST_CASE("handles do not make what no type allows") {
  Engine engine;
  Store store(engine);
  CHECK(Memory::create(store, {.min = uint64_t{1} << 32, .page_log2 = 0}).error().kind == ErrorKind::Usage);
  CHECK(Memory::create(store, {.min = 65537}).error().kind == ErrorKind::Usage);
  CHECK(Table::create(store, {.min = uint64_t{1} << 32}, Val::null(HeapKind::Func)).error().kind == ErrorKind::Usage);
  CHECK(Table::create(store, {.min = 0, .max = uint64_t{1} << 32}, Val::null(HeapKind::Func)).error().kind ==
        ErrorKind::Usage);
  CHECK(Table::create(store, {.min = UINT64_MAX, .is64 = true}, Val::null(HeapKind::Func)).error().kind ==
        ErrorKind::Limit);
}
