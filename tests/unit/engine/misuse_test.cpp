// What an embedder does wrong with tasks is told in its own words, as an error or at the end of the process, and is never
// called a bug of vmrun's.
#include <csignal>
#include <memory>
#include <optional>

#include "tests/support/child.h"
#include "tests/unit/engine/fixture.h"
#include "vmrun/executor.h"

namespace vmrun::test {
namespace {

Executor make_executor() { return ok(Executor::create({.workers = 1})); }

void check_blamed(const char* child, const char* says) {
  const Ended ended = in_child(child);
  CAPTURE(ended.text);
  CHECK(ended.status == -SIGABRT);
  CHECK(ended.text.find(says) != std::string::npos);
  CHECK(ended.text.find("bug") == std::string::npos);
}

TEST_CASE("misuse child: an executor dies at a task's end" * doctest::skip()) {
  auto executor = std::make_unique<Executor>(make_executor());
  Event dead;
  Executor& own = *executor;
  ok(own.spawn([] {}, {.on_end = [&] {
                 executor.reset();
                 dead.set();
               }}));
  dead.wait();
}

TEST_CASE("misuse child: a task waits for all tasks" * doctest::skip()) {
  Executor executor = make_executor();
  ok(executor.spawn([&] { executor.wait_idle(); })).join();
}

TEST_CASE("misuse child: a mutex that is free" * doctest::skip()) {
  Mutex mutex;
  mutex.lock();
  mutex.unlock();
  mutex.unlock();
}

TEST_CASE("misuse child: an empty group" * doctest::skip()) {
  WaitGroup group;
  group.done();
}

TEST_CASE("waiting for oneself and unlocking what is free end the process with a reason") {
  check_blamed("misuse child: an executor dies at a task's end", "do that on a thread of your own");
  check_blamed("misuse child: a task waits for all tasks", "do that on a thread of your own");
  check_blamed("misuse child: a mutex that is free", "a Mutex was unlocked that nobody holds");
  check_blamed("misuse child: an empty group", "WaitGroup::done() was called more often than jobs were added");
}

TEST_CASE("a task that joins itself does not wait") {
  Executor executor = make_executor();
  Event known;
  Task self;
  bool joined = true, joined_for = true;
  const Task task = ok(executor.spawn([&] {
    known.wait();
    joined = self.join();
    joined_for = self.join_for(std::chrono::hours(1));
  }));
  self = task;
  known.set();
  CHECK(task.join());
  CHECK(!joined);
  CHECK(!joined_for);
}

TEST_CASE("a store is one task's at a time, also one that fails or is thrown away") {
  Basic basic;
  Executor executor = make_executor();
  Event go;
  const Task first = ok(executor.spawn(basic.store, [&] { go.wait(); }));
  const Result<Task> second = executor.spawn(basic.store, [] {});
  REQUIRE(!second);
  CHECK(second.error().kind == ErrorKind::Usage);
  CHECK(second.error().message == "the store belongs to another task until that has ended");
  go.set();
  CHECK(first.join());
  int32_t sum = 0;
  for (int i = 0; i < 3; ++i) {
    CHECK(ok(executor.spawn(basic.store, [&] {
            sum += ok(basic.func<int32_t(int32_t, int32_t)>("add").call(i, 1));
          })).join());
  }
  CHECK(sum == 6);
}

TEST_CASE("a host function that calls itself by the API ends before its stack does") {
  for (const size_t stack : {Store::kMinNativeStack, size_t{1} << 20}) {
    Basic basic;
    Executor executor = ok(Executor::create({.workers = 1, .stack_bytes = stack}));
    std::optional<Func> self;
    int depth = 0;
    self = ok(Func::create(basic.store, {}, [&](Caller&, std::span<const Val>, std::span<Val>) -> Result<void> {
      volatile char pad[1024];
      pad[0] = 1;
      ++depth;
      auto done = self->call({});
      if (!done) return done.error();
      return {};
    }));
    bool ended = false;
    ok(executor.spawn(basic.store, [&] {
      const auto done = self->call({});
      ended = !done && done.error().trap == TrapCode::StackOverflow;
    })).join();
    CHECK(ended);
    CHECK(depth > 10);
    // All but half of what is kept for host functions.
    CHECK(static_cast<size_t>(depth) < (stack - (size_t{64} << 10)) / 1024);
  }
}

}  // namespace
}  // namespace vmrun::test
