// Guests in tasks of an executor: where they wait, their thread goes on with others.
#include "tests/unit/wasi/tasks.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace vmrun {
namespace {

TEST_CASE("a reader and a writer over a pipe share one worker") {
  Engine engine;
  const Module module = waiting_module(engine);
  for (const char* io : kIo) {
    CAPTURE(io);
    const Pipe pipe;
    Guest writer(engine, module, WasiConfig().stdout_fd(pipe.writing()));
    Guest reader(engine, module, WasiConfig().stdin_fd(pipe.reading()));
    Executor executor = executor_with(1, io);
    std::atomic<bool> wrote_on{false};
    std::atomic<int> read{0};
    const Task w = ok(executor.spawn(writer.store, [&] {
      wrote_on = was_interrupted(writer.call("write_on"));
      CHECK(this_task::stop_reason() == StopReason::Cancelled);
    }));
    // Three times what a pipe holds.
    const Task r = ok(executor.spawn(reader.store, [&] {
      for (int i = 0; i < 50; ++i) read += ok(reader.call("read"))[0].as_i32() == 0;
    }));
    CHECK(r.join());
    CHECK(read == 50);
    w.cancel();
    CHECK(w.join());
    CHECK(wrote_on);
  }
}

TEST_CASE("cancelling a task, or its deadline, ends its guest's wait") {
  for (Tiers tiers : {Tiers::Interp, Tiers::Baseline, Tiers::Opt}) {
    Config config;
    config.tiers = tiers;
    Engine engine(config);
    const Module module = waiting_module(engine);
    for (const char* io : kIo) {
      for (unsigned workers : {1u, 2u}) {
        CAPTURE(static_cast<int>(tiers));
        CAPTURE(io);
        CAPTURE(workers);
        const Pipe in, out;
        Executor executor = executor_with(workers, io);
        std::vector<std::unique_ptr<Guest>> guests;
        std::vector<Task> tasks;
        std::atomic<size_t> interrupted{0}, known{0};
        for (const char* name : {"read", "write_on", "sleep", "poll"}) {
          for (const bool late : {false, true}) {
            guests.push_back(
                std::make_unique<Guest>(engine, module, WasiConfig().stdin_fd(in.reading()).stdout_fd(out.writing())));
            TaskOptions options;
            if (late) options.timeout = 30ms;
            tasks.push_back(ok(executor.spawn(
                guests.back()->store,
                [&, late, name, guest = guests.back().get()] {
                  interrupted += was_interrupted(guest->call(name));
                  known += this_task::take_stop() == (late ? StopReason::Timeout : StopReason::Cancelled);
                  CHECK(this_task::sleep_for(1us));  // waits work again
                },
                options)));
          }
        }
        std::this_thread::sleep_for(20ms);
        for (size_t i = 0; i < tasks.size(); i += 2) tasks[i].cancel();
        executor.wait_idle();
        CHECK(interrupted == tasks.size());
        CHECK(known == tasks.size());
      }
    }
  }
}

TEST_CASE("a guest that is cancelled when a part of its write is done does not go on") {
  const Engine engine;
  const Module module = waiting_module(engine);
  for (const char* io : kIo) {
    CAPTURE(io);
    for (int i = 0; i < 20; ++i) {
      const Pipe out;
      const std::string before(4096, 'x');  // so that 64 KiB do not fit in
      REQUIRE(::write(out.writing(), before.data(), before.size()) == 4096);
      Executor executor = executor_with(1, io);
      Guest guest(engine, module, WasiConfig().stdout_fd(out.writing()));
      std::atomic<bool> interrupted{false};
      const Task task =
          ok(executor.spawn(guest.store, [&] { interrupted = was_interrupted(guest.call("write_once")); }));
      for (int ready = 0; ready < 65536; std::this_thread::sleep_for(1ms)) {
        REQUIRE(::ioctl(out.reading(), FIONREAD, &ready) == 0);
      }
      task.cancel();
      CHECK(task.join());
      CHECK(interrupted);
    }
  }
}

TEST_CASE("a guest in a task may call as deep as on a thread") {
  for (Tiers tiers : {Tiers::Interp, Tiers::Baseline, Tiers::Opt}) {
    CAPTURE(static_cast<int>(tiers));
    const Engine engine = engine_of(tiers);
    const Module module = waiting_module(engine);
    const auto depth = [&](Guest& guest) {
      const auto end = guest.call("deep");
      CHECK((!end && end.error().trap == TrapCode::StackOverflow));
      return ok(guest.instance.global("depth")).get().as_i32();
    };
    int32_t on_thread = 0, in_task = 0;
    Guest first(engine, module, WasiConfig());
    std::thread([&] { on_thread = depth(first); }).join();
    ExecutorConfig config;
    config.workers = 1;
    config.stack_bytes = StoreLimits().stack_bytes + (256 << 10);
    Executor executor = ok(Executor::create(config));
    Guest second(engine, module, WasiConfig());
    CHECK(ok(executor.spawn(second.store, [&] { in_task = depth(second); })).join());
    CHECK(on_thread > 10'000);
    // But for what is kept of either stack for the host's functions.
    CHECK(in_task > on_thread / 20 * 19);
  }
}

TEST_CASE("guests that wait hold no threads") {
  Engine engine;
  const Module module = waiting_module(engine);
  const Pipe pipe;
  Executor executor = executor_with(2, "auto");
  constexpr size_t kGuests = 300;
  std::vector<std::unique_ptr<Guest>> guests;
  std::vector<Task> tasks;
  std::atomic<size_t> ended{0};
  for (size_t i = 0; i < kGuests; ++i) {
    guests.push_back(std::make_unique<Guest>(engine, module, WasiConfig().stdin_fd(pipe.reading())));
    tasks.push_back(ok(executor.spawn(guests.back()->store, [&, i, guest = guests.back().get()] {
      constexpr const char* kNames[] = {"read", "sleep", "poll"};
      ended += was_interrupted(guest->call(kNames[i % 3]));
    })));
  }
  while (executor.stats().ready != 0 || executor.stats().blocked_threads != 0) std::this_thread::sleep_for(1ms);
  CHECK(executor.live() == kGuests);
  CHECK(executor.stats().threads <= 8);
  CHECK(!executor.report().empty());
  for (const Task& task : tasks) task.cancel();
  executor.wait_idle();
  CHECK(ended == kGuests);
}

TEST_CASE("a host function of the embedder's suspends its guest") {
  Engine engine;
  Executor executor = executor_with(1, "auto");
  const Pipe pipe;
  std::string order;
  Store first(engine), second(engine);
  const Func waits = ok(Func::wrap(first, [&] {
    CHECK(this_task::is_one());
    CHECK(this_task::wait_fd(pipe.reading(), this_task::Ready::Read));
    order += "2";
  }));
  const Func writes = ok(Func::wrap(second, [&] {
    order += "1";
    CHECK(::write(pipe.writing(), "x", 1) == 1);
  }));
  const Task a = ok(executor.spawn(first, [&] { ok(waits.call()); }));
  const Task b = ok(executor.spawn(second, [&] { ok(writes.call()); }));
  CHECK(a.join());
  CHECK(b.join());
  CHECK(order == "12");
  // Beyond its time; and on a thread.
  const auto late = this_task::wait_fd(pipe.writing() + 0, this_task::Ready::Write, 1ms);
  CHECK(late.ok());
  char byte;
  REQUIRE(::read(pipe.reading(), &byte, 1) == 1);
  const auto never = this_task::wait_fd(pipe.reading(), this_task::Ready::Read, 1ms);
  REQUIRE(!never);
  CHECK(never.error().kind == ErrorKind::Limit);
}

TEST_CASE("memory.atomic.wait suspends a task") {
  Engine engine;
  const Module module = ok(Module::compile_file(engine, VMRUN_FIXTURES "/engine_memory64.wasm"));
  Linker linker(engine);
  Executor executor = executor_with(1, "auto");
  constexpr size_t kGuests = 40;
  std::vector<std::unique_ptr<Store>> stores;
  std::vector<Task> tasks;
  std::atomic<size_t> timed_out{0}, interrupted{0};
  for (size_t i = 0; i < kGuests; ++i) {
    stores.push_back(std::make_unique<Store>(engine));
    const Instance instance = ok(linker.instantiate(*stores.back(), module));
    tasks.push_back(ok(executor.spawn(*stores.back(), [&, i, instance] {
      const int64_t time = i % 2 == 0 ? 20'000'000 : -1;
      const auto result = ok(instance.func("wait")).call({Val::i32(0), Val::i32(0), Val::i64(time)});
      if (result) {
        timed_out += (*result)[0].as_i32() == 2;
      } else {
        interrupted += was_interrupted(result);
      }
    })));
  }
  for (size_t i = 0; i < kGuests; i += 2) CHECK(tasks[i].join());
  CHECK(timed_out == kGuests / 2);
  CHECK(executor.stats().threads <= 4);
  for (const Task& task : tasks) task.cancel();
  executor.wait_idle();
  CHECK(interrupted == kGuests / 2);
}

TEST_CASE("a guest that ends with the reader of its pipe gone sees errno, and the process lives") {
  Engine engine;
  const Module module = waiting_module(engine);
  for (const char* io : kIo) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    ::close(ends[0]);
    Guest writer(engine, module, WasiConfig().stdout_fd(ends[1]));
    Executor executor = executor_with(1, io);
    std::atomic<bool> ended{false};
    // write_on ends with the first error.
    ok(executor.spawn(writer.store, [&] { ended = writer.call("write_on").ok(); })).join();
    CHECK(ended);
    ::close(ends[1]);
  }
}

TEST_CASE("an executor that cannot be made says why") {
  ExecutorConfig config;
  config.io = "kqueue";
  auto unknown = Executor::create(config);
  REQUIRE(!unknown);
  CHECK(unknown.error().to_string().find("kqueue") != std::string::npos);
  config.io = "auto";
  config.stack_bytes = 4096;
  auto small = Executor::create(config);
  REQUIRE(!small);
  CHECK(small.error().kind == ErrorKind::Usage);
}

}  // namespace
}  // namespace vmrun
