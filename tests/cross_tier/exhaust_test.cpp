// Guests that use up what is not linear memory: exceptions live in the host's, so a store bounds them.
#include "tests/support/tiers_world.h"
#include "vm/runtime/store.h"

namespace vmrun::spine {
namespace {

constexpr vm::Tier kAll[] = {vm::Tier::interp, vm::Tier::baseline, vm::Tier::opt};

/// `spin(n)` throws and catches n exceptions, each with the one before as its payload (`chain`) or with null.
Bytes throws(bool chain) {
  ModuleBuilder m;
  const uint32_t tag = m.tag(m.type({exnref}, {}));
  const uint32_t pair = m.type({}, {exnref, exnref});
  const uint32_t spin = m.func("spin", m.type({i32}, {}));
  Code c;
  c.loop().block(pair).try_table(-64, 1, tag, 0);
  if (chain) {
    c.get(1);
  } else {
    c.op({0xd0, exnref});
  }
  c.throw_(tag).end().unreachable().end();
  c.set(1).drop();
  c.get(0).i32_const(1).i32_sub().tee(0).br_if(0).end();
  m.define(spin, c, {exnref});
  return m.build();
}

Result<std::vector<Val>> spin(World& world, const Bytes& image, vm::Tier tier, int32_t n) {
  Module module = world.compile(image);
  World::promote(module, 0, tier);
  Instance instance = ok(world.linker.instantiate(world.store, module));
  return ok(instance.func("spin")).call({Val::i32(n)});
}

TEST_CASE("spine: exhaust: exceptions that a guest holds on to end at the limit") {
  for (vm::Tier tier : kAll) {
    CAPTURE(std::string(vm::to_string(tier)));
    World world(World::nothing(), {.exception_bytes = 1 << 20});
    const auto result = spin(world, throws(true), tier, 1'000'000);
    REQUIRE_FALSE(result);
    CHECK(result.error().trap == TrapCode::OutOfMemory);
    CHECK(result.error().backtrace.size() == 1);
    CHECK(world.store.impl().exns().bytes() <= 1 << 20);
    // What the guest no longer holds is there again.
    ok(spin(world, throws(true), tier, 1000));
  }
}

TEST_CASE("spine: exhaust: exceptions that nobody holds on to do not count") {
  for (vm::Tier tier : kAll) {
    CAPTURE(std::string(vm::to_string(tier)));
    World world(World::nothing(), {.exception_bytes = 1 << 20});
    ok(spin(world, throws(false), tier, 100'000));
  }
}

TEST_CASE("spine: exhaust: the host's exceptions count too") {
  World world(World::nothing(), {.exception_bytes = 1 << 10});
  Tag tag = ok(Tag::create(world.store, {.params = {ValKind::I32}}));
  std::vector<Val> held;
  for (;;) {
    Result<Val> one = tag.exception({{Val::i32(1)}});
    if (!one) {
      CHECK(one.error().kind == ErrorKind::Limit);
      break;
    }
    world.store.pin(one->as_ref());
    held.push_back(*one);
    REQUIRE(held.size() < 100);
  }
  CHECK(held.size() > 5);
}

}  // namespace
}  // namespace vmrun::spine
