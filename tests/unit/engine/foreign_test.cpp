// References and things of one store that somebody hands to another one: an error, wherever they would enter.
#include "tests/unit/engine/fixture.h"

namespace vmrun::test {
namespace {

/// Two stores of one engine, each with an instance of engine_basic.
struct Two : Basic {
  Store other{engine};
  Instance there{nullptr};
  Two() { there = ok(linker.instantiate(other, instance.module())); }
  Func wasm() { return ok(there.func("add")); }
  Func host() {
    return ok(Func::wrap(other, [](int32_t n) { return n; }));
  }
};

template <class T>
void check_foreign(const Result<T>& result) {
  REQUIRE(!result);
  CHECK(result.error().kind == ErrorKind::Usage);
  CHECK(result.error().message.find("does not belong to this store") != std::string::npos);
}

const ValType kFuncref = ValType::funcref(), kExternref = ValType::externref(), kExnref = ValType::exnref();

TEST_CASE("references of another store enter nowhere") {
  Two t;
  const Tag tag_here = ok(Tag::create(t.store, TagType{{ValKind::I32}}));
  const Tag tag_there = ok(Tag::create(t.other, TagType{{ValKind::I32}}));
  const Tag large_there = ok(Tag::create(t.other, TagType{std::vector<ValType>(9, ValKind::I32)}));
  const Val exception_here = ok(tag_here.exception(std::vector{Val::i32(1)}));
  const std::vector<std::pair<ValType, Val>> foreign{
      {kFuncref, Val::func(t.wasm())},
      {kFuncref, Val::func(t.host())},
      {kExternref, Val::externref(t.other, &t)},
      {kExnref, ok(tag_there.exception(std::vector{Val::i32(1)}))},
      {kExnref, ok(large_there.exception(std::vector<Val>(9, Val::i32(1))))},
  };
  const std::vector<std::pair<ValType, Val>> own{
      {kFuncref, Val::func(ok(t.instance.func("add")))},
      {kFuncref, Val::func(ok(Func::wrap(t.store, [](int32_t n) { return n; })))},
      {kExternref, Val::externref(t.store, &t)},
      {kExnref, exception_here},
  };
  for (const auto& [type, value] : own) {
    CAPTURE(value.to_string());
    Table table = ok(Table::create(t.store, TableType{type, 2}, value));
    ok(table.set(1, value));
    CHECK(ok(table.grow(1, value)) == 2);
    ok(ok(Global::create(t.store, GlobalType{type, true}, value)).set(value));
    (void)ok(ok(Func::create(t.store, FuncType{{type}, {}}, [](Caller&, auto, auto) {
               return Result<void>();
             })).call({value}));
    (void)ok(ok(Tag::create(t.store, TagType{{type}})).exception(std::vector{value}));
  }
  for (const auto& [type, value] : foreign) {
    CAPTURE(value.to_string());
    const Val null = Val::zero(type);
    check_foreign(Table::create(t.store, TableType{type, 2}, value));
    Table table = ok(Table::create(t.store, TableType{type, 2}, null));
    check_foreign(table.set(1, value));
    check_foreign(table.grow(1, value));
    CHECK(table.size() == 2);
    CHECK(ok(table.get(1)).is_null());

    check_foreign(Global::create(t.store, GlobalType{type, true}, value));
    Global global = ok(Global::create(t.store, GlobalType{type, true}, null));
    check_foreign(global.set(value));
    CHECK(global.get().is_null());

    bool called = false;
    Func takes = ok(Func::create(t.store, FuncType{{type}, {}}, [&](Caller&, auto, auto) {
      called = true;
      return Result<void>();
    }));
    check_foreign(takes.call({value}));
    CHECK(!called);

    const Val& given = value;
    Func gives = ok(Func::create(t.store, FuncType{{}, {type}}, [&](Caller&, auto, std::span<Val> results) {
      results[0] = given;
      return Result<void>();
    }));
    check_foreign(gives.call());

    check_foreign(ok(Tag::create(t.store, TagType{{type}})).exception(std::vector{value}));
  }
}

TEST_CASE("an exception of another store is neither thrown nor looked into") {
  Two t;
  const Tag here = ok(Tag::create(t.store, TagType{{ValKind::I32}}));
  const Tag there = ok(Tag::create(t.other, TagType{{ValKind::I32}}));
  const Ref foreign = ok(there.exception(std::vector{Val::i32(1)})).as_ref();
  CHECK(there.names(foreign));
  CHECK(there.values(foreign).size() == 1);
  CHECK(!here.names(foreign));
  CHECK(here.values(foreign).empty());
  Func raises =
      ok(Func::from_host(t.store, std::make_shared<HostFunc>(HostFunc{
                                      FuncType{},
                                      [](void* env, vm::Vcpu& vcpu, vm::Instance* instance, const Slot*, Slot*) {
                                        return Caller(vcpu, instance).throw_exception(*static_cast<const Ref*>(env));
                                      },
                                      std::make_shared<Ref>(foreign)})));
  const Result<std::vector<Val>> raised = raises.call();
  REQUIRE(!raised);
  CHECK(raised.error().kind == ErrorKind::Usage);
  CHECK(raised.error().message == "the exception to throw does not belong to this store");
}

TEST_CASE("imports of another store do not link") {
  Two t;
  const Module user = load(t.engine, "engine_user");
  auto items = [](Instance from) {
    return std::vector<Extern>{*from.get("add"), *from.get("divide"), *from.get("memory"), *from.get("counter"),
                               *from.get("table")};
  };
  (void)ok(Instance::instantiate(t.store, user, items(t.instance)));
  for (size_t i = 0; i < 5; ++i) {
    CAPTURE(i);
    std::vector<Extern> imports = items(t.instance);
    imports[i] = items(t.there)[i];
    const Result<Instance> made = Instance::instantiate(t.store, user, imports);
    REQUIRE(!made);
    CHECK(made.error().kind == ErrorKind::Link);
    CHECK(made.error().message == "import " + std::to_string(i) + " belongs to another store");
    CHECK(t.linker.define("mixed", std::to_string(i), imports[i], t.store).error().kind == ErrorKind::Usage);
  }
}

TEST_CASE("a linker and a store of different engines") {
  Basic b;
  Engine other;
  Store store(other);
  const Result<Instance> made = b.linker.instantiate(store, load(other, "engine_basic"));
  REQUIRE(!made);
  CHECK(made.error().kind == ErrorKind::Usage);
  CHECK(!b.linker.get(store, "env", "add"));
}

}  // namespace
}  // namespace vmrun::test
