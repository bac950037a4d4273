// What tests of guests in an executor's tasks share.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <vector>

#include "doctest/doctest.h"
#include "tests/support/ok.h"
#include "vmrun/executor.h"
#include "vmrun/vmrun.h"
#include "vmrun/wasi.h"

namespace vmrun {

using namespace std::chrono_literals;
using test::ok;

inline constexpr const char* kIo[] = {"epoll", "auto", "uring"};

inline Executor executor_with(unsigned workers, const char* io) {
  ExecutorConfig config;
  config.workers = workers;
  config.io = io;
  config.slice = 1ms;
  return ok(Executor::create(config));
}

/// A pipe whose ends are closed with it.
struct Pipe {
  int ends[2];
  Pipe() { REQUIRE(::pipe2(ends, O_CLOEXEC) == 0); }
  ~Pipe() {
    for (int fd : ends) ::close(fd);
  }
  Pipe(const Pipe&) = delete;
  int reading() const { return ends[0]; }
  int writing() const { return ends[1]; }
};

/// An instance in a store of its own.
struct Guest {
  Store store;
  WasiContext wasi;
  Linker linker;
  Instance instance{nullptr};

  Guest(const Engine& engine, const Module& module, const WasiConfig& config)
      : store(engine), wasi(ok(WasiContext::create(config))), linker(engine) {
    ok(add_wasi(linker, wasi));
    instance = ok(linker.instantiate(store, module));
  }
  Result<std::vector<Val>> call(const char* name) { return ok(instance.func(name)).call(); }
};

inline Module waiting_module(const Engine& engine) {
  return ok(Module::compile_file(engine, VMRUN_FIXTURES "/wasi_wait.wasm"));
}

inline bool was_interrupted(const Result<std::vector<Val>>& result) {
  return !result && result.error().kind == ErrorKind::Trap && result.error().trap == TrapCode::Interrupted;
}

inline Engine engine_of(Tiers tiers) {
  Config config;
  config.tiers = tiers;
  return Engine(config);
}

}  // namespace vmrun
