// Exceptions: where they land and what is left of the frames they land in.
#include "interp/abi.h"
#include "tests/support/interp_fixture.h"
#include "tests/support/module_bytes.h"
#include "vm/wasm/module.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

struct Throws : World {
  Instance instance{nullptr};
  explicit Throws(Effort effort) : World(effort) {
    ok(linker.func_wrap("env", "call", [this](int32_t n) -> Result<void> {
      Result<void> result = func<void(int32_t)>(instance, "throw_a").call(n);
      if (!result) return result.error();
      return {};
    }));
    instance = run("interp_throw");
  }
};

}  // namespace

TEST_CASE("an exception lands with its payload, past any number of frames") {
  for (Effort effort : kEfforts) {
    Throws t(effort);
    auto deep = func<int32_t(int32_t, int32_t)>(t.instance, "deep");
    CHECK(ok(deep.call(0, 11)) == 11);
    CHECK(ok(deep.call(1000, 12)) == 12);
    for (int i = 0; i < 1000; ++i)
      CHECK(ok(func<int32_t(int32_t)>(t.instance, "state").call(i)) == i * 10 + 100 + i + 2);
    CHECK(ok(func<double()>(t.instance, "other_tag").call()) == 7);
    CHECK(ok(func<int32_t()>(t.instance, "vector").call()) == 13);
    CHECK(ok(func<int32_t(int32_t)>(t.instance, "many").call(100000)) == static_cast<int32_t>(100000LL * 100001 / 2));
  }
}

TEST_CASE("rethrow and delegate") {
  for (Effort effort : kEfforts) {
    Throws t(effort);
    CHECK(ok(func<int32_t(int32_t)>(t.instance, "rethrown").call(5)) == 6);
    CHECK(ok(func<int32_t(int32_t)>(t.instance, "nested_rethrow").call(5)) == 10);
    CHECK(ok(func<int32_t(int32_t)>(t.instance, "delegated").call(5)) == 5);
  }
}

TEST_CASE("an exception that nobody catches leaves for the host with a backtrace") {
  for (Effort effort : kEfforts) {
    Throws t(effort);
    Result<void> result = func<void(int32_t)>(t.instance, "throw_a").call(3);
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == ErrorKind::Exception);
    REQUIRE(result.error().backtrace.size() == 1);
    CHECK(result.error().backtrace[0].function == "throw_a");
  }
}

// The place of a throw is looked up, however many tries have ended before it.
TEST_CASE("exceptions that are thrown on from catch part to catch part land in the tries around them") {
  constexpr uint32_t kTries = 5000;
  Bytes body = {1, 1, 0x7e};  // one local of type i64
  const auto all = [&](const Bytes& part, uint32_t times) {
    for (uint32_t i = 0; i < times; ++i) append(body, part);
  };
  all({0x06, 0x40}, kTries);                                                // try
  all({0x08, 0}, 1);                                                        // throw 0
  all({0x19, 0x20, 0, 0x42, 1, 0x7c, 0x21, 0, 0x09, 0, 0x0b}, kTries - 1);  // catch_all: count, rethrow
  all({0x19, 0x0b, 0x20, 0, 0x0b}, 1);
  Bytes image = kHeader, code = {1};
  append_u32(code, static_cast<uint32_t>(body.size()));
  append(code, body);
  append_section(image, 1, {2, 0x60, 0, 1, 0x7e, 0x60, 0, 0});
  append_section(image, 3, {1, 0});
  append_section(image, 13, {1, 0, 1});
  append_section(image, 7, {1, 1, 'f', 0, 0});
  append_section(image, 10, code);
  World world(Effort::Quick);
  const Module module = ok(Module::compile(world.engine, image));
  const Instance instance = ok(world.linker.instantiate(world.store, module));
  CHECK(ok(func<int64_t()>(instance, "f").call()) == kTries - 1);
  const auto& made = *static_cast<const interp::Translation*>(module.impl()->code(0).interp.load());
  CHECK(made.span_count <= 2 * kTries);
  // All tries are open at the first throw; each catch part is in one fewer.
  REQUIRE(made.span_count >= kTries);
  CHECK(made.spans[made.span_count - 1].region == interp::kNone);
  for (uint32_t i = 1; i < made.span_count; ++i) CHECK(made.spans[i - 1].cell < made.spans[i].cell);
}

TEST_CASE("an exception goes through a host function") {
  for (Effort effort : kEfforts) {
    Throws t(effort);
    CHECK(ok(func<int32_t(int32_t)>(t.instance, "by_host").call(8)) == 8);
  }
}
