// What tests of programs of several threads share: the program of tests/fixtures/wasi_threads.wat, and how it is run.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "tests/unit/wasi/tasks.h"
#include "vm/runtime/vcpus.h"

namespace vmrun {

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
inline constexpr int32_t what(Kind kind, int32_t number = 0) { return kind | number << 8; }

// Addresses of what they leave.
inline constexpr int32_t kInstances = 68, kErrno = 76, kTurns = 84, kBegun = 88, kWrong = 92;

inline constexpr unsigned kWorkers[] = {1, 2, 8};
inline constexpr int32_t kBadf = 8, kAgain = 6;

inline Module threads_module(const Engine& engine) {
  return ok(Module::compile_file(engine, VMRUN_FIXTURES "/wasi_threads.wasm"));
}

inline size_t vcpus() {
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
inline void start_all_kinds(Threads& program) {
  for (Kind kind : {Spins, Sleeps, Waits, Reads, Polls}) CHECK(program.spawn(what(kind)) > 0);
  program.await_begun(5);
}

}  // namespace vmrun
