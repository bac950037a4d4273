// The life of compiled code: modules and engines that die while their functions are compiled, code memory that is used
// up or budgeted, modules by the thousand. At the end nothing may be left.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine_impl.h"
#include "jit/code/code.h"
#include "jit/code/reclaim.h"
#include "jit/compiler.h"
#include "jit/crossing/publish.h"
#include "tests/support/module_builder.h"
#include "tests/unit/tiering/fixture.h"
#include "vm/wasm/loops.h"

namespace vmrun::tiering {
namespace {

using namespace std::chrono_literals;
using spine::Bytes;
using spine::Code;
using vm::BlockState;
using vm::Tier;

/// `count` functions "f0" and so on, from function index 1: of n, the sum of (i + number) over i from n down to 1, with
/// a call in each round.
Bytes image(unsigned count) {
  spine::ModuleBuilder builder;
  const uint32_t type = builder.type({spine::i32}, {spine::i64});
  const uint32_t leaf = builder.func("leaf", type);
  builder.define(leaf, Code().get(0).i64_extend_i32_u());
  for (unsigned number = 0; number < count; ++number) {
    const uint32_t func = builder.func("f" + std::to_string(number), type);
    Code code;
    code.loop().get(1).get(0).call(leaf).i64_add().i64_const(number).i64_add().set(1);
    code.get(0).i32_const(1).i32_sub().tee(0).br_if(0).end().get(1);
    builder.define(func, code, {spine::i64});
  }
  return builder.build();
}
int64_t expected(unsigned number, int64_t n) { return n * (n + 1) / 2 + n * number; }

Config config(Tiers tiers, unsigned threads = 2) {
  Config config;
  config.tiers = tiers;
  config.compile_threads = threads;
  return config;
}

Module compile(const Engine& engine, unsigned count) { return ok(Module::compile(engine, image(count), "life")); }

int64_t call(Store& store, Instance instance, unsigned number, int32_t n) {
  (void)store;
  return ok(ok(ok(instance.func("f" + std::to_string(number))).typed<int64_t(int32_t)>()).call(n));
}

/// Frees what is retired; afterwards no function's code may be left, when nothing else of the process has any.
void check_no_code() {
  jit::CodeSpace& space = jit::CodeSpace::get();
  while (jit::reclaim_code() != 0) {
  }
  CHECK(space.retired_objects() == 0);
  CHECK(space.live_functions() == 0);
}

/// Compiles until nobody wants the code any more.
class Stuck : public jit::Compiler {
 public:
  std::atomic<unsigned> begun{0}, given_up{0};
  Tier tier() const override { return Tier::opt; }
  jit::CompileResult compile(const jit::CompileRequest& request) override {
    ++begun;
    while (!request.cancelled->load()) std::this_thread::sleep_for(1ms);
    ++given_up;
    return {jit::CompileResult::Status::cancelled};
  }
};

/// The baseline compiler, which finds memory only when it is allowed to.
class Hungry : public jit::Compiler {
 public:
  std::atomic<bool> fed{false};
  std::atomic<unsigned> refused{0};
  Tier tier() const override { return Tier::baseline; }
  jit::CompileResult compile(const jit::CompileRequest& request) override {
    if (fed.load()) return real_->compile(request);
    ++refused;
    return {jit::CompileResult::Status::no_memory, "no memory for code"};
  }

 private:
  std::unique_ptr<jit::Compiler> real_ = jit::make_baseline_compiler();
};

TEST_CASE("a module that dies takes its compiles along, running and waiting ones") {
  Stuck stuck;
  Engine engine(config(Tiers::Interp));
  Manager manager(only_opt(stuck, 2));
  for (unsigned round = 1; round <= 3; ++round) {
    const Module module = compile(engine, 20);
    Attached attached(manager, module);
    for (unsigned i = 1; i <= 20; ++i) {
      REQUIRE(eventually([&] {
        attached.heat(i, 1000);
        return attached.state(i, Tier::opt) != BlockState::cold;
      }));
    }
    REQUIRE(eventually([&] { return stuck.begun.load() == 2 * round; }));
    CHECK(manager.waiting() >= 18);
    attached.detach();
    CHECK(stuck.given_up.load() == 2 * round);
    // Outdated jobs are popped and dropped without a look at the module.
    manager.wait_idle();
    CHECK(manager.waiting() == 0);
    CHECK(stuck.begun.load() == 2 * round);
  }
}

TEST_CASE("a manager dies with jobs in its queue") {
  Stuck stuck;
  Engine engine(config(Tiers::Interp));
  const Module first = compile(engine, 4), second = compile(engine, 4);
  {
    Manager manager(only_opt(stuck, 1));
    Attached a(manager, first), b(manager, second);
    for (unsigned i = 1; i <= 4; ++i) {
      for (Attached* one : {&a, &b}) {
        REQUIRE(eventually([&] {
          one->heat(i, 1000);
          return one->state(i, Tier::opt) != BlockState::cold;
        }));
      }
    }
    REQUIRE(eventually([&] { return stuck.begun.load() == 1; }));
  }
  CHECK(stuck.begun.load() == stuck.given_up.load());
}

TEST_CASE("engines die while their threads compile") {
  for (unsigned round = 0; round < 24; ++round) {
    const unsigned threads = 1 + round % 3;
    Engine engine(config(Tiers::Auto, threads));
    Store store(engine);
    Linker linker(engine);
    const Module module = compile(engine, 30);
    const Instance instance = ok(linker.instantiate(store, module));
    // Hot enough for the optimiser, whose compiles take longer than all of this.
    for (unsigned i = 0; i < 30; ++i) CHECK(call(store, instance, i, 100'000) == expected(i, 100'000));
    std::this_thread::sleep_for(std::chrono::microseconds(300 * (round % 8)));
  }
  check_no_code();
}

TEST_CASE("modules by the thousand leave nothing behind") {
  auto resident_kilobytes = [] {
    long pages = 0, resident = 0;
    if (FILE* file = std::fopen("/proc/self/statm", "r")) {
      if (std::fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
      std::fclose(file);
    }
    return resident * 4;
  };
  jit::CodeSpace& space = jit::CodeSpace::get();
  Engine engine(config(Tiers::Baseline, 1));
  Linker linker(engine);
  const Bytes bytes = image(12);
  auto churn = [&](unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      Store store(engine);
      const Instance instance = ok(linker.instantiate(store, ok(Module::compile(engine, bytes, "life"))));
      CHECK(call(store, instance, i % 12, 100) == expected(i % 12, 100));
    }
  };
  churn(300);
  const size_t code_before = space.live_bytes();
  // The kernel has reasons of its own to make a process larger, such as larger pages: what leaks leaks each time.
  long grown = 0;
  for (int round = 0; round < 5; ++round) {
    const long before = resident_kilobytes();
    churn(1500);
    grown = resident_kilobytes() - before;
    CHECK(space.live_bytes() == code_before);
    if (grown < 1500) break;
  }
  // Address sanitizer keeps what is freed for a while.
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
  CHECK(grown < 1500);
#endif
  check_no_code();
}

TEST_CASE("without code memory everything stays in the interpreter, and says why") {
  jit::CodeSpace& space = jit::CodeSpace::get();
  for (Tiers tiers : {Tiers::Baseline, Tiers::Opt, Tiers::Auto}) {
    CAPTURE(static_cast<int>(tiers));
    space.set_budget(space.live_bytes() + 300);  // for a function or two
    {
      Engine engine(config(tiers));
      Store store(engine);
      Linker linker(engine);
      const Module module = compile(engine, 12);
      const Instance instance = ok(linker.instantiate(store, module));
      for (unsigned i = 0; i < 12; ++i) CHECK(call(store, instance, i, 30'000) == expected(i, 30'000));
      if (tiers != Tiers::Auto) {
        const vmrun::TierStats stats =
            module.tier_stats(tiers == Tiers::Opt ? vmrun::Tier::Opt : vmrun::Tier::Baseline);
        CHECK(stats.failed >= 8);
        REQUIRE(stats.reasons.size() == 1);
        CHECK(stats.reasons[0].first == "no memory for code");
        CHECK(stats.reasons[0].second == stats.failed);
      }
    }
    space.set_budget(jit::kCodeBudget);
    check_no_code();
  }
}

TEST_CASE("a compile that found no memory is tried again when the function is much hotter") {
  Hungry hungry;
  Engine engine(config(Tiers::Interp));
  Manager manager(only_baseline(hungry));
  const Module module = compile(engine, 1);
  Attached attached(manager, module);
  REQUIRE(eventually([&] {
    attached.heat(1);
    return attached.state(1, Tier::baseline) == BlockState::failed;
  }));
  CHECK(hungry.refused.load() == 1);
  CHECK(attached.stats(Tier::baseline).reasons.count("no memory for code") == 1);
  attached.heat(1);
  CHECK(attached.state(1, Tier::baseline) == BlockState::failed);
  hungry.fed = true;
  REQUIRE(eventually([&] {
    attached.heat(1);
    return attached.state(1, Tier::baseline) == BlockState::ready;
  }));
  Store store(engine);
  const Instance instance = ok(Linker(engine).instantiate(store, module));
  CHECK(call(store, instance, 0, 1000) == expected(0, 1000));
}

/// A compiler with an error of its own.
class Wrong : public jit::Compiler {
 public:
  std::atomic<unsigned> asked{0};
  Tier tier() const override { return Tier::baseline; }
  jit::CompileResult compile(const jit::CompileRequest&) override {
    ++asked;
    return {jit::CompileResult::Status::bug, "a test's"};
  }
};

TEST_CASE("a compile that fails by an error of ours is counted as such, and the function stays where it is") {
  Wrong wrong;
  Engine engine(config(Tiers::Interp));
  Manager manager(only_baseline(wrong));
  const Module module = compile(engine, 1);
  Attached attached(manager, module);
  REQUIRE(eventually([&] {
    attached.heat(1);
    return attached.state(1, Tier::baseline) == BlockState::failed;
  }));
  const TierStats stats = attached.stats(Tier::baseline);
  CHECK(stats.bugs == 1);
  CHECK(stats.failed == 1);
  CHECK(stats.reasons.count("a test's") == 1);
  attached.heat(1, 1000);
  manager.wait_idle();
  CHECK(wrong.asked.load() == 1);
  Store store(engine);
  const Instance instance = ok(Linker(engine).instantiate(store, module));
  CHECK(call(store, instance, 0, 1000) == expected(0, 1000));
}

TEST_CASE("a full budget drops the oldest code, and guests go on") {
  jit::CodeSpace& space = jit::CodeSpace::get();
  const std::unique_ptr<jit::Compiler> baseline = jit::make_baseline_compiler();
  Options options = only_baseline(*baseline);
  options.code_full = space.live_bytes() + 4096;
  options.code_after_drop = space.live_bytes() + 2048;
  Engine engine(config(Tiers::Interp));
  Manager manager(options);
  constexpr unsigned kFunctions = 60;
  const Module module = compile(engine, kFunctions);
  {
    Attached attached(manager, module);
    Store store(engine);
    const Instance instance = ok(Linker(engine).instantiate(store, module));
    for (unsigned round = 0; round < 3; ++round) {
      for (unsigned i = 0; i < kFunctions; ++i) {
        CHECK(call(store, instance, i, 20'000) == expected(i, 20'000));
        REQUIRE(Manager::promote(*module.impl(), 1 + i, Tier::baseline).empty());
        CHECK(call(store, instance, i, 100) == expected(i, 100));
        CHECK(space.live_bytes() < options.code_full + 2048);
      }
    }
    manager.wait_idle();
    CHECK(attached.stats(Tier::baseline).dropped > kFunctions);
  }
  check_no_code();
}

TEST_CASE("a loop's code that is dropped just when a frame is about to move there") {
  Config quick = config(Tiers::InterpBaseline);
  quick.effort = Effort::Quick;
  Engine engine(quick);
  engine.impl()->tiers->set_schedule({{.func_index = UINT32_MAX}});  // nothing by heat
  Module module = compile(engine, 1);
  const uint32_t number = module.impl()->imported_funcs + 1;
  vm::FuncCode& code = module.impl()->code(number);
  vm::LoopTable* loops = vm::loops_of(code);
  REQUIRE(loops != nullptr);
  REQUIRE(loops->count == 1);
  REQUIRE(vm::counts_of(code) != nullptr);
  vm::LoopCode& loop = loops->loops[0];
  const std::string why = Manager::promote(*module.impl(), number, Tier::baseline, loop.offset);
  REQUIRE_MESSAGE(why.empty(), why);
  const void* entry = loop.entry;
  REQUIRE(entry != nullptr);
  jit::unlink_function(code);  // calls begin in the interpreter

  // The window is a few nanoseconds wide: the code is in force most of the time, but dropped often, by the stores of
  // jit/crossing/publish.cpp without the lookups around them.
  std::atomic<bool> over{false};
  std::thread other([&] {
    while (!over) {
      loop.entry.store(nullptr, std::memory_order_release);
      loop.entry.store(entry, std::memory_order_release);
      for (int i = 0; i < 100; ++i) asm volatile("" ::: "memory");
    }
  });
  Store store(engine);
  Instance instance = ok(Linker(engine).instantiate(store, module));
  int wrong = 0;
  for (int i = 0; i < 40'000; ++i) wrong += call(store, instance, 0, 4200) != expected(0, 4200);
  over = true;
  other.join();
  CHECK(wrong == 0);
  CHECK(code.counts.load()[static_cast<size_t>(Tier::baseline)].osr_entries > 0);
}

}  // namespace
}  // namespace vmrun::tiering
