// Frames of many thousand locals.
#include <doctest/doctest.h>

#include "tests/support/module_bytes.h"
#include "vmrun/vmrun.h"

using namespace vmrun;

namespace {

constexpr uint32_t kLocals = 20'000;  // 160 KB: more than what lies below the stack's limit

/// f(n) = n == 0 ? 7 : f(n - 1) + n + 100, the two kept in the first and last of many locals across the call.
test::Bytes module_bytes() {
  using test::append;
  using test::append_u32;
  test::Bytes body = {1}, set_last, get_last;
  append_u32(body, kLocals);
  body.push_back(0x7e);
  set_last.push_back(0x21), append_u32(set_last, kLocals);
  get_last.push_back(0x20), append_u32(get_last, kLocals);
  append(body, {0x20, 0, 0x45, 0x04, 0x7e, 0x42, 7, 0x05});  // local.get 0, i32.eqz, if (i64) i64.const 7 else
  append(body, {0x20, 0, 0xad}), append(body, set_last);     // last = n
  append(body, {0x42, 0xe4, 0, 0x21, 1});                    // 1 = 100
  append(body, {0x20, 0, 0x41, 1, 0x6b, 0x10, 0});           // f(n - 1)
  append(body, get_last), append(body, {0x7c, 0x20, 1, 0x7c, 0x0b, 0x0b});
  test::Bytes out = test::func_module({0x60, 1, 0x7f, 1, 0x7e}, body);
  // The export goes between functions and code.
  const test::Bytes exports = {7, 5, 1, 1, 'f', 0, 0};
  out.insert(out.begin() + 8 + 8 + 4, exports.begin(), exports.end());
  return out;
}

}  // namespace

TEST_CASE("large frames") {
  Config config;
  config.tiers = Tiers::Baseline;
  Engine engine(config);
  Result<Module> module = Module::compile(engine, module_bytes());
  REQUIRE(module);
  Store store(engine);
  Result<Instance> instance = Instance::instantiate(store, *module, {});
  REQUIRE(instance);
  Func f = *instance->func("f");
  const Val few[] = {Val::i32(3)}, many[] = {Val::i32(1'000'000)};
  for (int i = 0; i < 2; ++i) {
    Result<std::vector<Val>> results = f.call(few);
    REQUIRE(results);
    CHECK((*results)[0].as_i64() == 7 + (1 + 2 + 3) + 3 * 100);
    results = f.call(many);
    REQUIRE(!results);
    CHECK(results.error().trap == TrapCode::StackOverflow);
  }
  CHECK(module->tier_stats(Tier::Baseline).functions == 1);
}
