// What a compile thread takes at a time, and how heat finds its way to the compilers from code that does not count.
#include <doctest/doctest.h>
#include <signal.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "jit/compiler.h"
#include "jit/stop/preempt.h"
#include "jit/stop/sample.h"
#include "tests/support/module_builder.h"
#include "tests/unit/tiering/fixture.h"
#include "vm/blocks/policy.h"

namespace vmrun::tiering {
namespace {

using namespace std::chrono_literals;
using spine::Bytes;
using spine::Code;
using vm::BlockState;
using vm::Tier;

Engine interpreter() {
  Config config;
  config.tiers = Tiers::Interp;
  return Engine(config);
}

constexpr uint32_t kLarge = 20 << 10;
static_assert(kLarge > policy::kCompileHere && policy::kTaskBytes / kLarge == 3);

/// `count` functions of that size, too large to be compiled by the guest's thread.
Module large_functions(const Engine& engine, unsigned count) {
  spine::ModuleBuilder builder;
  const uint32_t type = builder.type({spine::i32}, {spine::i32});
  for (unsigned i = 0; i < count; ++i) {
    const uint32_t func = builder.func("f" + std::to_string(i), type);
    Code code;
    code.get(0);
    for (uint32_t bytes = 0; bytes < kLarge; bytes += 3) code.i32_const(1).i32_add();
    builder.define(func, code);
  }
  return ok(Module::compile(engine, builder.build(), "large"));
}

/// The baseline compiler, which is stopped at its first function until somebody lets it go on, and keeps a record.
class Gate : public jit::Compiler {
 public:
  std::atomic<bool> reached{false}, open{false};
  std::mutex mutex;
  std::vector<std::pair<const vm::Module*, uint32_t>> done;
  bool published_in_between = true;
  Tier tier() const override { return Tier::baseline; }
  jit::CompileResult compile(const jit::CompileRequest& request) override {
    reached = true;
    while (!open) std::this_thread::sleep_for(1ms);
    std::lock_guard lock(mutex);
    if (!done.empty() && done.back().first == request.module) {
      const vm::FuncCode& before = request.module->code(done.back().second);
      published_in_between &= before.tier.load() == Tier::baseline;
    }
    done.emplace_back(request.module, request.func_index);
    return real_->compile(request);
  }

 private:
  std::unique_ptr<jit::Compiler> real_ = jit::make_baseline_compiler();
};

/// As if the interpreter had entered the function so often that it is compiled.
void heat_up(Attached& module, uint32_t func) {
  while (module.state(func, Tier::baseline) == BlockState::cold) module.heat(func);
}

TEST_CASE("a compile thread takes several functions of a module at a time, and publishes each") {
  Gate gate;
  const Engine engine = interpreter();
  const Module module = large_functions(engine, 8), other = large_functions(engine, 1);
  Manager manager(only_baseline(gate));
  Attached one(manager, module), two(manager, other);
  CHECK_FALSE(manager.compiling());
  heat_up(one, 0);
  REQUIRE(eventually([&] { return gate.reached.load(); }));
  CHECK(manager.compiling());
  for (unsigned i = 1; i < 4; ++i) heat_up(one, i);
  heat_up(two, 0);
  for (unsigned i = 4; i < 8; ++i) heat_up(one, i);
  CHECK(manager.waiting() == 8);
  gate.open = true;
  manager.wait_idle();
  CHECK_FALSE(manager.compiling());
  for (unsigned i = 0; i < 8; ++i) CHECK(one.state(i, Tier::baseline) == BlockState::ready);
  CHECK(two.state(0, Tier::baseline) == BlockState::ready);
  CHECK(gate.done.size() == 9);
  CHECK(gate.published_in_between);
  // One alone, then all that were waiting: three of them fit.
  const TierStats stats = one.stats(Tier::baseline);
  CHECK(stats.task_units == 8);
  CHECK(stats.tasks == 4);
  CHECK(two.stats(Tier::baseline).tasks == 1);
}

TEST_CASE("a module that dies leaves the rest of a task") {
  Gate gate;
  const Engine engine = interpreter();
  const Module first = large_functions(engine, 1), second = large_functions(engine, 3);
  Manager manager(only_baseline(gate));
  Attached one(manager, first);
  {
    Attached two(manager, second);
    heat_up(one, 0);
    REQUIRE(eventually([&] { return gate.reached.load(); }));
    for (unsigned i = 0; i < 3; ++i) heat_up(two, i);
  }
  gate.open = true;
  manager.wait_idle();
  CHECK(gate.done.size() == 1);
}

/// Says no to everything, and remembers what it was asked for.
class Refusing : public jit::Compiler {
 public:
  Tier tier() const override { return Tier::opt; }
  jit::CompileResult compile(const jit::CompileRequest& request) override {
    std::lock_guard lock(mutex);
    asked.emplace_back(request.func_index, request.unit);
    return {jit::CompileResult::Status::unsupported, "anything"};
  }
  bool was_asked(uint32_t func, bool whole) {
    std::lock_guard lock(mutex);
    for (const auto& [index, unit] : asked) {
      if (index == func && (unit == jit::kWholeFunction) == whole) return true;
    }
    return false;
  }
  std::mutex mutex;
  std::vector<std::pair<uint32_t, uint32_t>> asked;
};

TEST_CASE("the optimiser hears of hot functions, and of hot loops in functions that are called once") {
  spine::ModuleBuilder builder;
  const uint32_t type = builder.type({spine::i32}, {spine::i32});
  const uint32_t fib = builder.func("fib", type), loop = builder.func("loop", type);
  builder.define(fib, Code()
                          .get(0)
                          .i32_const(2)
                          .i32_lt_u()
                          .op({0x04, spine::i32})  // if
                          .get(0)
                          .op({0x05})  // else
                          .get(0)
                          .i32_const(1)
                          .i32_sub()
                          .call(fib)
                          .get(0)
                          .i32_const(2)
                          .i32_sub()
                          .call(fib)
                          .i32_add()
                          .end());
  builder.define(loop, Code().loop().get(0).i32_const(1).i32_sub().tee(0).br_if(0).end().get(0));
  Refusing refusing;
  Options options;
  options.threads = 1;
  options.polls = !jit::kStopsBySignal;
  options.opt = [&](std::string*) { return &refusing; };
  const Engine engine = interpreter();
  const Module module = ok(Module::compile(engine, builder.build(), "hot"));
  Manager manager(options);
  Attached attached(manager, module);
  for (uint32_t i : {fib, loop}) {
    REQUIRE(Manager::promote(*module.impl(), i, Tier::baseline).empty());
  }
  // A thread of its own, which neither compiles nor translates anything.
  std::thread([&] {
    Store store(engine);
    const Instance instance = ok(Linker(engine).instantiate(store, module));
    auto call = [&](const char* name, int32_t n) {
      return ok(ok(ok(instance.func(name)).typed<int32_t(int32_t)>()).call(n));
    };
    for (int i = 0; i < 3000 && !refusing.was_asked(fib, true); ++i) CHECK(call("fib", 25) == 75025);
    CHECK(refusing.was_asked(fib, true));
    CHECK_FALSE(refusing.was_asked(loop, false));
    for (int i = 0; i < 200 && !refusing.was_asked(loop, false); ++i) CHECK(call("loop", 1'000'000'000) == 0);
    CHECK(refusing.was_asked(loop, false));
  }).join();
}

TEST_CASE("the time of a small function counts for the loop that calls it, whose code will contain it") {
  spine::ModuleBuilder builder;
  const uint32_t small = builder.func("small", builder.type({spine::i32}, {spine::i32}));
  const uint32_t loop = builder.func("loop", builder.type({spine::i32}, {spine::i32}));
  Code sums;
  sums.get(0);
  for (int i = 0; i < 30; ++i) sums.get(0).i32_add();
  builder.define(small, sums);
  builder.define(loop,
                 Code().loop().get(0).call(small).drop().get(0).i32_const(1).i32_sub().tee(0).br_if(0).end().get(0));
  Refusing refusing;
  Options options;
  options.threads = 1;
  options.polls = !jit::kStopsBySignal;
  options.idle = false;  // the loop pays at once then, the small function after ten times as long
  options.opt = [&](std::string*) { return &refusing; };
  const Engine engine = interpreter();
  const Module module = ok(Module::compile(engine, builder.build(), "small"));
  REQUIRE(module.impl()->funcs[small].body.size() <= policy::kInlinedBytes);
  Manager manager(options);
  if (!manager.samples()) {
    std::puts("skipped: nothing is sampled here");
    return;
  }
  Attached attached(manager, module);
  for (uint32_t i : {small, loop}) REQUIRE(Manager::promote(*module.impl(), i, Tier::baseline).empty());
  std::thread([&] {
    Store store(engine);
    const Instance instance = ok(Linker(engine).instantiate(store, module));
    const auto call = ok(ok(instance.func("loop")).typed<int32_t(int32_t)>());
    for (int i = 0; i < 20'000 && !refusing.was_asked(loop, false); ++i) CHECK(ok(call.call(1'000'000)) == 0);
    CHECK(refusing.was_asked(loop, false));
    CHECK_FALSE(refusing.was_asked(small, true));
    CHECK(Manager::heat(*module.impl(), loop).nanoseconds >= Manager::heat(*module.impl(), small).nanoseconds / 2);
  }).join();
}

/// Uses so much of the thread's processor time.
void burn(std::chrono::nanoseconds time) {
  auto used = [] {
    timespec now = {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  };
  for (const auto end = used() + time; used() < end;) {
  }
}

/// Whether a tick comes while the thread is busy with other things than guests, for the time of so many.
bool has_ticks(unsigned most) {
  sigset_t ours, pending;
  sigemptyset(&ours);
  sigaddset(&ours, jit::kStopSignal);
  pthread_sigmask(SIG_BLOCK, &ours, nullptr);
  bool found = false;
  for (unsigned i = 0; i < most && !found; ++i) {
    burn(std::chrono::nanoseconds(policy::kSampleNanoseconds));
    sigpending(&pending);
    found = sigismember(&pending, jit::kStopSignal) == 1;
  }
  pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
  return found;
}

TEST_CASE("a thread that has no use for ticks any more gets none until its next guest") {
  if (!jit::can_sample()) {
    MESSAGE("skipped: no timers of processor time here, or no signals");
    return;
  }
  spine::ModuleBuilder builder;
  const uint32_t type = builder.type({spine::i32}, {spine::i32});
  builder.define(builder.func("same", type), Code().get(0));
  Refusing refusing;
  Options options;
  options.threads = 1;
  options.opt = [&](std::string*) { return &refusing; };
  const Engine engine = interpreter();
  const Module module = ok(Module::compile(engine, builder.build(), "ticks"));
  Manager manager(options);
  Attached attached(manager, module);
  REQUIRE(Manager::promote(*module.impl(), 0, Tier::baseline).empty());
  std::thread([&] {
    Store store(engine);
    const Instance instance = ok(Linker(engine).instantiate(store, module));
    const auto same = ok(ok(instance.func("same")).typed<int32_t(int32_t)>());
    for (int i = 0; i < 3; ++i) {
      CHECK(ok(same.call(i)) == i);
      CHECK(has_ticks(500));
      burn(4 * jit::kIdleTicks * std::chrono::nanoseconds(policy::kSampleNanoseconds));
      CHECK_FALSE(has_ticks(12));
    }
  }).join();
}

}  // namespace
}  // namespace vmrun::tiering
