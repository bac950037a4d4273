// Loops that are compiled alone, and called by baseline code: each way out of them, what ends a guest in them, code that is
// given up, and what is no such unit.
#include <atomic>
#include <chrono>
#include <thread>

#include "jit/stop/sample.h"
#include "tests/support/tiers_world.h"
#include "vm/blocks/policy.h"
#include "vm/wasm/loops.h"

namespace vmrun::spine {
namespace {

using namespace std::chrono_literals;
using vm::Tier;

constexpr int64_t kVoid = -64, kF64 = -4;

enum class Exit : uint8_t {
  end,
  end_with_value,
  block_with_value,
  block_with_three,
  returns,
  outer_loop,
  throws,
  callee_throws,
  table,
};
constexpr unsigned kExits = 9;

struct Guest {
  Bytes image;
  uint32_t subject, loop;
};

/// A function whose loop is left in its fifth iteration. Its result has to do with locals of all kinds, with one that the loop
/// leaves alone, with what stands beneath the loop and with what the label takes.
Guest leaving(Exit exit) {
  ModuleBuilder m;
  const uint32_t three = m.type({}, {i32, i64, f64}), tag = m.tag(m.type({}, {}));
  const uint32_t thrower = m.func("thrower", m.type({}, {}));
  m.define(thrower, Code().throw_(tag));
  const uint32_t subject = m.func("subject", m.type({i64, f64, v128}, {i64}));
  enum : uint32_t { a, x, v, i, outer, kept, y, b, j };
  Code c;
  const auto begin = [&](int64_t type = kVoid) {
    c.mark("loop").loop(type);
    c.get(i).i32_const(1).i32_add().tee(i).i64_extend_i32_u().get(a).i64_add().set(a);
    c.get(x).get(x).f64_add().set(x).get(v).get(v).i64x2_add().set(v);
  };
  const auto again = [&]() -> Code& { return c.get(i).i32_const(5).i32_lt_u(); };
  c.get(a).set(kept).i64_const(1000);
  switch (exit) {
    case Exit::end:
      begin();
      again().br_if(0).end();
      break;
    case Exit::end_with_value:
      begin(kF64);
      again().br_if(0).get(x).end().set(y);
      break;
    case Exit::block_with_value:
      c.block(kF64);
      begin();
      c.get(x).get(i).i32_const(5).i32_eq().br_if(1).drop().br(0).end().unreachable().end().set(y);
      break;
    case Exit::block_with_three:
      c.block(three);
      begin();
      c.get(i).get(a).get(x).get(i).i32_const(5).i32_eq().br_if(1).drop().drop().drop().br(0).end().unreachable().end();
      c.set(y).set(b).set(j);
      break;
    case Exit::returns:
      begin();
      again().br_if(0).get(a).get(kept).i64_add().ret().end();
      break;
    case Exit::outer_loop:
      c.loop().get(outer).i32_const(1).i32_add().set(outer);
      begin();
      again().br_if(0).get(outer).i32_const(3).i32_lt_u().br_if(1).end().end();
      break;
    case Exit::throws:
    case Exit::callee_throws:
      c.block().try_table(kVoid, 0, tag, 0);
      begin();
      again().br_if(0);
      exit == Exit::throws ? c.throw_(tag) : c.call(thrower);
      c.end().end().end();
      break;
    case Exit::table:
      c.block().block();
      begin();
      c.get(i).op({0x0e}).u(5).u(0).u(0).u(0).u(0).u(0).u(2).end().end().end();
      break;
  }
  c.get(a).i64_add().get(v).op({0xfd, 29, 0}).i64_add().get(x).op({0xbd}).i64_add().get(y).op({0xbd}).i64_add();
  c.get(i).i64_extend_i32_u().i64_add().get(j).i64_extend_i32_u().i64_add().get(b).i64_add().get(kept).i64_add();
  m.define(subject, c, {i32, i32, i64, f64, i64, i32});
  return {m.build(), subject, m.offset(subject, "loop")};
}

uint32_t unit_of(const Module& module, const Guest& g) {
  return jit::kAlone | (module.impl()->funcs[g.subject].body.begin + g.loop);
}

TEST_CASE("spine: alone: each way out of a loop") {
  for (unsigned exit = 0; exit < kExits; ++exit) {
    CAPTURE(exit);
    const Guest g = leaving(static_cast<Exit>(exit));
    const auto call = [&](World& world, const Module& module) {
      Instance instance = ok(world.linker.instantiate(world.store, module));
      const std::vector<Val> args = {Val::i64(77), Val::f64(0.3), Val::v128({5, 9})};
      return ok(ok(instance.func("subject")).call(args))[0].as_i64();
    };
    World plain;
    const Module interpreted = plain.compile(g.image);
    const int64_t expected = call(plain, interpreted);
    for (const bool running : {false, true}) {
      CAPTURE(running);
      tiering::Schedule schedule = {{.func_index = g.subject, .tier = Tier::baseline}};
      if (running) {  // it becomes a unit while it runs
        schedule.push_back({.func_index = g.subject, .unit = unit_of(interpreted, g), .at = 1, .tier = Tier::opt});
      }
      World world(std::move(schedule));
      const Module module = world.compile(g.image);
      if (!running) World::promote(module, g.subject, Tier::opt, unit_of(module, g));
      CHECK(call(world, module) == expected);
      CHECK(World::osr_entries(module, g.subject, Tier::opt) >= 1);
      // Given up, while baseline code that asks for it stays; and with all code.
      auto& tiers = *static_cast<tiering::ModuleTiers*>(module.impl()->tiers);
      const uint64_t before = World::osr_entries(module, g.subject, Tier::opt);
      CHECK(tiers.drop_oldest() != 0);
      CHECK(call(world, module) == expected);
      while (tiers.drop_oldest() != 0) {
      }
      CHECK(call(world, module) == expected);
      CHECK(World::osr_entries(module, g.subject, Tier::opt) == before);
    }
  }
}

TEST_CASE("spine: alone: a unit that is called too often for what it does is given up") {
  const Guest g = leaving(Exit::end);
  World world;
  const Module module = world.compile(g.image);
  World::promote(module, g.subject, Tier::baseline);
  World::promote(module, g.subject, Tier::opt, unit_of(module, g));
  vm::LoopCode& loop = *vm::loops_of(module.impl()->code(g.subject))->find(jit::loop_of(unit_of(module, g)));
  const void* const unit = loop.unit.load();
  REQUIRE(unit != nullptr);
  const auto tick = [&](uint32_t calls) {
    loop.polls = loop.polls + calls;
    vm::Vcpu cx{};
    jit::sample(cx, unit, 1);
  };
  // As often as may be, for as long as may be.
  for (int i = 0; i < 100; ++i) tick(policy::kMostUnitCalls / 2);
  CHECK(loop.unit.load() == unit);
  CHECK(loop.entry_tier.load() == Tier::opt);
  tick(policy::kMostUnitCalls);
  CHECK(loop.unit.load() == nullptr);
  CHECK(loop.entry_tier.load() == Tier::baseline);
  CHECK(tiering::Manager::promote(*module.impl(), g.subject, Tier::opt, unit_of(module, g)).starts_with("given up"));
  Instance instance = ok(world.linker.instantiate(world.store, module));
  const std::vector<Val> args = {Val::i64(1), Val::f64(1), Val::v128({1, 1})};
  ok(ok(instance.func("subject")).call(args));
  CHECK(World::osr_entries(module, g.subject, Tier::opt) == 0);
}

TEST_CASE("spine: alone: a guest that is stopped in it has one frame") {
  ModuleBuilder m;
  const uint32_t spin = m.func("spin", m.type({}, {}));
  m.define(
      spin,
      Code().get(0).i32_const(1).i32_add().set(0).mark("loop").loop().get(0).i32_const(1).i32_add().set(0).br(0).end(),
      {i32});
  const Guest g = {m.build(), spin, m.offset(spin, "loop")};
  World world;
  const Module module = world.compile(g.image);
  World::promote(module, spin, Tier::opt, unit_of(module, g));
  World::promote(module, spin, Tier::baseline);
  Instance instance = ok(world.linker.instantiate(world.store, module));
  std::thread asker([&] {
    while (World::osr_entries(module, spin, Tier::opt) == 0) std::this_thread::yield();
    std::this_thread::sleep_for(5ms);
    world.store.interrupt();
  });
  const auto result = ok(instance.func("spin")).call({});
  asker.join();
  REQUIRE_FALSE(result);
  CHECK(result.error().trap == TrapCode::Interrupted);
  REQUIRE(result.error().backtrace.size() == 1);
  CHECK(result.error().backtrace[0].func_index == spin);
  CHECK(result.error().backtrace[0].offset > module.impl()->funcs[spin].body.begin + g.loop);
}

TEST_CASE("spine: alone: what is no such unit") {
  ModuleBuilder m;
  const uint32_t none = m.type({}, {});
  const uint32_t tail = m.func("tail", none), plain = m.func("plain", none);
  m.define(tail, Code().mark("loop").loop().return_call(plain).end());
  m.define(plain, Code().mark("loop").loop().end());
  World world;
  const Module module = world.compile(m.build());
  const auto refusal = [&](uint32_t func, Tier tier) {
    const uint32_t unit = jit::kAlone | (module.impl()->funcs[func].body.begin + m.offset(func, "loop"));
    return tiering::Manager::promote(*module.impl(), func, tier, unit);
  };
  CHECK(refusal(plain, Tier::opt).empty());
  CHECK(refusal(tail, Tier::opt).starts_with("a tail call in a loop by itself"));
  CHECK(refusal(plain, Tier::baseline) == "the function has no loop there");
}

}  // namespace
}  // namespace vmrun::spine
