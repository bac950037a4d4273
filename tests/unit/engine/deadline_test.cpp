// Deadlines that have passed go on interrupting until they are destroyed, and take back nobody else's interrupt.
#include "vmrun/deadline.h"

#include <doctest/doctest.h>

#include <functional>
#include <thread>

#include "tests/unit/engine/fixture.h"

namespace vmrun::test {
namespace {

using namespace std::chrono_literals;

constexpr Tiers kTiers[] = {Tiers::Interp, Tiers::Baseline, Tiers::Opt};

Config in(Tiers tiers) {
  Config config;
  config.tiers = tiers;
  return config;
}

/// A store with an instance of engine_deadline, whose host function is `host`.
struct Guest {
  Engine engine;
  Store store;
  Linker linker;
  Instance instance{nullptr};
  std::function<void()> host = [] {};

  explicit Guest(Tiers tiers) : engine(in(tiers)), store(engine), linker(engine) {
    ok(linker.func_wrap("env", "host", [this] { host(); }));
    instance = ok(linker.instantiate(store, load(engine, "engine_deadline")));
  }
  /// Whether a call of it was interrupted. Anything but that and success is a failure of the test.
  bool interrupted(const char* name) {
    const auto done = ok(instance.func(name)).call({});
    if (!done) CHECK(done.error().trap == TrapCode::Interrupted);
    return !done;
  }
};

void wait_for(const Deadline& deadline) {
  while (!deadline.passed()) std::this_thread::sleep_for(1ms);
}

TEST_CASE("a host function that takes the interrupt of its own call for an answer does not free its caller") {
  for (Tiers tiers : kTiers) {
    CAPTURE(static_cast<int>(tiers));
    Guest guest(tiers);
    guest.host = [&] { CHECK(guest.interrupted("spin")); };
    const Deadline deadline(guest.store, 20ms);
    CHECK(guest.interrupted("host_then_spin"));
  }
}

TEST_CASE("every call under a deadline that has passed is interrupted, and none behind it") {
  for (Tiers tiers : kTiers) {
    CAPTURE(static_cast<int>(tiers));
    Guest guest(tiers);
    {
      const Deadline deadline(guest.store, 10ms);
      for (int i = 0; i < 3; ++i) CHECK(guest.interrupted("spin"));
      guest.store.clear_interrupt();
      CHECK(guest.interrupted("spin"));
    }
    CHECK(!guest.interrupted("host"));
  }
}

TEST_CASE("the end of an inner deadline leaves the outer one alone") {
  for (Tiers tiers : kTiers) {
    CAPTURE(static_cast<int>(tiers));
    Guest guest(tiers);
    const Deadline outer(guest.store, 20ms);
    guest.host = [&] {
      const Deadline inner(guest.store, 1ms);
      wait_for(inner);
      wait_for(outer);
    };
    CHECK(guest.interrupted("host_then_spin"));
  }
  SUBCASE("nor an inner one the guest, when it ends in time") {
    Guest guest(Tiers::Auto);
    guest.host = [&] {
      const Deadline inner(guest.store, 1ms);
      wait_for(inner);
    };
    const Deadline outer(guest.store, 1h);
    CHECK(!guest.interrupted("host"));
  }
}

TEST_CASE("the end of a deadline takes back no interrupt of somebody else's") {
  for (Tiers tiers : kTiers) {
    CAPTURE(static_cast<int>(tiers));
    Guest guest(tiers);
    guest.host = [&] {
      const Deadline deadline(guest.store, 1ms);
      wait_for(deadline);
      guest.store.interrupt();
    };
    CHECK(guest.interrupted("host_then_spin"));
    CHECK((guest.host = [] {}, !guest.interrupted("host")));
  }
}

TEST_CASE("deadlines of one store may end in any order") {
  Guest guest(Tiers::Auto);
  auto first = std::make_unique<Deadline>(guest.store, 0ns), second = std::make_unique<Deadline>(guest.store, 0ns);
  wait_for(*first);
  wait_for(*second);
  first.reset();
  CHECK(guest.interrupted("spin"));
  second.reset();
  CHECK(!guest.interrupted("host"));
}

}  // namespace
}  // namespace vmrun::test
