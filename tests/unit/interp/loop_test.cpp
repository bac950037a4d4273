// Loops: on-stack replacement gives the same results as no replacement, and every loop can be interrupted.
#include <chrono>
#include <thread>

#include "tests/support/interp_fixture.h"

using namespace vmrun;
using namespace vmrun::test;

TEST_CASE("a loop that changes its code while it runs") {
  for (Effort effort : kEfforts) {
    for (bool dense : {false, true}) {
      World world(effort, dense);
      Module module = world.load("interp_loops");
      Instance instance = ok(world.linker.instantiate(world.store, module));
      double mixed = ok(func<double(int32_t)>(instance, "mixed").call(50000));
      int32_t sum = ok(func<int32_t(int32_t)>(instance, "stacked").call(100000));
      CHECK(mixed == 2229205042909);  // by another engine, as is the next
      CHECK(sum == 704858079);
      // One call each, so that only a replacement can have asked for the careful translation.
      if (effort == Effort::Auto) CHECK(module.translation_stats().careful_functions >= 2);
    }
  }
}

TEST_CASE("an endless guest stops when another thread interrupts it") {
  for (Effort effort : kEfforts) {
    for (const char* name : {"forever", "forever_table", "forever_throwing", "forever_calling", "tail_forever"}) {
      CAPTURE(name);
      World world(effort);
      ok(world.linker.func_wrap("env", "mix",
                                [](int32_t, float, int64_t, double, int32_t, double, int64_t, float) { return 0.0; }));
      bool tail = std::string(name) == "tail_forever",
           with_argument = tail || std::string(name).find('_') != std::string::npos;
      Instance instance = world.run(tail ? "interp_calls" : "interp_loops");
      std::vector<Val> args;
      if (with_argument && std::string(name) != "forever_throwing") args.push_back(Val::i32(60));
      // Later and later while the interrupt comes before the guest has begun.
      auto call = [&](int milliseconds) {
        std::thread other([&] {
          std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
          world.store.interrupt();
        });
        Result<std::vector<Val>> result = ok(instance.func(name)).call(args);
        other.join();
        return result;
      };
      Result<std::vector<Val>> result = call(20);
      for (int after = 80; !result && result.error().backtrace.empty() && after < 20'000; after *= 4)
        result = call(after);
      REQUIRE_FALSE(result);
      CHECK(result.error().trap == TrapCode::Interrupted);
      CHECK_FALSE(result.error().backtrace.empty());
    }
  }
}

TEST_CASE("an interrupt that came before the call is not lost") {
  World world(Effort::Auto);
  Instance instance = world.run("interp_loops");
  world.store.interrupt();
  Result<double> result = func<double(int32_t)>(instance, "mixed").call(1000000);
  REQUIRE_FALSE(result);
  CHECK(result.error().trap == TrapCode::Interrupted);
  CHECK(ok(func<int32_t(int32_t)>(instance, "stacked").call(3)) != 0);
}
