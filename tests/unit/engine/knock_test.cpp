// Knocks are answered where a guest runs or waits, and nowhere else.
#include "vmrun/knock.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "jit/stop/preempt.h"
#include "tests/unit/engine/fixture.h"

namespace vmrun::test {
namespace {

std::atomic<int> answers{0};
std::atomic<uint64_t> allocated{0};

/// Allocates, as nothing in a handler may that has interrupted an allocation.
void answer() {
  const std::vector<int> some(1000, 1);
  allocated += some.size();
  ++answers;
}

/// Knocks for a while, until somebody answers.
bool answered() {
  const int before = answers;
  for (int i = 0; i < 2000 && answers == before; ++i) {
    REQUIRE(knock(::getpid()));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return answers != before;
}

TEST_CASE("a guest that computes answers a knock in each tier, and goes on") {
  if (!jit::kStopsBySignal) return;
  for (const Tiers tiers : {Tiers::Interp, Tiers::Baseline, Tiers::Opt}) {
    CAPTURE(static_cast<int>(tiers));
    Config config;
    config.tiers = tiers;
    const Engine engine(config);
    Store store(engine);
    Linker linker(engine);
    auto instance = ok(linker.instantiate(store, load(engine, "stop_spin")));
    answer_knocks(answer);
    std::thread guest([&] { CHECK(!ok(instance.func("calls")).call({})); });
    CHECK(answered());
    CHECK(answered());
    store.interrupt();
    guest.join();
    answer_knocks(nullptr);
  }
}

TEST_CASE("nobody answers without a guest, or where nobody is to answer; allocating threads come to no harm") {
  if (!jit::kStopsBySignal) return;
  const Engine engine;
  answer_knocks(answer);
  const int before = answers;
  std::atomic<bool> ends{false};
  std::thread allocates([&] {
    while (!ends) {
      const std::vector<std::unique_ptr<int>> some(100);
    }
  });
  for (int i = 0; i < 200; ++i) CHECK(knock(::getpid()));
  ends = true;
  allocates.join();
  CHECK(answers == before);
  answer_knocks(nullptr);
  CHECK(knock(::getpid()));
  CHECK(answers == before);
}

TEST_CASE("a knock at a process that there is not") {
  const auto r = knock(999'999'999);
  REQUIRE(!r);
  CHECK(r.error().message == "there is no process 999999999");
}

}  // namespace
}  // namespace vmrun::test
