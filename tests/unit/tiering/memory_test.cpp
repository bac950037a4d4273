// Memories and tables at their edges, in every tier: sizes that do not fit an index, and processes that have no room for
// guard pages.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

#include "tests/unit/tiering/fixture.h"

using namespace vmrun;
using vmrun::tiering::ok;

namespace {

struct Way {
  const char* name;
  Tiers tiers;
  Effort effort;
};
constexpr Way kWays[] = {{"quick", Tiers::Interp, Effort::Quick},
                         {"careful", Tiers::Interp, Effort::Careful},
                         {"baseline", Tiers::Baseline, Effort::Auto},
                         {"opt", Tiers::Opt, Effort::Auto},
                         {"auto", Tiers::Auto, Effort::Auto}};

Config config_of(const Way& way) {
  Config config;
  config.tiers = way.tiers;
  config.effort = way.effort;
  return config;
}

// (module (memory $a 1) (memory $b i32 1 (pagesize 1))
//   (func (export "sz") (result i64)
//     (drop (memory.grow $b (i32.const -1)))
//     (i64.extend_i32_u (memory.size $b))))
const std::vector<uint8_t> kBytePages = {0x00, 'a',  's',  'm',  1,    0,    0,    0,    0x01, 0x05, 0x01, 0x60, 0x00,
                                         0x01, 0x7e, 0x03, 0x02, 0x01, 0x00, 0x05, 0x06, 0x02, 0x00, 0x01, 0x08, 0x01,
                                         0x00, 0x07, 0x06, 0x01, 0x02, 's',  'z',  0x00, 0x00, 0x0a, 0x0c, 0x01, 0x0a,
                                         0x00, 0x41, 0x7f, 0x40, 0x01, 0x1a, 0x3f, 0x01, 0xad, 0x0b};

// (module (table $t i64 0 funcref) (func $f) (elem declare func $f)
//   (func (export "go")
//     (drop (table.grow $t (ref.func $f) (i64.const 0x2000000000000001)))
//     (table.set $t (i64.const 100000) (ref.func $f))
//     (call_indirect $t (i64.const 0x12345678))))
const std::vector<uint8_t> kHugeTable = {
    0x00, 'a',  's',  'm',  1,    0,    0,    0,    0x01, 0x04, 0x01, 0x60, 0x00, 0x00, 0x03, 0x03, 0x02,
    0x00, 0x00, 0x04, 0x04, 0x01, 0x70, 0x04, 0x00, 0x07, 0x06, 0x01, 0x02, 'g',  'o',  0x00, 0x01, 0x09,
    0x05, 0x01, 0x03, 0x00, 0x01, 0x00, 0x0a, 0x28, 0x02, 0x02, 0x00, 0x0b, 0x23, 0x00, 0xd2, 0x00, 0x42,
    0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0xfc, 0x0f, 0x00, 0x1a, 0x42, 0xa0, 0x8d, 0x06,
    0xd2, 0x00, 0x26, 0x00, 0x42, 0xf8, 0xac, 0xd1, 0x91, 0x01, 0x11, 0x00, 0x00, 0x0b};

Instance instance_of(Store& store, const std::vector<uint8_t>& image) {
  return ok(Instance::instantiate(store, ok(Module::compile(store.engine(), image)), {}));
}

}  // namespace

TEST_CASE("a memory of 1-byte pages never has more than an i32 can count") {
  for (const Way& way : kWays) {
    CAPTURE(way.name);
    Engine engine(config_of(way));
    Store store(engine);
    Instance instance = instance_of(store, kBytePages);
    CHECK(ok(ok(instance.func("sz")).call())[0].as_i64() == 1);
  }
}

TEST_CASE("a table that would have more bytes than there are numbers does not grow") {
  for (const Way& way : kWays) {
    CAPTURE(way.name);
    Engine engine(config_of(way));
    Store store(engine, {.table_elements = UINT64_MAX});
    Instance instance = instance_of(store, kHugeTable);
    const auto result = ok(instance.func("go")).call();
    REQUIRE_FALSE(result);
    CHECK(result.error().trap == TrapCode::TableOutOfBounds);
  }
}

/// A test of ctest by itself (tiering_address_space).
TEST_CASE("without address space for guards, accesses are checked in every tier" * doctest::skip()) {
  for (const Way& way : kWays) {
    CAPTURE(way.name);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const rlimit limit{4'000'000ul << 10, RLIM_INFINITY};
      if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
      Engine engine(config_of(way));
      Store store(engine);
      Linker linker(engine);
      (void)linker.func_wrap("env", "add", [](int32_t a, int32_t b) { return a + b; });
      (void)linker.func_wrap("env", "note", [](int64_t, double) {});
      (void)linker.func_wrap("env", "again", [](int32_t n) { return n; });
      Result<Module> module = Module::compile_file(engine, VMRUN_FIXTURES "/engine_basic.wasm");
      if (!module) _exit(3);
      Result<Instance> instance = linker.instantiate(store, *module);
      if (!instance) {
        std::fprintf(stderr, "%s\n", instance.error().to_string().c_str());
        _exit(4);
      }
      const auto call = [&](const char* name, int32_t value) { return instance->func(name)->call({Val::i32(value)}); };
      Result<std::vector<Val>> inside = call("load", 65532);
      if (!inside || (*inside)[0].as_i32() != 0) _exit(5);
      for (const char* name : {"load", "load_far"}) {
        Result<std::vector<Val>> outside = call(name, 65533);
        if (outside || outside.error().trap != TrapCode::MemoryOutOfBounds) _exit(6);
      }
      Result<std::vector<Val>> grown = call("grow", 2);
      if (!grown || (*grown)[0].as_i32() != 1 || !call("load", 65533)) _exit(7);
      _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
}
