// Executors over blocks.
#include "vmrun/executors.h"

#include <fstream>
#include <iterator>
#include <thread>

#include "tests/unit/engine/fixture.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

BlockCache basic() { return ok(BlockCache::create_from_file(std::string(VMRUN_FIXTURES "/") + "engine_basic.wasm")); }

Result<void> define(Linker& linker) {
  if (auto done = linker.func_wrap("env", "add", [](int32_t a, int32_t b) { return a + b; }); !done) return done;
  if (auto done = linker.func_wrap("env", "note", [](int64_t, double) {}); !done) return done;
  return linker.func_wrap("env", "again", [](int32_t n) { return n; });
}

int32_t number(const Result<std::vector<Val>>& result) {
  REQUIRE(result.ok());
  REQUIRE(result->size() == 1);
  return (*result)[0].as_i32();
}

}  // namespace

TEST_CASE("blocks are found by name, and know their place") {
  const BlockCache cache = basic();
  CHECK(cache.first() == 3);  // imports have none
  const std::optional<BlockId> add = cache.find("add");
  REQUIRE(add);
  const BlockInfo info = ok(cache.info(*add));
  CHECK(info.id == *add);
  CHECK(info.name == "add");
  CHECK(info.type.params.size() == 2);
  CHECK(info.size > 0);
  CHECK(info.tier == Tier::Interp);
  // Not exported: by the name that the image has for it. An export's name goes first: `divide` is $outer's.
  const std::optional<BlockId> exported = cache.find("divide");
  REQUIRE(exported);
  CHECK(ok(cache.info(*exported)).name == "outer");
  CHECK_FALSE(cache.find("nothing of the kind"));
  const auto beyond = cache.info(cache.end());
  REQUIRE_FALSE(beyond);
  CHECK(beyond.error().kind == ErrorKind::Usage);
  CHECK_FALSE(cache.info(0));
}

TEST_CASE("the interpreter's executor makes no machine code") {
  const BlockCache cache = basic();
  auto executor = ok(InterpreterExecutor::create(cache, define));
  for (int i = 0; i < 100; ++i) CHECK(number(executor->run("add", {Val::i32(i), Val::i32(1)})) == i + 1);
  CHECK(ok(executor->run("count", {Val::i64(100'000)}))[0].as_i64() == 200'000);
  const ExecutionStats& stats = executor->stats();
  CHECK(stats.runs() == 101);
  CHECK(stats.by_tier[0].runs == 101);
  CHECK(stats.by_tier[0].time.count() > 0);
  CHECK(stats.hits == 99);
  CHECK(stats.compiles == 2);  // translations
  CHECK(stats.refused == 0);
  CHECK(executor->instance().module().tier_stats(Tier::Baseline).functions == 0);
  CHECK(ok(cache.info(*cache.find("add"))).tier == Tier::Interp);
}

TEST_CASE("the machine-code executor makes what is missing, once") {
  const BlockCache cache = basic();
  auto executor = ok(JitExecutor::create(cache, define));
  const BlockId add = *cache.find("add");
  CHECK(number(executor->run(add, {Val::i32(2), Val::i32(3)})) == 5);
  CHECK(executor->stats().compiles == 1);
  CHECK(executor->stats().hits == 0);
  CHECK(executor->stats().compile_time.count() > 0);
  CHECK(ok(cache.info(add)).tier == Tier::Baseline);
  CHECK(number(executor->run(add, {Val::i32(2), Val::i32(4)})) == 6);
  CHECK(executor->stats().compiles == 1);
  CHECK(executor->stats().hits == 1);
  CHECK(executor->stats().by_tier[1].runs == 2);

  // Another executor of the cache finds it.
  auto other = ok(JitExecutor::create(cache, define));
  CHECK(number(other->run("add", {Val::i32(2), Val::i32(3)})) == 5);
  CHECK(other->stats().hits == 1);
  CHECK(other->stats().compiles == 0);

  // Optimised code: one that wants less takes it too.
  auto optimising = ok(JitExecutor::create(cache, define, Tier::Opt));
  CHECK(number(optimising->run("add", {Val::i32(2), Val::i32(3)})) == 5);
  CHECK(optimising->stats().compiles == 1);
  CHECK(optimising->stats().by_tier[2].runs == 1);
  CHECK(ok(cache.info(add)).tier == Tier::Opt);
  CHECK(number(executor->run(add, {Val::i32(1), Val::i32(1)})) == 2);
  CHECK(executor->stats().hits == 2);
  CHECK(executor->stats().by_tier[2].runs == 1);

  const auto none = JitExecutor::create(cache, define, Tier::Interp);
  REQUIRE_FALSE(none);
  CHECK(none.error().kind == ErrorKind::Usage);
}

TEST_CASE("a batch gets its code first, and one failure leaves the others alone") {
  const BlockCache cache = basic();
  auto executor = ok(JitExecutor::create(cache, define));
  const BlockId add = *cache.find("add"), divide = *cache.find("divide");
  const std::vector<BlockCall> calls = {
      {add, {Val::i32(1), Val::i32(2)}},
      {divide, {Val::i32(1), Val::i32(0)}},
      {cache.end(), {}},
      {divide, {Val::i32(9), Val::i32(3)}},
      {add, {Val::i32(1)}},
  };
  const auto results = executor->run_batch(calls);
  REQUIRE(results.size() == 5);
  CHECK(number(results[0]) == 3);
  REQUIRE_FALSE(results[1]);
  CHECK(results[1].error().trap == TrapCode::IntegerDivideByZero);
  REQUIRE_FALSE(results[2]);
  CHECK(results[2].error().kind == ErrorKind::Usage);
  CHECK(number(results[3]) == 4);
  REQUIRE_FALSE(results[4]);
  CHECK(executor->stats().compiles == 2);
  CHECK(executor->stats().hits == 2);
  CHECK(executor->stats().failed == 2);
  CHECK(executor->stats().runs() == 4);
  executor->reset_stats();
  CHECK(executor->stats().runs() == 0);
}

TEST_CASE("the hybrid executor runs what is best") {
  const BlockCache cache = basic();
  auto hybrid = ok(HybridExecutor::create(cache, define));
  CHECK(number(hybrid->run("add", {Val::i32(2), Val::i32(3)})) == 5);
  CHECK(hybrid->stats().by_tier[0].runs == 1);  // its first call
  auto jit = ok(JitExecutor::create(cache, define));
  CHECK(number(jit->run("add", {Val::i32(2), Val::i32(3)})) == 5);
  CHECK(number(hybrid->run("add", {Val::i32(2), Val::i32(3)})) == 5);
  CHECK(hybrid->stats().hits == 1);
  CHECK(hybrid->stats().by_tier[1].runs + hybrid->stats().by_tier[2].runs == 1);
}

TEST_CASE("executors of one cache run on threads of their own") {
  const BlockCache cache = basic();
  std::vector<std::jthread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&cache, &right, i] {
      std::unique_ptr<BlockExecutor> executor;
      if (i % 2 == 0) executor = JitExecutor::create(cache, define).value();
      if (i % 2 != 0) executor = InterpreterExecutor::create(cache, define).value();
      for (int n = 0; n < 200; ++n) {
        const auto sum = executor->run("add", {Val::i32(n), Val::i32(i)});
        right += sum.ok() && (*sum)[0].as_i32() == n + i;
      }
    });
  }
  threads.clear();
  CHECK(right == 800);
}

TEST_CASE("what an executor cannot be made of says so") {
  const BlockCache cache = basic();
  const auto missing = HybridExecutor::create(cache);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind == ErrorKind::Link);
  const auto wrong = BlockCache::create(std::vector<uint8_t>{1, 2, 3});
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().kind == ErrorKind::Malformed);
}

TEST_CASE("a vCPU says whether its guest runs") {
  const BlockCache cache = basic();
  VCPU::State inside = VCPU::State::Idle;
  const VCPU* vcpu = nullptr;
  auto executor = ok(HybridExecutor::create(cache, [&](Linker& linker) -> Result<void> {
    if (auto done = define(linker); !done) return done;
    linker.allow_shadowing(true);
    return linker.func_wrap("env", "again", [&](int32_t n) {
      inside = vcpu->state();
      return n;
    });
  }));
  const VCPU own(executor->store());
  vcpu = &own;
  CHECK(own.state() == VCPU::State::Idle);
  CHECK(number(executor->run("nested", {Val::i32(3)})) == 3);
  CHECK(inside == VCPU::State::Running);
  CHECK(own.state() == VCPU::State::Idle);
  CHECK(to_string(VCPU::State::Suspended) == "suspended");
}

TEST_CASE("a coroutine that waits has its vCPU suspended") {
  const BlockCache cache = basic();
  Scheduler scheduler = ok(Scheduler::create({.workers = 1}));
  Event reached, go_on;
  auto executor = ok(HybridExecutor::create(cache, [&](Linker& linker) -> Result<void> {
    if (auto done = define(linker); !done) return done;
    linker.allow_shadowing(true);
    return linker.func_wrap("env", "again", [&](int32_t n) {
      reached.set();
      (void)go_on.wait();
      return n + 1;
    });
  }));
  int32_t result = 0;
  Coroutine coroutine =
      ok(scheduler.spawn(executor->store(), [&] { result = (*executor->run("nested", {Val::i32(3)}))[0].as_i32(); }));
  (void)reached.wait();
  const VCPU vcpu(executor->store());
  while (vcpu.state() == VCPU::State::Running) std::this_thread::yield();  // it is about to wait
  CHECK(vcpu.state() == VCPU::State::Suspended);
  go_on.set();
  CHECK(coroutine.join());
  CHECK(result == 4);
  CHECK(vcpu.state() == VCPU::State::Idle);
}
