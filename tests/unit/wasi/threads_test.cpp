// Programs of several threads (wasi-threads): how they start, wait for each other, and end together.
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

#include "tests/unit/wasi/tasks.h"
#include "vm/runtime/vcpus.h"
#include "vmrun/deadline.h"
#include "wasi/context.h"

namespace vmrun {
namespace {

// What a thread is to do: tests/fixtures/wasi_threads.wat.
enum Kind : int32_t {
  Count,
  Traps,
  Spins,
  Sleeps,
  Waits,
  Reads,
  Exits,
  Nests,
  Polls,
  Gate,
  Grows,
  Turns0,
  Turns1,
  Hammers
};
constexpr int32_t what(Kind kind, int32_t number = 0) { return kind | number << 8; }

// Addresses of what they leave.
constexpr int32_t kInstances = 68, kErrno = 76, kTurns = 84, kBegun = 88, kWrong = 92;

constexpr unsigned kWorkers[] = {1, 2, 8};
constexpr int32_t kBadf = 8, kAgain = 6;

Module threads_module(const Engine& engine) {
  return ok(Module::compile_file(engine, VMRUN_FIXTURES "/wasi_threads.wasm"));
}

size_t vcpus() {
  size_t n = 0;
  vm::for_each_vcpu([](void* count, vm::VcpuEntry&) { ++*static_cast<size_t*>(count); }, &n);
  return n;
}

/// A program that is run in an executor of its own.
struct Threads {
  Store store;
  WasiContext wasi;
  Instance instance{nullptr};

  Threads(const Module& module, const WasiConfig& config, const StoreLimits& limits = {})
      : store(module.engine(), limits), wasi(ok(WasiContext::create(config))) {
    instance = ok(instantiate_wasi(store, module, wasi));
  }
  Result<std::vector<Val>> call(const char* name, const std::vector<Val>& args = {}) {
    return ok(instance.func(name)).call(args);
  }
  int32_t spawn(int32_t argument) { return ok(call("spawn", {Val::i32(argument)}))[0].as_i32(); }
  int32_t get(int32_t address) { return ok(call("get", {Val::i32(address)}))[0].as_i32(); }
  void join(int32_t n) { ok(call("join", {Val::i32(n)})); }
  /// `main` calls these in a task.
  Result<void> run(unsigned workers, const std::function<Result<void>()>& main) {
    ExecutorConfig config;
    config.workers = workers;
    config.slice = 1ms;
    return run_wasi(store, main, config);
  }
  /// The first thread calls this export, and that is all.
  Result<void> only(const char* name, const std::vector<Val>& args = {}) {
    auto done = call(name, args);
    if (!done) return std::move(done).error();
    return {};
  }
  /// The first thread calls `name`, after which another one may end the program at once, and then `main`.
  Result<void> last(const char* name, const std::vector<Val>& args, const char* main) {
    if (auto done = only(name, args); !done) return done;
    return only(main);
  }
  /// Until so many threads have begun.
  void await_begun(int32_t n) {
    while (get(kBegun) < n) this_task::yield();
  }
};

/// One of each that goes on for ever.
void start_all_kinds(Threads& program) {
  for (Kind kind : {Spins, Sleeps, Waits, Reads, Polls}) CHECK(program.spawn(what(kind)) > 0);
  program.await_begun(5);
}

TEST_CASE("threads: each has an instance of its own, and all share the memory") {
  for (Tiers tiers : {Tiers::Interp, Tiers::Baseline, Tiers::Auto}) {
    const Engine engine = engine_of(tiers);
    const Module module = threads_module(engine);
    for (unsigned workers : kWorkers) {
      CAPTURE(workers);
      Threads program(module, WasiConfig());
      std::vector<int32_t> ids;
      const auto done = program.run(workers, [&]() -> Result<void> {
        for (int i = 0; i < 20; ++i) ids.push_back(program.spawn(what(Count)));
        program.join(20);
        CHECK(program.get(kInstances) == 21);
        CHECK(program.get(kWrong) == 0);
        return {};
      });
      CHECK(done);
      for (int32_t id : ids) CHECK((id > 0 && id <= 0x1fffffff));
      std::ranges::sort(ids);
      CHECK(std::ranges::adjacent_find(ids) == ids.end());
    }
  }
}

TEST_CASE("threads: a thousand at a time") {
  Engine engine;
  const Module module = threads_module(engine);
  for (unsigned workers : kWorkers) {
    const size_t before = vcpus();
    {
      Threads program(module, WasiConfig());
      const auto done = program.run(workers, [&]() -> Result<void> {
        for (int i = 0; i < 1000; ++i) CHECK(program.spawn(what(Gate)) > 0);
        ok(program.call("open_gate"));
        program.join(1000);
        CHECK(program.get(kBegun) == 1000);
        return {};
      });
      CHECK(done);
      CHECK(vcpus() == before + 1);
    }
    CHECK(vcpus() == before);
  }
}

TEST_CASE("threads: beyond the limit none is started, and one that has ended makes room") {
  Engine engine;
  const Module module = threads_module(engine);
  for (unsigned workers : kWorkers) {
    Threads program(module, WasiConfig().max_threads(3));
    CHECK(program.run(workers, [&]() -> Result<void> {
      for (int i = 0; i < 3; ++i) CHECK(program.spawn(what(Gate)) > 0);
      CHECK(program.spawn(what(Count)) == -kAgain);
      ok(program.call("open_gate"));
      program.join(3);
      while (program.spawn(what(Count)) == -kAgain) this_task::yield();
      program.join(4);
      return {};
    }));
  }
  // None at all: it is not there.
  Store store(engine);
  const auto none = instantiate_wasi(store, module, ok(WasiContext::create(WasiConfig().max_threads(0))));
  REQUIRE(!none);
  CHECK(none.error().kind == ErrorKind::Link);
}

TEST_CASE("threads: without memory for an instance, or without its entry, none is started") {
  Engine engine;
  const Module module = ok(Module::compile_file(engine, VMRUN_FIXTURES "/wasi_threads_own.wasm"));
  for (const uint64_t pages : {15, 30}) {
    StoreLimits limits;
    limits.memory_bytes = pages << 16;
    Threads program(module, WasiConfig(), limits);
    int32_t id = 0;
    const auto done = program.run(1, [&]() -> Result<void> {
      auto called = program.call("spawn");
      if (!called) return std::move(called).error();
      id = (*called)[0].as_i32();
      return {};
    });
    if (pages == 15) {
      CHECK(done);
      CHECK(id == -48);  // nomem: the second instance's own memory is beyond the program's limit
    } else {
      REQUIRE(!done);
      CHECK(done.error().kind == ErrorKind::Link);
      CHECK(done.error().message.find("wasi_thread_start") != std::string::npos);
    }
    CHECK(program.store.memory_bytes() == 11 << 16);
  }
}

TEST_CASE("threads: outside of a task none can be started") {
  Engine engine;
  Threads program(threads_module(engine), WasiConfig());
  CHECK(program.spawn(what(Count)) == -58);  // notsup
}

TEST_CASE("threads: one starts the next") {
  Engine engine;
  const Module module = threads_module(engine);
  for (unsigned workers : kWorkers) {
    Threads program(module, WasiConfig());
    CHECK(program.run(workers, [&]() -> Result<void> {
      CHECK(program.spawn(what(Nests, 60)) > 0);
      program.join(61);
      CHECK(program.get(kWrong) == 0);
      return {};
    }));
  }
}

TEST_CASE("threads: two take turns by wait and notify") {
  Engine engine;
  const Module module = threads_module(engine);
  for (unsigned workers : kWorkers) {
    Threads program(module, WasiConfig());
    CHECK(program.run(workers, [&]() -> Result<void> {
      CHECK(program.spawn(what(Turns0, 2000)) > 0);
      CHECK(program.spawn(what(Turns1, 2000)) > 0);
      program.join(2);
      CHECK(program.get(kTurns) == 4000);
      CHECK(ok(program.call("wait_for", {Val::i64(1'000'000)}))[0].as_i32() == 2);  // timed out
      return {};
    }));
  }
}

TEST_CASE("threads: all see what one has grown, up to the program's limit") {
  Engine engine;
  const Module module = threads_module(engine);
  for (unsigned workers : kWorkers) {
    StoreLimits limits;
    limits.memory_bytes = 20 << 16;
    Threads program(module, WasiConfig(), limits);
    CHECK(program.run(workers, [&]() -> Result<void> {
      for (int i = 0; i < 30; ++i) CHECK(program.spawn(what(Grows)) > 0);
      program.join(30);
      CHECK(ok(program.call("size"))[0].as_i32() == 20);
      CHECK(ok(program.call("grow"))[0].as_i32() == -1);
      return {};
    }));
    CHECK(program.store.memory_bytes() == 20 << 16);
  }
}

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

TEST_CASE("threads: a descriptor that is closed ends what others wait for in it, and no other file takes its place") {
  Engine engine;
  const Module module = threads_module(engine);
  for (const char* io : kIo) {
    for (unsigned workers : kWorkers) {
      for (Kind kind : {Reads, Polls}) {
        CAPTURE(io);
        CAPTURE(workers);
        CAPTURE(static_cast<int>(kind));
        const Pipe input;
        Threads program(module, WasiConfig().stdin_fd(input.reading()));
        Executor executor = executor_with(workers, io);
        ok(executor.spawn(program.store, [&] {
          CHECK(run_wasi(program.store, [&]() -> Result<void> {
            for (int i = 0; i < 3; ++i) CHECK(program.spawn(what(kind)) > 0);
            program.await_begun(3);
            this_task::sleep_for(2ms);
            CHECK(ok(program.call("close", {Val::i32(0)}))[0].as_i32() == 0);
            program.join(3);
            CHECK(program.get(kErrno) == kBadf);
            return {};
          }));
        })).join();
        executor.wait_idle();
        // The stream is the embedder's, and stays open.
        CHECK(::fcntl(input.reading(), F_GETFD) >= 0);
        CHECK(program.wasi.impl()->fds.owned() == 0);
      }
    }
  }
}

TEST_CASE("threads: other guests go on waiting for a stream that one program closes") {
  Engine engine;
  const Module module = threads_module(engine), waiting = waiting_module(engine);
  for (const char* io : kIo) {
    CAPTURE(io);
    const Pipe input;
    Threads program(module, WasiConfig().stdin_fd(input.reading()));
    Guest other(engine, waiting, WasiConfig().stdin_fd(input.reading()));
    Executor executor = executor_with(2, io);
    std::atomic<int> other_errno{-1};
    const Task waits = ok(executor.spawn(other.store, [&] { other_errno = ok(other.call("read"))[0].as_i32(); }));
    ok(executor.spawn(program.store, [&] {
      CHECK(run_wasi(program.store, [&]() -> Result<void> {
        this_task::sleep_for(5ms);  // the other one waits by now
        for (int i = 0; i < 3; ++i) CHECK(program.spawn(what(Reads)) > 0);
        program.await_begun(3);
        this_task::sleep_for(2ms);
        CHECK(ok(program.call("close", {Val::i32(0)}))[0].as_i32() == 0);
        program.join(3);
        return {};
      }));
    })).join();
    CHECK(!waits.done());
    CHECK(::write(input.writing(), "x", 1) == 1);
    CHECK(waits.join());
    CHECK(other_errno == 0);
  }
}

TEST_CASE("threads: one context serves all at once") {
  Engine engine;
  const Module module = threads_module(engine);
  const auto dir = std::filesystem::temp_directory_path() / ("vmrun-threads-" + std::to_string(::getpid()));
  std::filesystem::create_directory(dir);
  for (unsigned workers : kWorkers) {
    for (const bool sandboxed : {false, true}) {
      WasiConfig config;
      config.stdin_bytes(std::string(3000, 'x')).preopen_dir(dir.string(), "/").max_descriptors(12);
      if (sandboxed) config.random_seed(1);
      // A sink that waits, and is called by one thread at a time all the same.
      std::atomic<int> inside{0}, together{0}, calls{0};
      config.stdout_to([&](std::string_view) {
        together += ++inside != 1;
        if (++calls % 50 == 0) this_task::sleep_for(10us);
        --inside;
        return true;
      });
      Threads program(module, config);
      CHECK(program.run(workers, [&]() -> Result<void> {
        for (int i = 0; i < 8; ++i) CHECK(program.spawn(what(Hammers)) > 0);
        program.join(8);
        return {};
      }));
      CHECK(program.wasi.impl()->fds.get(0)->stream->read == 3000);
      CHECK(calls == 800);
      CHECK(together == 0);
      CHECK(program.wasi.impl()->fds.owned() <= 9);
    }
  }
  std::filesystem::remove_all(dir);
}

TEST_CASE("threads: an image that imports what belongs to another instance starts none, and it is said why") {
  Engine engine;
  const Module other = threads_module(engine);
  const Module module = ok(Module::compile_file(engine, VMRUN_FIXTURES "/wasi_threads_host.wasm"));
  Store store(engine);
  const WasiContext wasi = ok(WasiContext::create(WasiConfig()));
  Linker linker(engine);
  ok(add_wasi(linker, wasi));
  ok(linker.add_shared_memories(store, other));
  const Instance library = ok(linker.instantiate(store, other));
  ok(linker.define("host", "go", *library.get("open_gate"), store));
  linker.allow_shadowing(true);
  ok(linker.define("env", "memory", ok(SharedMemory::create(engine, {.min = 1, .max = 4, .shared = true}))));
  const Instance instance = ok(linker.instantiate(store, module));
  const auto done = run_wasi(store, [&]() -> Result<void> {
    auto called = ok(instance.func("_start")).call();
    if (!called) return std::move(called).error();
    return {};
  });
  REQUIRE(!done);
  CHECK(done.error().kind == ErrorKind::Link);
  CHECK(done.error().message.find("host.go") != std::string::npos);
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
