// A system call that holds a task's thread ends with the task's cancellation: opening a FIFO that nobody writes to.
#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "jit/stop/preempt.h"
#include "tests/unit/wasi/host.h"
#include "tests/unit/wasi/tasks.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/store.h"

namespace vmrun {
namespace {

/// A directory with a FIFO and a file.
struct Box {
  wasi::TempDir dir;
  std::string fifo = dir / "box/fifo";
  Box() {
    dir.put("box/file", "x");
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  }
  WasiConfig config() const { return WasiConfig().preopen_dir(dir.box(), "/box"); }
  /// Waits for the task's end. One that does not end is let go, so that the test does.
  void check_ends(const Task& task) const {
    const bool ended = task.join_for(60s);
    CHECK(ended);
    while (!ended && !task.join_for(10ms)) ::close(::open(fifo.c_str(), O_RDWR | O_NONBLOCK));
  }
};

Module opening_module(const Engine& engine) {
  return ok(Module::compile_file(engine, VMRUN_FIXTURES "/wasi_open.wasm"));
}

constexpr Tiers kTiers[] = {Tiers::Interp, Tiers::Baseline, Tiers::Opt, Tiers::Auto};

TEST_CASE("cancelling a task, its deadline, or an interrupt ends its guest's opening of a FIFO") {
  if (!jit::kStopsBySignal) return;
  enum class By { Cancel, Deadline, Interrupt };
  for (Tiers tiers : kTiers) {
    const Engine engine = engine_of(tiers);
    const Module module = opening_module(engine);
    for (unsigned workers : {1u, 2u}) {
      CAPTURE(static_cast<int>(tiers));
      CAPTURE(workers);
      const Box box;
      Executor executor = executor_with(workers, "auto");
      std::vector<std::unique_ptr<Guest>> guests;
      std::vector<Task> tasks;
      std::atomic<size_t> interrupted{0}, known{0}, opened{0};
      constexpr By kAll[] = {By::Cancel, By::Deadline, By::Interrupt, By::Cancel, By::Deadline, By::Interrupt};
      for (By by : kAll) {
        guests.push_back(std::make_unique<Guest>(engine, module, box.config()));
        TaskOptions options;
        if (by == By::Deadline) options.timeout = 60ms;
        tasks.push_back(ok(executor.spawn(
            guests.back()->store,
            [&, by, guest = guests.back().get()] {
              interrupted += was_interrupted(guest->call("open_fifo"));
              known += this_task::take_stop() == (by == By::Cancel     ? StopReason::Cancelled
                                                  : by == By::Deadline ? StopReason::Timeout
                                                                       : StopReason::None);
              opened += ok(guest->call("open_file"))[0].as_i32() == 0;
            },
            options)));
      }
      // Most are in the call by then, and some perhaps not yet, or no longer.
      for (int i = 0; i < 200 && executor.stats().blocked_threads < tasks.size(); ++i) std::this_thread::sleep_for(1ms);
      for (size_t i = 0; i < tasks.size(); ++i) {
        if (kAll[i] == By::Cancel) tasks[i].cancel();
        if (kAll[i] == By::Interrupt) guests[i]->store.interrupt();
      }
      for (const Task& task : tasks) box.check_ends(task);
      CHECK(interrupted == tasks.size());
      CHECK(known == tasks.size());
      CHECK(opened == tasks.size());
    }
  }
}

TEST_CASE("a cancellation that was taken ends no later call") {
  if (!jit::kStopsBySignal) return;
  for (Tiers tiers : kTiers) {
    CAPTURE(static_cast<int>(tiers));
    const Engine engine = engine_of(tiers);
    const Module module = opening_module(engine);
    const Box box;
    Guest guest(engine, module, box.config());
    Executor executor = executor_with(1, "auto");
    std::atomic<int> round{0};
    std::atomic<int> wrong{0};
    constexpr int kRounds = 300;
    const Task task = ok(executor.spawn(guest.store, [&] {
      for (int i = 1; i <= kRounds; ++i) {
        round = i;
        wrong += !was_interrupted(guest.call("open_fifo"));
        wrong += this_task::take_stop() != StopReason::Cancelled;
        for (int k = 0; k < 20; ++k) {
          const auto opened = guest.call("open_file");
          wrong += !opened || (*opened)[0].as_i32() != 0;
        }
      }
    }));
    for (int i = 1; i <= kRounds; ++i) {
      while (round != i) std::this_thread::yield();
      for (volatile int spin = 0; spin < (i % 40) * 100; spin = spin + 1) {
      }
      task.cancel();
    }
    box.check_ends(task);
    CHECK(wrong == 0);
    // As if the scheduler had asked once more right before.
    for (int i = 0; i < 5; ++i) {
      guest.store.impl().vcpu().requests = vm::kEndCalls | static_cast<uint8_t>(vm::Request::yield);
      CHECK(ok(guest.call("open_file"))[0].as_i32() == 0);
    }
  }
}

/// Opens the FIFO for writing until the tasks have ended, which ends the waits of those who read.
void let_go(const Box& box, const Executor& executor) {
  while (executor.live() != 0) {
    ::close(::open(box.fifo.c_str(), O_RDWR | O_NONBLOCK));
    std::this_thread::sleep_for(1ms);
  }
}

Executor executor_of_threads(unsigned workers, unsigned threads, const char* io) {
  ExecutorConfig config;
  config.workers = workers;
  config.max_threads = threads;
  config.io = io;
  return ok(Executor::create(config));
}

TEST_CASE("guests that hold their threads leave some to those who run") {
  const Engine engine = engine_of(Tiers::Baseline);
  const Module module = opening_module(engine);
  for (const char* io : {"epoll", "auto"}) {
    for (unsigned workers : {1u, 2u}) {
      CAPTURE(io);
      CAPTURE(workers);
      const Box box;
      Executor executor = executor_of_threads(workers, 8, io);
      constexpr size_t kGuests = 20;
      std::vector<std::unique_ptr<Guest>> guests;
      std::atomic<size_t> refused{0}, other{0};
      for (size_t i = 0; i < kGuests; ++i) {
        guests.push_back(std::make_unique<Guest>(engine, module, box.config()));
        ok(executor.spawn(guests.back()->store, [&, guest = guests.back().get()] {
          const int32_t error = ok(guest->call("open_fifo"))[0].as_i32();
          refused += error == 6;
          other += error != 6 && error != 0;
        }));
      }
      // Those who hold no thread go on, however long the others do. A file's call that finds no thread is made elsewhere.
      Guest runs(engine, module, box.config().stdin_bytes("x"));
      std::atomic<bool> ran{false};
      const Task task = ok(executor.spawn(runs.store, [&] { ran = true; }));
      CHECK(task.join_for(20s));
      CHECK(ran);
      // All that are not in the call were told to try again.
      for (int i = 0; i < 2000 && executor.stats().blocked_threads + refused < kGuests; ++i) {
        std::this_thread::sleep_for(10ms);
      }
      CHECK(refused >= kGuests - 8 + workers);
      CHECK(refused < kGuests);
      let_go(box, executor);
      CHECK(other == 0);
      // With the threads back, opening works again.
      ok(executor.spawn(runs.store, [&] { other += ok(runs.call("open_file"))[0].as_i32() != 0; }));
      executor.wait_idle();
      CHECK(other == 0);
    }
  }
}

TEST_CASE("a program of many threads holds no more of the system's than are left for others") {
  const Engine engine = engine_of(Tiers::Baseline);
  const Module module = ok(Module::compile_file(engine, VMRUN_FIXTURES "/wasi_threads_open.wasm"));
  const Module opening = opening_module(engine);
  const Box box;
  constexpr unsigned kWorkers = 2, kThreads = 24, kMost = kThreads - 2 * kWorkers;
  Executor executor = executor_of_threads(kWorkers, kThreads, "auto");
  Store store(engine);
  const WasiContext wasi = ok(WasiContext::create(box.config()));
  const Instance instance = ok(instantiate_wasi(store, module, wasi));
  const auto number = [&](const char* name) { return ok(ok(instance.func(name)).call())[0].as_i32(); };
  std::atomic<bool> enough{false};
  std::atomic<int32_t> refused{0};
  ok(executor.spawn(store, [&] {
    ok(run_wasi(store, [&]() -> Result<void> {
      constexpr int32_t kAll = 2 * kMost;
      for (int32_t i = 0; i < kAll; ++i) CHECK(number("spawn") > 0);
      // Half of them, and those that entered before the others were seen to hold a thread.
      while (number("begun") < kAll || number("refused") < kAll - static_cast<int32_t>(kMost / 2 + kWorkers)) {
        this_task::sleep_for(1ms);
      }
      refused = number("refused");
      enough = true;
      while (number("opened") + number("refused") < kAll) this_task::sleep_for(1ms);
      return {};
    }));
  }));
  for (int i = 0; i < 2000 && !enough; ++i) std::this_thread::sleep_for(10ms);
  CHECK(enough);
  CHECK(refused < static_cast<int32_t>(2 * kMost) - 1);  // it held some
  // Another guest may still open a file.
  Guest other(engine, opening, box.config());
  std::atomic<int32_t> error{-1};
  const Task task = ok(executor.spawn(other.store, [&] { error = ok(other.call("open_file"))[0].as_i32(); }));
  CHECK(task.join_for(20s));
  CHECK(error == 0);
  let_go(box, executor);
}

}  // namespace
}  // namespace vmrun
