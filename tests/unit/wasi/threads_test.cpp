// Programs of several threads (wasi-threads): how they start, wait for each other, and share what they have.
#include "tests/unit/wasi/threads.h"

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

#include "vmrun/deadline.h"
#include "wasi/context.h"

namespace vmrun {
namespace {

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

}  // namespace
}  // namespace vmrun
