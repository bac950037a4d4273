// One thread at a time uses a store. Who breaks that is told, not only by a call (docs/guide.md, "Run many").
#include <csignal>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/child.h"
#include "tests/unit/engine/fixture.h"
#include "vm/runtime/store_use.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

template <class Again>
void define_all(Linker& linker, Again again) {
  ok(linker.func_wrap("env", "add", [](int32_t a, int32_t b) { return a + b; }));
  ok(linker.func_wrap("env", "note", [](int64_t, double) {}));
  ok(linker.func_wrap("env", "again", std::move(again)));
}

/// What each change of the store says that the calling thread makes.
std::vector<std::optional<Error>> change(Store& store, const Instance& instance, const Linker& linker,
                                         const Prepared& prepared) {
  std::vector<std::optional<Error>> said;
  const auto note = [&](const auto& result) {
    said.push_back(result ? std::optional<Error>() : std::optional<Error>(result.error()));
  };
  const Module& module = prepared.module();
  Memory memory = *instance.memory("memory");
  Table table = *instance.table("table");
  Global global = *instance.global("counter");
  note(memory.grow(1));
  note(table.grow(1, Val::zero(ValType::funcref())));
  note(table.set(1, Val::zero(ValType::funcref())));
  note(global.set(Val::i32(99)));
  note(Memory::create(store, {.min = 1}));
  note(Table::create(store, table.type(), Val::zero(ValType::funcref())));
  note(Global::create(store, global.type(), Val::i32(1)));
  note(Func::wrap(store, [](int32_t n) { return n; }));
  note(Tag::create(store, {{ValType(ValKind::I32)}}));
  note(linker.instantiate(store, module));
  note(prepared.instantiate(store));
  note(Instance::instantiate(store, module, {}));
  note(ok(instance.func("nested")).call({Val::i32(0)}));
  return said;
}

constexpr size_t kWithoutImports = 11;  // the one above that fails in any case

void check_refused(const std::vector<std::optional<Error>>& said, const char* words) {
  CHECK(said.size() == 13);
  for (size_t i = 0; i < said.size(); ++i) {
    CAPTURE(i);
    REQUIRE(said[i]);
    CHECK(said[i]->kind == ErrorKind::Usage);
    CAPTURE(said[i]->message);
    CHECK(said[i]->message.find(words) != std::string::npos);
    CHECK(said[i]->message.find("one thread at a time uses a store") != std::string::npos);
  }
}

void check_done(const std::vector<std::optional<Error>>& said) {
  for (size_t i = 0; i < said.size(); ++i) {
    CAPTURE(i);
    if (said[i] && i != kWithoutImports) FAIL_CHECK(said[i]->to_string());
  }
}

}  // namespace

TEST_CASE("a store that two threads use at once says so") {
  Engine engine;
  Store store(engine);
  Linker linker(engine);
  define_all(linker, [](int32_t n) { return n; });
  linker.allow_shadowing(true);
  Result<std::vector<Val>> other = std::vector<Val>();
  std::optional<Instance> instance;
  ok(linker.func_wrap("env", "again", [&](int32_t n) {
    if (n == 0) return n;
    // While this thread's guest is in the host, another thread calls into the store.
    std::jthread([&] { other = ok(instance->func("nested")).call({Val::i32(0)}); });
    return n;
  }));
  instance = ok(linker.instantiate(store, load(engine, "engine_basic")));
  CHECK(ok(ok(instance->func("nested")).call({Val::i32(1)}))[0].as_i32() == 1);
  REQUIRE_FALSE(other);
  CHECK(other.error().kind == ErrorKind::Usage);
  CHECK(other.error().message.find("runs on another thread") != std::string::npos);
  CHECK(other.error().message.find("one thread at a time uses a store") != std::string::npos);
}

TEST_CASE("while a guest runs, another thread changes nothing of its store, and the guest's own thread may") {
  for (const Tiers tiers : {Tiers::Interp, Tiers::Baseline}) {
    CAPTURE(static_cast<int>(tiers));
    Config config;
    config.tiers = tiers;
    Engine engine(config);
    Store store(engine);
    Linker linker(engine);
    std::optional<Instance> instance;
    std::optional<Prepared> prepared;
    std::vector<std::optional<Error>> elsewhere, here;
    define_all(linker, [&](int32_t n) {
      if (n == 0) return n;
      std::thread([&] { elsewhere = change(store, *instance, linker, *prepared); }).join();
      here = change(store, *instance, linker, *prepared);
      return n;
    });
    const Module module = load(engine, "engine_basic");
    instance = ok(linker.instantiate(store, module));
    prepared = ok(linker.prepare(module));
    const uint64_t pages = instance->memory("memory")->size_pages();
    CHECK(ok(ok(instance->func("nested")).call({Val::i32(1)}))[0].as_i32() == 1);
    check_refused(elsewhere, "a guest of this store runs on another thread, number ");
    check_done(here);
    CHECK(instance->memory("memory")->size_pages() == pages + 1);  // by the guest's own thread
    CHECK(instance->global("counter")->get().as_i32() == 99);
    // Behind the call any thread may.
    std::thread([&] { here = change(store, *instance, linker, *prepared); }).join();
    check_done(here);
    CHECK(instance->memory("memory")->size_pages() == pages + 2);
  }
}

TEST_CASE("while a guest runs, no other thread makes exceptions in its store, or brings memories into it") {
  Engine engine;
  Store store(engine);
  Linker linker(engine);
  const SharedMemory memory = ok(SharedMemory::create(engine, {.min = 1, .max = 3, .shared = true}));
  const Tag tag = ok(Tag::create(store, {{ValType(ValKind::I32)}}));
  const auto both = [&] {
    const Val value = Val::i32(1);
    const Result<Val> thrown = tag.exception(std::span(&value, 1));
    const Result<Memory> brought = memory.in(store);
    CHECK(thrown.ok() == brought.ok());
    for (const Error* error : {thrown ? nullptr : &thrown.error(), brought ? nullptr : &brought.error()}) {
      if (error != nullptr) CHECK(error->message.find("one thread at a time uses a store") != std::string::npos);
    }
    return thrown.ok();
  };
  bool elsewhere = true, here = false;
  define_all(linker, [&](int32_t n) {
    std::thread([&] { elsewhere = both(); }).join();
    here = both();
    return n;
  });
  const Instance instance = ok(linker.instantiate(store, load(engine, "engine_basic")));
  ok(ok(instance.func("nested")).call({Val::i32(0)}));
  CHECK_FALSE(elsewhere);
  CHECK(here);
}

TEST_CASE("a shared memory grows from any thread, whoever's guest runs") {
  Engine engine;
  const SharedMemory memory = ok(SharedMemory::create(engine, {.min = 1, .max = 3, .shared = true}));
  Store store(engine);
  Linker linker(engine);
  bool grew = false;
  std::optional<Instance> instance;
  define_all(linker, [&](int32_t n) {
    std::thread([&] { grew = SharedMemory(memory).grow(1).ok(); }).join();
    return n;
  });
  ok(memory.in(store));
  instance = ok(linker.instantiate(store, load(engine, "engine_basic")));
  ok(ok(instance->func("nested")).call({Val::i32(0)}));
  CHECK(grew);
}

TEST_CASE("builds with assertions say that another thread is changing a store whose guests do not run") {
  Engine engine;
  Store store(engine);
  Linker linker(engine);
  define_all(linker, [](int32_t n) { return n; });
  const Module module = load(engine, "engine_basic");
  const Instance instance = ok(linker.instantiate(store, module));
  const Prepared prepared = ok(linker.prepare(module));
  std::vector<std::optional<Error>> said;
  {
    const vm::StoreUse use(store.impl());
    REQUIRE_FALSE(use.refused());
    check_done(change(store, instance, linker, prepared));  // it nests
    std::thread([&] { said = change(store, instance, linker, prepared); }).join();
  }
#ifdef VMRUN_ASSERTIONS
  check_refused(said, "is changing this store");
#else
  check_done(said);
#endif
  std::thread([&] { said = change(store, instance, linker, prepared); }).join();
  check_done(said);
}

namespace {

/// Does `what` on another thread while a guest of the store runs on this one.
template <class What>
void beside_a_guest(What what) {
  Engine engine;
  std::optional<Store> store(std::in_place, engine);
  Linker linker(engine);
  define_all(linker, [&](int32_t n) {
    std::thread([&] { what(store, linker); }).join();
    return n;
  });
  const Instance instance = ok(linker.instantiate(*store, load(engine, "engine_basic")));
  ok(ok(instance.func("nested")).call({Val::i32(0)}));
}

void check_ends(const char* child, const std::string& says) {
  const Ended ended = in_child(child);
  CAPTURE(ended.text);
  CHECK(ended.status == -SIGABRT);
  CHECK(ended.text.find(says + ", but a guest of this store runs on another thread, number ") != std::string::npos);
}

}  // namespace

TEST_CASE("two threads child: a store is destroyed while its guest runs elsewhere" * doctest::skip()) {
  beside_a_guest([](std::optional<Store>& store, const Linker&) { store.reset(); });
}

TEST_CASE("two threads child: a definition is brought into a store while its guest runs elsewhere" * doctest::skip()) {
  beside_a_guest([](std::optional<Store>& store, const Linker& linker) { linker.get(*store, "env", "note"); });
}

TEST_CASE("two threads child: a store is made beside one while its guest runs elsewhere" * doctest::skip()) {
  beside_a_guest([](std::optional<Store>& store, const Linker&) { Store::beside(*store); });
}

TEST_CASE(
    "what another thread may not do to a store while its guest runs, and cannot be refused, ends the process with the "
    "reason") {
  check_ends("two threads child: a store is destroyed while its guest runs elsewhere", "a store is destroyed");
  check_ends("two threads child: a definition is brought into a store while its guest runs elsewhere",
             "a definition is brought into a store");
  check_ends("two threads child: a store is made beside one while its guest runs elsewhere",
             "a store is made beside another one");
}
