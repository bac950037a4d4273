// Which unit is compiled for a hot loop, what pays for it, and in which order compiles that wait are taken.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine_impl.h"
#include "tests/support/module_builder.h"
#include "tests/unit/tiering/fixture.h"
#include "tiering/loop_nest.h"
#include "tiering/policy.h"
#include "tiering/processors.h"
#include "vm/wasm/loops.h"

namespace vmrun::tiering {
namespace {

using policy::Work;
using spine::Code;
using vm::Tier;

Engine interpreting() {
  Config config;
  config.tiers = Tiers::Interp;
  return Engine(config);
}

Module one_function(const Engine& engine, const Code& code) {
  spine::ModuleBuilder builder;
  builder.define(builder.func("f", builder.type({}, {})), code);
  return ok(Module::compile(engine, builder.build(), "units"));
}

/// Refuses whatever it is asked for, and remembers it.
class Refuser final : public jit::Compiler {
 public:
  Tier tier() const override { return Tier::opt; }
  jit::CompileResult compile(const jit::CompileRequest& request) override {
    std::lock_guard lock(mutex_);
    units_.push_back(request.unit);
    return {jit::CompileResult::Status::unsupported, "not in this test"};
  }
  std::vector<uint32_t> units() {
    std::lock_guard lock(mutex_);
    return units_;
  }

 private:
  std::mutex mutex_;
  std::vector<uint32_t> units_;
};

/// A nest of loops, three unless said otherwise, in a module of its own, whose ticks the test makes.
struct Nest {
  explicit Nest(jit::Compiler& opt, const Code& body = Code().loop().loop().loop().end().end().end())
      : module(one_function(engine, body)),
        manager(only_opt(opt, 1)),
        attached(manager, module),
        code(attached.code(0)),
        loops(vm::loops_of(code)->loops) {}

  /// A tick in a loop: the innermost of three.
  void tick(uint32_t loop = 2) {
    vm::TierHooks* hooks = module.impl()->tiers;
    hooks->hot_loop(hooks, code, loops[loop], Tier::baseline);
    manager.wait_idle();
  }

  Engine engine = interpreting();
  Module module;
  Manager manager;
  Attached attached;
  vm::FuncCode& code;
  vm::LoopCode* loops;
};

constexpr int kManyTicks = 1000;

TEST_CASE("a hot innermost loop is entered at the loop around it, and never from further out") {
  Refuser asked;
  Nest nest(asked);
  if (!nest.manager.samples()) {
    std::puts("skipped: nothing is sampled here");
    return;
  }
  for (uint32_t i = 0; i < kManyTicks && asked.units().empty(); ++i) {
    nest.loops[1].polls = 1 + i / policy::kReachTicks;  // it ends once in so many ticks
    nest.tick();
  }
  REQUIRE(asked.units().size() == 1);
  CHECK(asked.units()[0] == nest.loops[1].offset);
  // There is no code for that entry, so the loop has to be entered itself, and that has to be earned anew.
  nest.tick();
  CHECK(asked.units().size() == 1);
  for (int i = 0; i < kManyTicks; ++i) nest.tick();
  CHECK(asked.units() == std::vector<uint32_t>{nest.loops[1].offset, nest.loops[2].offset});
}

TEST_CASE("a loop that is never left is entered itself") {
  Refuser asked;
  Nest nest(asked);
  if (!nest.manager.samples()) {
    std::puts("skipped: nothing is sampled here");
    return;
  }
  for (int i = 0; i < kManyTicks && asked.units().empty(); ++i) nest.tick();
  REQUIRE(asked.units().size() == 1);
  CHECK(asked.units()[0] == nest.loops[2].offset);
}

TEST_CASE("code for one loop leaves the heat of those beside it as it was") {
  std::string why;
  jit::Compiler* opt = jit::load_opt_compiler(&why);
  REQUIRE_MESSAGE(opt != nullptr, why);
  const Engine engine = interpreting();
  const Module module = one_function(
      engine, Code().i32_const(0).drop().loop().i32_const(0).br_if(0).end().loop().i32_const(0).br_if(0).end());
  Manager manager(only_opt(*opt, 1));
  if (!manager.samples()) {
    std::puts("skipped: nothing is sampled here");
    return;
  }
  Attached attached(manager, module);
  vm::FuncCode& code = attached.code(0);
  vm::LoopCode* loops = vm::loops_of(code)->loops;
  auto tick = [&](uint32_t loop) {
    vm::TierHooks* hooks = module.impl()->tiers;
    hooks->hot_loop(hooks, code, loops[loop], Tier::baseline);
    manager.wait_idle();
  };
  auto unpaid = [&](uint32_t loop) { return loops[loop].heat.load() - loops[loop].paid.load(); };
  tick(0);
  REQUIRE(unpaid(0) == policy::kTickHeat);
  for (int i = 0; i < kManyTicks && loops[1].entry.load() == nullptr; ++i) tick(1);
  REQUIRE(loops[1].entry.load() != nullptr);
  CHECK(unpaid(1) == 0);
  CHECK(unpaid(0) == policy::kTickHeat);
}

TEST_CASE("an entry at a loop pays with the time of all that the loops around it contain") {
  // Two nests of two loops, in one loop: entered in the first, code goes on through the second and back.
  Refuser asked;
  Nest nest(asked, Code().loop().loop().loop().end().end().loop().loop().end().end().end());
  if (!nest.manager.samples()) {
    std::puts("skipped: nothing is sampled here");
    return;
  }
  nest.loops[1].polls = nest.loops[3].polls = kManyTicks;
  int ticks = 0;
  for (; ticks < kManyTicks && asked.units().empty(); ++ticks) nest.tick(ticks % 2 == 0 ? 2 : 4);
  REQUIRE(asked.units().size() == 1);
  Refuser alone;
  Nest one(alone, Code().loop().loop().loop().end().end().loop().loop().end().end().end());
  one.loops[1].polls = kManyTicks;
  int all_in_one = 0;
  for (; all_in_one < kManyTicks && alone.units().empty(); ++all_in_one) one.tick(2);
  REQUIRE(alone.units().size() == 1);
  CHECK(ticks == all_in_one);
  // It has paid with all of it: neither of the two has anything left.
  for (uint32_t i = 0; i < 5; ++i) CHECK(nest.loops[i].heat.load() == nest.loops[i].paid.load());
}

/// Code that does nothing, of more bytes than make a function a large one.
Code& filler(Code& code) {
  for (uint32_t bytes = 0; bytes <= policy::kLargeFunction; bytes += 3) code.i32_const(0).drop();
  return code;
}

TEST_CASE("in a large function a hot loop is compiled alone, as far out as it stays a small part") {
  Code beside, around;
  filler(beside.loop().loop().loop().end().end().end());
  filler(around.loop()).loop().loop().end().end().end();
  struct Case {
    const Code& body;
    std::vector<uint32_t> loops;  // in the order in which they are asked for, when none is compiled
  };
  for (const Case& c : {Case{beside, {0, 1, 2}}, Case{around, {1, 2}}}) {
    Refuser asked;
    Nest nest(asked, c.body);
    if (!nest.manager.samples()) {
      std::puts("skipped: nothing is sampled here");
      return;
    }
    for (const uint32_t loop : c.loops) {
      const size_t before = asked.units().size();
      for (int i = 0; i < kManyTicks && asked.units().size() == before; ++i) nest.tick();
      REQUIRE(asked.units().size() == before + 1);
      CHECK(asked.units().back() == (jit::kAlone | nest.loops[loop].offset));
    }
  }
}

TEST_CASE("a loop alone costs its own bytes, and grows when what is around it stays hot") {
  Code around;
  filler(filler(around.loop())).loop().loop().end().end().end();
  Refuser asked;
  Nest nest(asked, around);
  if (!nest.manager.samples()) {
    std::puts("skipped: nothing is sampled here");
    return;
  }
  const LoopNest loops(*nest.module.impl(), 0, *vm::loops_of(nest.code));
  const vm::ByteRange range = loops.range(*vm::loops_of(nest.code), jit::kAlone | nest.loops[2].offset);
  CHECK(range.begin == nest.loops[2].offset);
  CHECK(range.end == loops.end(2));
  // As if the innermost one had code: ticks are no longer in it, but in the loop around it.
  nest.loops[2].alone = vm::BlockState::ready;
  nest.tick(2);
  CHECK(asked.units().empty());
  int ticks = 0;
  for (; ticks < kManyTicks && asked.units().empty(); ++ticks) nest.tick(1);
  REQUIRE(asked.units().size() == 1);
  CHECK(asked.units()[0] == (jit::kAlone | nest.loops[1].offset));
  // The loop as a whole, with the function behind it, would have had to wait for longer.
  Refuser whole;
  Nest other(whole, around);
  for (uint32_t i = 0; i < 3; ++i) other.loops[i].alone = vm::BlockState::failed;
  other.loops[0].polls = kManyTicks;
  int more = 0;
  for (; more < kManyTicks && whole.units().empty(); ++more) other.tick(1);
  CHECK(more > ticks);
  REQUIRE(whole.units().size() == 1);
  CHECK_FALSE(jit::is_alone(whole.units()[0]));
}

TEST_CASE("what is inlined is part of a compile's size, as far as it is inlined") {
  spine::ModuleBuilder builder;
  const uint32_t type = builder.type({}, {});
  const uint32_t small = builder.func("small", type), large = builder.func("large", type);
  builder.define(small, Code().i32_const(0).drop());
  Code many;
  for (uint32_t i = 0; i < policy::kInlinedBytes; ++i) many.i32_const(0).drop();
  builder.define(large, many);
  builder.define(builder.func("f", type), Code().call(small).call(large).loop().call(small).end());
  Code often;
  for (uint32_t i = 0; i < 10'000; ++i) often.call(small);
  builder.define(builder.func("g", type), often);
  const Engine engine = interpreting();
  const Module module = ok(Module::compile(engine, builder.build(), "inlined"));
  const vm::Module& image = *module.impl();
  const LoopNest f(image, 2, *vm::loops_of(module.impl()->code(2))), g(image, 3, *vm::loops_of(module.impl()->code(3)));
  CHECK(f.inlined() == 2 * image.funcs[small].body.size());
  CHECK(g.inlined() <= policy::kMostInlined + image.funcs[3].body.size() * policy::kMostInlinedPercent / 100);
  CHECK(g.inlined() > policy::kMostInlined);
}

TEST_CASE("what the instructions of a loop are says what the optimiser may save") {
  spine::ModuleBuilder builder;
  const uint32_t type = builder.type({}, {});

  const std::initializer_list<uint8_t> large = {0x0e, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0};  // br_table with eight targets
  const std::initializer_list<uint8_t> small = {0x0e, 2, 0, 0, 0};

  Code code;
  code.loop().i32_const(0).i32_load().drop().end();                                       // 0
  code.loop().loop().call(0).end().end();                                                 // 1, and 2 in it
  code.block().i32_const(0).op(large).end();                                              // a switch outside
  code.loop().block().i32_const(0).op(large).end().end();                                 // 3
  code.loop().block().i32_const(0).i32_load().drop().i32_const(0).op(small).end().end();  // 4
  const std::initializer_list<uint8_t> zeros = {0xfd, 0x0c, 0, 0, 0, 0, 0, 0, 0,
                                                0,    0,    0, 0, 0, 0, 0, 0, 0};  // v128.const
  const std::initializer_list<uint8_t> any_true = {0xfd, 0x53};
  code.loop().f64_const(1).f64_const(2).f64_add().drop().end();                                 // 5
  code.loop().i32_const(0).i32_load().drop().f64_const(1).f64_const(2).f64_add().drop().end();  // 6
  code.loop().op(zeros).op(any_true).drop().end();                                              // 7
  builder.define(builder.func("f", type), code);
  const Engine engine = interpreting();
  const Module module = ok(Module::compile(engine, builder.build(), "work"));
  const vm::LoopTable* table = vm::loops_of(module.impl()->code(0));
  REQUIRE(table->count == 8);
  const LoopNest nest(*module.impl(), 0, *table);
  CHECK(nest.work(4) == Work::memory);
  CHECK(nest.work(5) == Work::arithmetic);
  CHECK(nest.work(6) == Work::memory);
  CHECK(nest.work(7) == Work::arithmetic);
  CHECK(nest.work(0) == Work::memory);
  CHECK(nest.work(1) == Work::plain);
  CHECK(nest.work(2) == Work::calls);
  CHECK(nest.work(3) == Work::switches);
  CHECK(nest.work_outside() == Work::switches);
  CHECK(nest.is_innermost(0));
  CHECK_FALSE(nest.is_innermost(1));
  for (uint32_t i = 0; i < 4; ++i) {
    CHECK(nest.in_loop(table->loops[i].offset - 1) == (i == 2));  // which is in another
    CHECK(nest.in_loop(table->loops[i].offset + 1));
    CHECK(nest.in_loop(nest.end(i) - 1));
  }
  CHECK(nest.in_loop(nest.end(2)));        // of the inner one, in the outer one
  CHECK_FALSE(nest.in_loop(nest.end(1)));  // behind both
  CHECK(nest.loop_at(nest.end(2)) == 1);
  CHECK(nest.loop_at(nest.end(2) - 1) == 2);
  CHECK(nest.loop_at(nest.end(1)) == LoopNest::kNone);
}

TEST_CASE("a compile that waits gets its turn, whatever comes later") {
  constexpr double kOnce = 1e6, kTwice = 2e6, kCost = 1e6;
  CHECK(priority(kTwice, kCost, 0) > priority(kOnce, kCost, 0));
  const double waited = 1.5 * policy::kAgeNanoseconds;
  CHECK(priority(kOnce, kCost, 0) > priority(kTwice, kCost, waited));
}

TEST_CASE("compiling is cheaper where a processor has nothing to do") {
  CHECK(cost(1000, Tier::opt, false, true) < cost(1000, Tier::opt, false, false));
  CHECK(cost(1000, Tier::baseline, false, true) == cost(1000, Tier::baseline, false, false));
}

TEST_CASE("what compiles cost is what they have taken in this process") {
  CompileCosts costs;
  CHECK(costs.factor() == 1);
  costs.count(1e6, 3'000'000);  // one says little
  CHECK(costs.factor() > 1);
  CHECK(costs.factor() < 1.2);
  for (int i = 0; i < 1000; ++i) costs.count(1e6, 3'000'000);
  CHECK(costs.factor() == doctest::Approx(3).epsilon(0.05));
  for (int i = 0; i < 100'000; ++i) costs.count(1e6, 500'000);
  CHECK(costs.factor() == doctest::Approx(0.5).epsilon(0.1));

  Manager manager;
  const double before = manager.cost(1000, Tier::opt, false, false),
               baseline = manager.cost(1000, Tier::baseline, false, false);
  manager.optimised(100'000, 100'000'000'000);  // a slow machine
  CHECK(manager.cost(1000, Tier::opt, false, false) > 10 * before);
  CHECK(manager.cost(1000, Tier::baseline, false, false) == baseline);
}

TEST_CASE("a machine is idle again soon after a moment in which more threads wanted to run") {
  for (const unsigned processors : {2u, 4u, 64u}) {
    CAPTURE(processors);
    SmoothedThreads threads;
    CHECK(threads.leaves_idle(processors));
    threads.count(processors);
    CHECK(threads.leaves_idle(processors));
    for (int i = 0; i < 40; ++i) threads.count(processors + 1);
    CHECK_FALSE(threads.leaves_idle(processors));
    for (int i = 0; i < 6; ++i) threads.count(processors - 1);
    CHECK(threads.leaves_idle(processors));
    for (int i = 0; i < 100; ++i) threads.count(processors - 1);
    CHECK(threads.leaves_idle(processors));
    for (int i = 0; i < 100; ++i) threads.count(processors);
    CHECK_FALSE(threads.leaves_idle(processors));
  }
  CHECK_FALSE(SmoothedThreads().leaves_idle(1));
}

TEST_CASE("threads that want a processor are counted, and a machine with more of them than processors is busy") {
  if (runnable_threads() == 0) {
    std::puts("skipped: the system does not say how many threads want to run");
    return;
  }
  std::atomic<bool> over{false};
  std::vector<std::thread> busy;
  for (unsigned i = 0; i < 2 * std::thread::hardware_concurrency() + 2; ++i) {
    busy.emplace_back([&] {
      while (!over.load(std::memory_order_relaxed)) {
      }
    });
  }
  Processors processors;
  CHECK(eventually([&] { return !processors.are_idle(0); }));
  CHECK(eventually([&] { return runnable_threads() > std::thread::hardware_concurrency(); }));
  over = true;
  for (std::thread& t : busy) t.join();
}

}  // namespace
}  // namespace vmrun::tiering
