// The canaries see what they are there for: this test does to a guest's neighbours what an escaped guest would do.
#include "canaries.h"

#include <doctest/doctest.h>

#include "generate_writer.h"
#include "vm/runtime/instance.h"
#include "vm/runtime/store.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

/// A guest with one memory among canaries.
struct Guest {
  explicit Guest(bool dense)
      : engine([dense] {
          Config config;
          config.tiers = Tiers::Interp;
          config.dense_memory = dense;
          return config;
        }()),
        canaries(engine, 1, 1, kStack),
        store(engine, [] {
          StoreLimits limits;
          limits.stack_bytes = kStack;
          return limits;
        }()) {
    generate::ModuleWriter w;
    w.memory({.pages = 1, .max = 2});
    const auto module = Module::compile(engine, w.build(), "guest");
    REQUIRE(module);
    const auto instance = Instance::instantiate(store, *module, {});
    REQUIRE(instance);
    memory = instance->exports().front().second.memory()->data().data();
    canaries.join(store);
    canaries.close();
    canaries.watch(*instance->exports().front().second.memory());
    REQUIRE(canaries.check().empty());
  }
  static constexpr uint64_t kStack = 1u << 20;

  Engine engine;
  Canaries canaries;
  Store store;
  std::byte* memory = nullptr;
};

/// What the canaries say while a byte is another one.
std::string changed(Guest& guest, std::byte* at) {
  *at ^= std::byte{0x40};
  const std::string said = guest.canaries.check();
  *at ^= std::byte{0x40};
  CHECK(guest.canaries.check().empty());
  return said;
}

}  // namespace

TEST_CASE("canaries: a guarded memory stands alone") {
  Guest guest(false);
  CHECK(guest.canaries.guarded() == 1);
#if !defined(__has_feature) || !__has_feature(thread_sanitizer)
  CHECK(guest.canaries.alone() == 1);
#endif
}

TEST_CASE("canaries: what lies behind a dense memory, and the memories in the slots beside it") {
  Guest guest(true);
  CHECK(guest.canaries.guarded() == 0);
  CHECK(changed(guest, guest.memory + 65536) == "what lies behind a dense memory");
  CHECK(changed(guest, guest.memory - guest.engine.config().dense_memory_max_bytes) == "another instance's memory");
  CHECK(changed(guest, guest.memory + guest.engine.config().dense_memory_max_bytes + 65535) ==
        "another instance's memory");
}

TEST_CASE("canaries: the pages around the stack") {
  Guest guest(false);
  std::byte* stack = guest.store.impl().vcpu().stack_base;
  CHECK(changed(guest, stack - 1) == "what lies before the stack");
  CHECK(changed(guest, stack + Guest::kStack + vm::kStackRedZone + vm::kAreaBytes + 4096) ==
        "what lies behind the stack");
}
