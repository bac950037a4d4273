// What tasks wait for each other with, and how others learn of a task's end.
#include "vmrun/sync.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/engine/fixture.h"
#include "vmrun/completions.h"
#include "vmrun/executor.h"

namespace vmrun::test {
namespace {

using namespace std::chrono_literals;

Executor executor_of(unsigned workers) {
  ExecutorConfig config;
  config.workers = workers;
  config.slice = 1ms;
  return ok(Executor::create(config));
}

/// Lives as long as somebody has one.
struct Counted {
  explicit Counted(std::atomic<int>& n) : live(&n) { ++*live; }
  Counted(Counted&& other) noexcept : live(std::exchange(other.live, nullptr)) {}
  Counted& operator=(Counted&& other) noexcept {
    std::swap(live, other.live);
    return *this;
  }
  ~Counted() {
    if (live != nullptr) --*live;
  }
  std::atomic<int>* live;
};

bool readable(int fd) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, 0) == 1;
}

TEST_CASE("channels hand every value over once, small and large ones, between tasks and a thread") {
  for (unsigned workers : {1u, 2u, 8u}) {
    for (size_t capacity : {0u, 1u, 16u}) {
      CAPTURE(workers);
      CAPTURE(capacity);
      Executor executor = executor_of(workers);
      struct Large {
        int number;
        std::string text[3];  // more than what is kept in place
      };
      Channel<int> numbers(capacity);
      Channel<Large> larges(capacity);
      constexpr int kEach = 500;
      std::atomic<int64_t> sum{0};
      std::atomic<int> wrong{0};
      for (int t = 0; t < 4; ++t) {
        ok(executor.spawn([&, t] {
          for (int i = 0; i < kEach; ++i) wrong += numbers.send(t * kEach + i) != Waited::Done;
        }));
      }
      for (int t = 0; t < 3; ++t) {
        ok(executor.spawn([&] {
          while (std::optional<int> number = numbers.receive()) {
            Large large{*number, {std::to_string(*number), "b", "c"}};
            wrong += larges.send(std::move(large)) != Waited::Done;
          }
        }));
      }
      for (int i = 0; i < 4 * kEach; ++i) {
        const std::optional<Large> large = larges.receive();  // holds this thread
        REQUIRE(large.has_value());
        sum += large->number;
        wrong += large->text[0] != std::to_string(large->number);
      }
      numbers.close();
      executor.wait_idle();
      CHECK(wrong == 0);
      CHECK(sum == int64_t{4} * kEach * (4 * kEach - 1) / 2);
      CHECK(numbers.send(1) == Waited::Closed);
    }
  }
}

TEST_CASE("a value that is not sent stays with the sender, and none is lost or doubled") {
  std::atomic<int> live{0};
  {
    Channel<Counted> channel(1);
    CHECK(channel.try_send(Counted(live)) == Waited::Done);
    Counted second(live);
    CHECK(channel.try_send(std::move(second)) == Waited::TimedOut);
    CHECK(second.live == &live);
    CHECK(channel.send(std::move(second), 1ms) == Waited::TimedOut);
    CHECK(second.live == &live);
    CHECK(channel.size() == 1);
    std::optional<Counted> first;
    CHECK(channel.receive(first) == Waited::Done);
    CHECK(live == 2);
    CHECK(channel.receive(first, 1ms) == Waited::TimedOut);
    CHECK_FALSE(first.has_value());
    CHECK(live == 1);
    CHECK_FALSE(channel.try_receive().has_value());
    CHECK(channel.try_send(Counted(live)) == Waited::Done);
  }
  CHECK(live == 0);
}

TEST_CASE("a mutex and a condition guard what tasks and threads share") {
  Executor executor = executor_of(2);
  Mutex mutex;
  Condition changed;
  int turn = 0;
  constexpr int kTurns = 2000, kTasks = 4;
  for (int t = 0; t < kTasks; ++t) {
    ok(executor.spawn([&, t] {
      for (int i = 0; i < kTurns; ++i) {
        std::lock_guard guard(mutex);
        while (turn % (kTasks + 1) != t) changed.wait(mutex);
        ++turn;
        changed.notify_all();
      }
    }));
  }
  for (int i = 0; i < kTurns; ++i) {
    std::lock_guard guard(mutex);
    while (turn % (kTasks + 1) != kTasks) changed.wait(mutex);
    ++turn;
    changed.notify_all();
  }
  executor.wait_idle();
  CHECK(turn == kTurns * (kTasks + 1));
  CHECK(mutex.try_lock());
  CHECK_FALSE(mutex.try_lock());
  CHECK(mutex.lock_for(1ms) == Waited::TimedOut);
  CHECK(changed.wait(mutex, 1ms) == Waited::TimedOut);
  mutex.unlock();
}

TEST_CASE("cancellation ends waits, a time ends them, and a wait group sees the last job") {
  Executor executor = executor_of(1);
  Event never, begun;
  WaitGroup group;
  std::atomic<int> cancelled{0}, later{0};
  CancelToken token = CancelToken::create();
  constexpr int kTasks = 20;
  group.add(kTasks);
  for (int t = 0; t < kTasks; ++t) {
    TaskOptions options;
    options.cancel = token;
    ok(executor.spawn(
        [&] {
          cancelled += never.wait() == Waited::Cancelled;
          cancelled += never.wait(1s) == Waited::Cancelled;  // and so it goes on
          cancelled += this_task::take_stop() == StopReason::Cancelled;
          later += never.wait(1ms) == Waited::TimedOut;
          group.done();
        },
        options));
  }
  CHECK(group.wait(1ms) == Waited::TimedOut);
  CHECK_FALSE(token.cancelled());
  token.cancel();
  CHECK(token.cancelled());
  CHECK(group.wait() == Waited::Done);
  CHECK(cancelled == 3 * kTasks);
  CHECK(later == kTasks);
  TaskOptions options;
  options.cancel = token;
  StopReason seen = StopReason::None;
  ok(executor.spawn([&] { seen = this_task::stop_reason(); }, options)).join();
  CHECK(seen == StopReason::Cancelled);  // at once
  CHECK_FALSE(never.is_set());
  never.set();
  CHECK(never.wait() == Waited::Done);
  executor.wait_idle();
}

TEST_CASE("a host function that waits suspends its guest, not the thread") {
  // (module (import "host" "ask" (func (param i32) (result i32)))
  //   (func (export "run") (param i32) (result i32) local.get 0 call 0 i32.const 1 i32.add))
  const std::vector<uint8_t> image = {
      0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x06, 0x01, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x02, 0x0c, 0x01,
      0x04, 0x68, 0x6f, 0x73, 0x74, 0x03, 0x61, 0x73, 0x6b, 0x00, 0x00, 0x03, 0x02, 0x01, 0x00, 0x07, 0x07, 0x01, 0x03,
      0x72, 0x75, 0x6e, 0x00, 0x01, 0x0a, 0x0b, 0x01, 0x09, 0x00, 0x20, 0x00, 0x10, 0x00, 0x41, 0x01, 0x6a, 0x0b};
  Engine engine;
  const Module module = ok(Module::compile(engine, image));
  struct Question {
    int32_t asked;
    Channel<int32_t>* answer;
  };
  Channel<Question> questions(4);
  Linker linker(engine);
  ok(linker.func_wrap("host", "ask", [&](int32_t asked) -> int32_t {
    Channel<int32_t> answer;
    questions.send({asked, &answer});
    return answer.receive().value_or(-1000);
  }));
  constexpr int kGuests = 200;
  Executor executor = executor_of(1);
  std::vector<std::unique_ptr<Store>> stores;
  std::atomic<int> right{0};
  for (int32_t i = 0; i < kGuests; ++i) {
    Store& store = *stores.emplace_back(std::make_unique<Store>(engine));
    ok(executor.spawn(store, [&, i] {
      const Instance instance = ok(linker.instantiate(store, module));
      right += ok(ok(ok(instance.func("run")).typed<int32_t(int32_t)>()).call(i)) == 2 * i + 1;
    }));
  }
  // All have asked, on one thread, before the first gets its answer.
  std::vector<Question> asked;
  for (int i = 0; i < kGuests; ++i) asked.push_back(*questions.receive());
  for (const Question& question : asked) question.answer->send(2 * question.asked);
  executor.wait_idle();
  CHECK(right == kGuests);
}

TEST_CASE("ends of tasks come by a call and by a descriptor, once each, when the task is done") {
  Completions completions = ok(Completions::create());
  CHECK(completions.take().empty());
  CHECK_FALSE(readable(completions.descriptor()));
  Executor executor = executor_of(2);
  constexpr uint64_t kTasks = 300;
  std::vector<Task> tasks(kTasks);
  std::atomic<int> called{0}, not_done{0};
  Event go;
  for (uint64_t i = 0; i < kTasks; ++i) {
    TaskOptions options;
    options.completions = &completions;
    options.token = i;
    options.on_end = [&, i] {
      ++called;
      not_done += !tasks[i].done();
    };
    tasks[i] = ok(executor.spawn([&] { go.wait(); }, options));
  }
  CHECK_FALSE(readable(completions.descriptor()));
  CHECK(called == 0);
  go.set();
  std::vector<uint64_t> tokens;
  while (tokens.size() < kTasks) {
    pollfd one{completions.descriptor(), POLLIN, 0};
    REQUIRE(::poll(&one, 1, 60'000) == 1);
    const std::vector<uint64_t> some = completions.take();
    CHECK_FALSE(some.empty());
    for (uint64_t token : some) not_done += !tasks[token].done();
    tokens.insert(tokens.end(), some.begin(), some.end());
  }
  executor.wait_idle();
  CHECK_FALSE(readable(completions.descriptor()));
  CHECK(completions.take().empty());
  CHECK(called == kTasks);
  CHECK(not_done == 0);
  std::sort(tokens.begin(), tokens.end());
  for (uint64_t i = 0; i < kTasks; ++i) CHECK(tokens[i] == i);
}

}  // namespace
}  // namespace vmrun::test
