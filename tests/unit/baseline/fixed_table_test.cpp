// Tables with nowhere to grow: machine code has their size as a constant. An imported table of that type is the host's.
#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include "tests/support/module_bytes.h"
#include "vmrun/vmrun.h"

using namespace vmrun;

namespace {

/// A table of `size` functions, all of which return 7. "call" (i32) -> i32 calls through it, "get" (i32) -> i32 says whether
/// an entry is null, "grow" (i32) -> i32 grows the table.
test::Bytes image(uint8_t size, bool imported) {
  test::Bytes out = test::kHeader;
  test::append_section(out, 1, {2, 0x60, 0, 1, 0x7f, 0x60, 1, 0x7f, 1, 0x7f});
  if (imported) test::append_section(out, 2, {1, 1, 'h', 1, 't', 1, 0x70, 1, size, size});
  test::append_section(out, 3, {4, 0, 1, 1, 1});
  if (!imported) test::append_section(out, 4, {1, 0x70, 1, size, size});
  test::append_section(out, 7, {3, 4, 'c', 'a', 'l', 'l', 0, 1, 3, 'g', 'e', 't', 0, 2, 4, 'g', 'r', 'o', 'w', 0, 3});
  test::Bytes elements = {1, 0, 0x41, 0, 0x0b, size};
  elements.insert(elements.end(), size, 0);
  test::append_section(out, 9, elements);
  test::append_section(out, 10, {4,                                                 //
                                 4, 0, 0x41, 7,    0x0b,                            // i32.const 7
                                 7, 0, 0x20, 0,    0x11, 0, 0,    0x0b,             // call_indirect
                                 7, 0, 0x20, 0,    0x25, 0, 0xd1, 0x0b,             // table.get, ref.is_null
                                 9, 0, 0xd0, 0x70, 0x20, 0, 0xfc, 15,   0, 0x0b});  // table.grow by it, of nulls
  return out;
}

template <class T>
T ok(Result<T> result) {
  REQUIRE(result);
  return std::move(*result);
}

}  // namespace

TEST_CASE("a table with nowhere to grow has its size for good") {
  for (const Tiers tiers : {Tiers::Interp, Tiers::Baseline, Tiers::Opt}) {
    for (const bool imported : {false, true}) {
      for (const uint8_t size : {0, 1, 3, 100}) {
        CAPTURE(imported);
        CAPTURE(size);
        Config config;
        config.tiers = tiers;
        const Engine engine(config);
        const Module module = ok(Module::compile(engine, image(size, imported)));
        Store store(engine);
        Linker linker(engine);
        if (imported) {
          const Table table = ok(Table::create(store, {ValType::funcref(), size, size}, Val::null(HeapKind::Func)));
          REQUIRE(linker.define("h", "t", table, store));
        }
        const Instance instance = ok(linker.instantiate(store, module));
        const auto call = ok(ok(instance.func("call")).typed<int32_t(int32_t)>());
        const auto get = ok(ok(instance.func("get")).typed<int32_t(int32_t)>());
        const auto grow = ok(ok(instance.func("grow")).typed<int32_t(int32_t)>());
        for (int round = 0; round < 2; ++round) {
          for (int64_t at : {int64_t{0}, int64_t{size} - 1, int64_t{size}, int64_t{size} + 1, int64_t{INT32_MAX},
                             int64_t{-1}, int64_t{INT32_MIN}}) {
            CAPTURE(at);
            const Result<int32_t> called = call.call(static_cast<int32_t>(at)),
                                  got = get.call(static_cast<int32_t>(at));
            if (at >= 0 && at < size) {
              CHECK(*called == 7);
              CHECK(*got == 0);
            } else {
              REQUIRE_FALSE(called);
              CHECK(called.error().trap == TrapCode::UndefinedElement);
              REQUIRE_FALSE(got);
              CHECK(got.error().trap == TrapCode::TableOutOfBounds);
            }
          }
          CHECK(*grow.call(1) == -1);
          CHECK(*grow.call(0) == size);
        }
      }
    }
  }
}
