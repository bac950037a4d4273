// Exceptions: where they land and what is left of the frames they land in.
#include "tests/support/interp_fixture.h"

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

TEST_CASE("an exception goes through a host function") {
  for (Effort effort : kEfforts) {
    Throws t(effort);
    CHECK(ok(func<int32_t(int32_t)>(t.instance, "by_host").call(8)) == 8);
  }
}
