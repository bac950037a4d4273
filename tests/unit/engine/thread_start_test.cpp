// What threads of an executor do when they start, so that guests need not wait for it later.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "tests/unit/engine/fixture.h"
#include "vmrun/executor.h"

namespace vmrun::test {
namespace {

using namespace std::chrono_literals;

struct Pipe {
  int ends[2];
  Pipe() { REQUIRE(::pipe(ends) == 0); }
  ~Pipe() {
    for (const int fd : ends) ::close(fd);
  }
  Pipe(const Pipe&) = delete;
  void put() const { REQUIRE(::write(ends[1], "x", 1) == 1); }
  void take() const {
    char byte;
    REQUIRE(::read(ends[0], &byte, 1) == 1);
  }
};

TEST_CASE("a thread's first guest does not wait for a library that another thread loads") {
  for (const Tiers tiers : {Tiers::Interp, Tiers::Baseline}) {
    CAPTURE(static_cast<int>(tiers));
    Config config;
    config.tiers = tiers;
    Engine engine(config);
    const Module module = load(engine, "interp_loops");
    Linker linker(engine);
    Store store(engine);
    auto mixed = ok(ok(ok(linker.instantiate(store, module)).func("mixed")).typed<double(int32_t)>());
    ExecutorConfig one;
    one.workers = 1;
    Executor executor = ok(Executor::create(one));
    ok(executor.spawn([] {})).join();  // the thread is there, and has run no guest

    const Pipe begun, go;
    ::setenv("VMRUN_SLOW_TO_LOAD", (std::to_string(begun.ends[1]) + "," + std::to_string(go.ends[0])).c_str(), 1);
    void* library = nullptr;
    std::thread loader([&] { library = ::dlopen(VMRUN_SLOW_TO_LOAD, RTLD_NOW | RTLD_LOCAL); });
    begun.take();
    // A call that does not wait for anything: it translates or compiles the function, and runs it.
    std::atomic<bool> called{false};
    const Task task = ok(executor.spawn(store, [&] { called = mixed.call(1000).ok(); }));
    const bool in_time = task.join_for(20s);
    go.put();
    loader.join();
    task.join();
    CHECK(in_time);
    CHECK(called);
    REQUIRE(library != nullptr);
    ::dlclose(library);  // the next one loads it again
  }
}

}  // namespace
}  // namespace vmrun::test
