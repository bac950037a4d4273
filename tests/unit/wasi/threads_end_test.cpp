// Programs of several threads (wasi-threads): how they end, all together, whatever ends one.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/wasi/threads.h"
#include "vmrun/deadline.h"
#include "wasi/context.h"

namespace vmrun {
namespace {

TEST_CASE("threads: the trap of one ends all") {
  for (Tiers tiers : {Tiers::Interp, Tiers::Baseline}) {
    const Engine engine = engine_of(tiers);
    const Module module = threads_module(engine);
    for (unsigned workers : kWorkers) {
      for (const char* main : {"spin", "wait", "sleep", "read"}) {
        CAPTURE(workers);
        CAPTURE(main);
        const Pipe input;
        Threads program(module, WasiConfig().stdin_fd(input.reading()));
        const auto done = program.run(workers, [&] {
          start_all_kinds(program);
          return program.last("spawn", {Val::i32(what(Traps))}, main);
        });
        REQUIRE(!done);
        CHECK(done.error().kind == ErrorKind::Trap);
        CHECK(done.error().trap == TrapCode::Unreachable);
        REQUIRE(!done.error().backtrace.empty());
        CHECK(done.error().backtrace.back().function == "wasi_thread_start");
        // It stays ended.
        const auto later = program.call("size");
        REQUIRE(!later);
        CHECK(later.error().kind == ErrorKind::Usage);
        CHECK(later.error().message.find("has ended (") != std::string::npos);
      }
    }
  }
}

TEST_CASE("threads: no call begins in a program that is over") {
  Engine engine;
  const Module module = threads_module(engine);
  for (unsigned workers : kWorkers) {
    CAPTURE(workers);
    Threads program(module, WasiConfig());
    std::optional<Error> in_vain, typed;
    const auto done = program.run(workers, [&]() -> Result<void> {
      // The thread's end ends the program, whether or not a call of this one is under way.
      auto call = program.last("spawn", {Val::i32(what(Traps))}, "spin");
      CHECK(!call);
      // Nobody is left who could wake it.
      auto waits = program.only("wait");
      if (!waits) in_vain = waits.error();
      auto size = ok(ok(program.instance.func("size")).typed<int32_t()>()).call();
      if (!size) typed = size.error();
      return {};
    });
    REQUIRE(!done);
    CHECK(done.error().trap == TrapCode::Unreachable);
    for (const auto& refused : {in_vain, typed}) {
      REQUIRE(refused);
      CHECK(refused->kind == ErrorKind::Usage);
      CHECK(refused->message.find("new store") != std::string::npos);
    }
    // And by an embedder who calls later, in no task.
    const auto later = program.only("wait");
    REQUIRE(!later);
    CHECK(later.error().kind == ErrorKind::Usage);
  }
}

TEST_CASE("threads: calls after the first thread has returned are refused, without a reason but that") {
  Engine engine;
  const Module module = threads_module(engine);
  Threads program(module, WasiConfig());
  REQUIRE(program.run(1, [&]() -> Result<void> {
    CHECK(program.spawn(what(Count)) > 0);
    program.join(1);
    return {};
  }));
  const auto later = program.only("wait");
  REQUIRE(!later);
  CHECK(later.error().kind == ErrorKind::Usage);
  CHECK(later.error().message.find("has ended,") != std::string::npos);
  // What has no threads has no end: its calls go on.
  Threads alone(module, WasiConfig());
  REQUIRE(alone.run(1, [&] { return alone.only("open_gate"); }));
  CHECK(alone.get(kBegun) == 0);
}

TEST_CASE("threads: proc_exit of one ends all, with its status") {
  Engine engine;
  const Module module = threads_module(engine);
  for (unsigned workers : kWorkers) {
    for (const char* main : {"spin", "wait", "sleep", "read"}) {
      CAPTURE(workers);
      CAPTURE(main);
      const Pipe input;
      Threads program(module, WasiConfig().stdin_fd(input.reading()));
      const auto done = program.run(workers, [&] {
        start_all_kinds(program);
        return program.last("spawn", {Val::i32(what(Exits, 7))}, main);
      });
      REQUIRE(!done);
      CHECK(done.error().kind == ErrorKind::Exit);
      CHECK(done.error().exit_status == 7);
    }
  }
}

TEST_CASE("threads: the end of the first one ends the others") {
  Engine engine;
  const Module module = threads_module(engine);
  for (unsigned workers : kWorkers) {
    const size_t before = vcpus();
    const Pipe input;
    Threads program(module, WasiConfig().stdin_fd(input.reading()));
    CHECK(program.run(workers, [&]() -> Result<void> {
      start_all_kinds(program);
      return {};
    }));
    CHECK(vcpus() == before + 1);
    // With its own trap, too.
    Threads other(module, WasiConfig().stdin_fd(input.reading()));
    const auto done = other.run(workers, [&] {
      start_all_kinds(other);
      return other.only("wasi_thread_start", {Val::i32(1), Val::i32(what(Traps))});
    });
    REQUIRE(!done);
    CHECK(done.error().trap == TrapCode::Unreachable);
  }
}

TEST_CASE("threads: an interrupt of the store ends all") {
  Engine engine;
  const Module module = threads_module(engine);
  for (unsigned workers : kWorkers) {
    const Pipe input;
    Threads program(module, WasiConfig().stdin_fd(input.reading()));
    std::atomic<bool> begun{false};
    std::thread other([&] {
      while (!begun) std::this_thread::yield();
      program.store.interrupt();
    });
    const auto done = program.run(workers, [&] {
      start_all_kinds(program);
      begun = true;
      return program.only("wait");
    });
    other.join();
    REQUIRE(!done);
    CHECK(done.error().trap == TrapCode::Interrupted);
  }
}

TEST_CASE("threads: a deadline, or the cancellation, of the first one's task ends all") {
  Engine engine;
  const Module module = threads_module(engine);
  for (unsigned workers : kWorkers) {
    for (const bool deadline : {false, true}) {
      const Pipe input;
      Executor executor = executor_with(workers, "auto");
      Threads program(module, WasiConfig().stdin_fd(input.reading()));
      std::atomic<bool> interrupted{false}, begun{false};
      TaskOptions options;
      if (deadline) options.timeout = 50ms;
      const Task task = ok(executor.spawn(
          program.store,
          [&] {
            const auto done = run_wasi(program.store, [&]() -> Result<void> {
              for (Kind kind : {Spins, Sleeps, Waits, Reads, Polls}) program.spawn(what(kind));
              begun = true;
              return program.only("spin");
            });
            interrupted = !done && done.error().trap == TrapCode::Interrupted;
          },
          options));
      while (!begun && !task.done()) std::this_thread::yield();
      if (!deadline) task.cancel();
      task.join();
      executor.wait_idle();
      CHECK(interrupted);
    }
  }
}

TEST_CASE("threads: the death of the store ends what still runs") {
  Engine engine;
  const Module module = threads_module(engine);
  for (unsigned workers : kWorkers) {
    const size_t before = vcpus();
    const Pipe input;
    Executor executor = executor_with(workers, "auto");
    {
      auto program = std::make_unique<Threads>(module, WasiConfig().stdin_fd(input.reading()));
      ok(executor.spawn(program->store, [&] { start_all_kinds(*program); })).join();
      CHECK(executor.live() >= 5);
      program.reset();
    }
    executor.wait_idle();
    CHECK(vcpus() == before);
  }
}

TEST_CASE("threads: an exception of a host function is the program's failure") {
  Engine engine;
  // spawn; a thread calls host.go, which throws.
  const char* text = VMRUN_FIXTURES "/wasi_threads_host.wasm";
  const Module module = ok(Module::compile_file(engine, text));
  for (const bool throws : {false, true}) {
    Store store(engine);
    int data = 0;
    store.set_data(&data);
    const WasiContext wasi = ok(WasiContext::create(WasiConfig()));
    Linker linker(engine);
    ok(add_wasi(linker, wasi));
    std::atomic<int> calls{0};
    ok(linker.func_wrap("host", "go", [&](Caller caller) {
      ++calls;
      CHECK(caller.data<int>() == &data);
      if (throws) throw std::runtime_error("no more");
    }));
    const SharedMemory memory = ok(SharedMemory::create(engine, {.min = 1, .max = 4, .shared = true}));
    ok(linker.define("env", "memory", memory));
    const Instance instance = ok(linker.instantiate(store, module));
    const auto done = run_wasi(store, [&]() -> Result<void> {
      auto called = ok(instance.func("_start")).call();
      if (!called) return std::move(called).error();
      return {};
    });
    CHECK(calls == 1);
    if (!throws) {
      CHECK(done);
      CHECK(memory.data()[0] == std::byte{1});
      continue;
    }
    REQUIRE(!done);
    CHECK(done.error().kind == ErrorKind::Host);
    CHECK(done.error().message.find("no more") != std::string::npos);
  }
}

TEST_CASE("threads: the end of a program is no answer for a host function that called back") {
  const Engine engine;
  const Module module = ok(Module::compile_file(engine, VMRUN_FIXTURES "/wasi_threads_reenter.wasm"));
  Store store(engine);
  Linker linker(engine);
  ok(add_wasi(linker, ok(WasiContext::create(WasiConfig()))));
  std::optional<Instance> instance;
  ok(linker.func_wrap("host", "go", [&] { CHECK(!ok(instance->func("spin")).call()); }));
  ok(linker.define("env", "memory", ok(SharedMemory::create(engine, {.min = 1, .max = 4, .shared = true}))));
  instance = ok(linker.instantiate(store, module));
  const Deadline most(store, 30s);
  const auto done = run_wasi(store, [&]() -> Result<void> {
    auto called = ok(instance->func("_start")).call();
    if (!called) return std::move(called).error();
    return {};
  });
  CHECK(!most.passed());
  REQUIRE(!done);
  CHECK(done.error().trap == TrapCode::Unreachable);
}

}  // namespace
}  // namespace vmrun
