// What it costs to cross between the host, the interpreter and machine code, and what calls and throws cost in each tier,
// beside native code that does the same (boundary_native.c).
//
// A benchmark runs the guest, the same without what is measured, and the native peer in turn, and keeps the shortest
// time of each, so that other work on the machine does not count. Its counters are nanoseconds per crossing and back:
//   ns      the guest's      native  the peer's      ratio  of the two
//   target  what is wanted of `ns`, or of `ratio` where the name ends in "_ratio"
//
//   bench_boundary --benchmark_counters_tabular=true
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "bench/boundary_native.h"
#include "interp/interp.h"
#include "jit/code/install.h"
#include "jit/compiler.h"
#include "jit/crossing/publish.h"
#include "vm/runtime/store.h"
#include "vmrun/vmrun.h"

namespace {

using namespace vmrun;
using vm::Tier;

// (module
//   (type $op (func (param i32) (result i32)))
//   (type $rounds (func (param i32)))
//   (import "env" "raw" (func $raw (type $op)))
//   (import "env" "typed" (func $typed (type $op)))
//   (tag $t)
//   (table 2 2 funcref)
//   (elem (i32.const 0) $leaf $other)
//   (func $leaf (export "leaf") (type $op) (i32.add (local.get 0) (i32.const 1)))
//   (func $other (export "other") (type $op) (i32.add (local.get 0) (i32.const 2)))
//   (func (export "loop") (type $rounds)
//     (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
//   ;; Eight calls an iteration, each with the result of the one before. The parameter counts calls.
//   (func (export "call_raw") (type $rounds) (local i32)
//     (loop $l
//       (local.set 1 (call $raw (call $raw (call $raw (call $raw
//         (call $raw (call $raw (call $raw (call $raw (local.get 1))))))))))
//       (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 8))))))
//   (func (export "call_typed") (type $rounds) (local i32)
//     (loop $l
//       (local.set 1 (call $typed (call $typed (call $typed (call $typed
//         (call $typed (call $typed (call $typed (call $typed (local.get 1))))))))))
//       (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 8))))))
//   (func (export "call_leaf") (type $rounds) (local i32)
//     (loop $l
//       (local.set 1 (call $leaf (call $leaf (call $leaf (call $leaf
//         (call $leaf (call $leaf (call $leaf (call $leaf (local.get 1))))))))))
//       (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 8))))))
//   (func (export "call_indirect") (type $rounds) (local i32)
//     (loop $l
//       (local.set 1 (call_indirect (type $op) (local.get 1) (i32.and (local.get 1) (i32.const 1))))
//       (local.set 1 (call_indirect (type $op) (local.get 1) (i32.and (local.get 1) (i32.const 1))))
//       (local.set 1 (call_indirect (type $op) (local.get 1) (i32.and (local.get 1) (i32.const 1))))
//       (local.set 1 (call_indirect (type $op) (local.get 1) (i32.and (local.get 1) (i32.const 1))))
//       (local.set 1 (call_indirect (type $op) (local.get 1) (i32.and (local.get 1) (i32.const 1))))
//       (local.set 1 (call_indirect (type $op) (local.get 1) (i32.and (local.get 1) (i32.const 1))))
//       (local.set 1 (call_indirect (type $op) (local.get 1) (i32.and (local.get 1) (i32.const 1))))
//       (local.set 1 (call_indirect (type $op) (local.get 1) (i32.and (local.get 1) (i32.const 1))))
//       (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 8))))))
//   (func $fib (export "fib") (type $op)
//     (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
//       (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
//   (func $deep (export "deep") (param $depth i32) (param $throw i32) (result i32)
//     (if (i32.eqz (local.get $depth)) (then
//       (if (local.get $throw) (then (throw $t)))
//       (return (i32.const 0))))
//     (i32.add (call $deep (i32.sub (local.get $depth) (i32.const 1)) (local.get $throw)) (i32.const 1)))
//   (func (export "catch") (param $rounds i32) (param $depth i32) (param $throw i32)
//     (loop $l
//       (block $caught
//         (try_table (catch $t $caught) (drop (call $deep (local.get $depth) (local.get $throw)))))
//       (br_if $l (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))))
constexpr uint8_t kImage[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x19, 0x05, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x60, 0x01, 0x7f,
    0x00, 0x60, 0x00, 0x00, 0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7f, 0x60, 0x03, 0x7f, 0x7f, 0x7f, 0x00, 0x02, 0x17, 0x02,
    0x03, 0x65, 0x6e, 0x76, 0x03, 0x72, 0x61, 0x77, 0x00, 0x00, 0x03, 0x65, 0x6e, 0x76, 0x05, 0x74, 0x79, 0x70, 0x65,
    0x64, 0x00, 0x00, 0x03, 0x0b, 0x0a, 0x00, 0x00, 0x01, 0x01, 0x01, 0x01, 0x01, 0x00, 0x03, 0x04, 0x04, 0x05, 0x01,
    0x70, 0x01, 0x02, 0x02, 0x0d, 0x03, 0x01, 0x00, 0x02, 0x07, 0x60, 0x0a, 0x04, 0x6c, 0x65, 0x61, 0x66, 0x00, 0x02,
    0x05, 0x6f, 0x74, 0x68, 0x65, 0x72, 0x00, 0x03, 0x04, 0x6c, 0x6f, 0x6f, 0x70, 0x00, 0x04, 0x08, 0x63, 0x61, 0x6c,
    0x6c, 0x5f, 0x72, 0x61, 0x77, 0x00, 0x05, 0x0a, 0x63, 0x61, 0x6c, 0x6c, 0x5f, 0x74, 0x79, 0x70, 0x65, 0x64, 0x00,
    0x06, 0x09, 0x63, 0x61, 0x6c, 0x6c, 0x5f, 0x6c, 0x65, 0x61, 0x66, 0x00, 0x07, 0x0d, 0x63, 0x61, 0x6c, 0x6c, 0x5f,
    0x69, 0x6e, 0x64, 0x69, 0x72, 0x65, 0x63, 0x74, 0x00, 0x08, 0x03, 0x66, 0x69, 0x62, 0x00, 0x09, 0x04, 0x64, 0x65,
    0x65, 0x70, 0x00, 0x0a, 0x05, 0x63, 0x61, 0x74, 0x63, 0x68, 0x00, 0x0b, 0x09, 0x08, 0x01, 0x00, 0x41, 0x00, 0x0b,
    0x02, 0x02, 0x03, 0x0a, 0xdc, 0x02, 0x0a, 0x07, 0x00, 0x20, 0x00, 0x41, 0x01, 0x6a, 0x0b, 0x07, 0x00, 0x20, 0x00,
    0x41, 0x02, 0x6a, 0x0b, 0x0e, 0x00, 0x03, 0x40, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x0b,
    0x24, 0x01, 0x01, 0x7f, 0x03, 0x40, 0x20, 0x01, 0x10, 0x00, 0x10, 0x00, 0x10, 0x00, 0x10, 0x00, 0x10, 0x00, 0x10,
    0x00, 0x10, 0x00, 0x10, 0x00, 0x21, 0x01, 0x20, 0x00, 0x41, 0x08, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x0b, 0x24,
    0x01, 0x01, 0x7f, 0x03, 0x40, 0x20, 0x01, 0x10, 0x01, 0x10, 0x01, 0x10, 0x01, 0x10, 0x01, 0x10, 0x01, 0x10, 0x01,
    0x10, 0x01, 0x10, 0x01, 0x21, 0x01, 0x20, 0x00, 0x41, 0x08, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x0b, 0x24, 0x01,
    0x01, 0x7f, 0x03, 0x40, 0x20, 0x01, 0x10, 0x02, 0x10, 0x02, 0x10, 0x02, 0x10, 0x02, 0x10, 0x02, 0x10, 0x02, 0x10,
    0x02, 0x10, 0x02, 0x21, 0x01, 0x20, 0x00, 0x41, 0x08, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x0b, 0x70, 0x01, 0x01,
    0x7f, 0x03, 0x40, 0x20, 0x01, 0x20, 0x01, 0x41, 0x01, 0x71, 0x11, 0x00, 0x00, 0x21, 0x01, 0x20, 0x01, 0x20, 0x01,
    0x41, 0x01, 0x71, 0x11, 0x00, 0x00, 0x21, 0x01, 0x20, 0x01, 0x20, 0x01, 0x41, 0x01, 0x71, 0x11, 0x00, 0x00, 0x21,
    0x01, 0x20, 0x01, 0x20, 0x01, 0x41, 0x01, 0x71, 0x11, 0x00, 0x00, 0x21, 0x01, 0x20, 0x01, 0x20, 0x01, 0x41, 0x01,
    0x71, 0x11, 0x00, 0x00, 0x21, 0x01, 0x20, 0x01, 0x20, 0x01, 0x41, 0x01, 0x71, 0x11, 0x00, 0x00, 0x21, 0x01, 0x20,
    0x01, 0x20, 0x01, 0x41, 0x01, 0x71, 0x11, 0x00, 0x00, 0x21, 0x01, 0x20, 0x01, 0x20, 0x01, 0x41, 0x01, 0x71, 0x11,
    0x00, 0x00, 0x21, 0x01, 0x20, 0x00, 0x41, 0x08, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x0b, 0x1c, 0x00, 0x20, 0x00,
    0x41, 0x02, 0x49, 0x04, 0x7f, 0x20, 0x00, 0x05, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x10, 0x09, 0x20, 0x00, 0x41, 0x02,
    0x6b, 0x10, 0x09, 0x6a, 0x0b, 0x0b, 0x1e, 0x00, 0x20, 0x00, 0x45, 0x04, 0x40, 0x20, 0x01, 0x04, 0x40, 0x08, 0x00,
    0x0b, 0x41, 0x00, 0x0f, 0x0b, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x20, 0x01, 0x10, 0x0a, 0x41, 0x01, 0x6a, 0x0b, 0x1f,
    0x00, 0x03, 0x40, 0x02, 0x40, 0x1f, 0x40, 0x01, 0x00, 0x00, 0x00, 0x20, 0x01, 0x20, 0x02, 0x10, 0x0a, 0x1a, 0x0b,
    0x0b, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x0b,
};

template <class T>
T ok(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().to_string().c_str());
    std::exit(1);
  }
  return std::move(*result);
}

Linker linker_for(const Engine& engine) {
  Linker linker(engine);
  auto raw = [](void*, vm::Vcpu&, vm::Instance*, const Slot* args, Slot* results) {
    results[0] = Slot::i32(args[0].as_i32() + 1);
    return Outcome::Return;
  };
  if (!linker.func_raw("env", "raw", FuncType{{ValKind::I32}, {ValKind::I32}}, raw, nullptr)) std::exit(1);
  if (!linker.func_wrap("env", "typed", [](int32_t n) { return n + 1; })) std::exit(1);
  return linker;
}

/// An engine that compiles nothing by itself.
Config interpreted() {
  Config config;
  config.tiers = Tiers::Interp;
  return config;
}

/// An instance whose functions stay in the interpreter but for those that are compiled.
class Guest {
 public:
  Guest(Tier tier, std::initializer_list<const char*> compiled) {
    if (tier == Tier::interp) return;
    std::string why;
    std::unique_ptr<jit::Compiler> baseline = jit::make_baseline_compiler();
    jit::Compiler* compiler = tier == Tier::baseline ? baseline.get() : jit::load_opt_compiler(&why);
    for (const char* name : compiled) {
      vm::FuncRecord& func = record(name);
      jit::CompileRequest request;
      request.module = func.instance->module;
      request.func_index = func.func_index;
      jit::CompileResult result;
      if (compiler != nullptr) result = compiler->compile(request);
      const jit::CodeObject* code = nullptr;
      if (result.status == jit::CompileResult::Status::done) {
        code = jit::install(jit::CodeSpace::get(), std::move(result.code), *func.instance->module, nullptr);
      }
      if (code == nullptr || !jit::publish_function(*func.code, code->begin + code->entry, tier)) {
        std::fprintf(stderr, "no %s code of %s: %s\n", vm::to_string(tier), name, (why + result.reason).c_str());
        std::exit(1);
      }
    }
  }
  vm::FuncRecord& record(const char* name) { return *func(name).impl(); }
  Func func(const char* name) { return ok(instance_.func(name)); }
  template <class... Args>
  void call(vm::FuncRecord& func, Args... args) {
    Slot slots[] = {Slot::i32(static_cast<uint32_t>(args))...};
    if (interp::invoke(store_.impl().vcpu(), func, slots, slots) != Outcome::Return) std::exit(1);
    benchmark::DoNotOptimize(slots);
  }

 private:
  Engine engine_{interpreted()};
  Store store_{engine_};
  Instance instance_ = ok(linker_for(engine_).instantiate(store_, ok(Module::compile(engine_, kImage))));
};

// ---- measuring ------------------------------------------------------------------------------------------------------

/// Something to be timed, and what of it is not to be counted (or nothing).
struct Work {
  std::function<void()> run, without = nullptr;
};

class Best {
 public:
  explicit Best(Work work) : work_(std::move(work)) {}
  void run() {
    shorten(best_, work_.run);
    if (work_.without) shorten(without_, work_.without);
  }
  double nanoseconds() const { return work_.without ? best_ - without_ : best_; }

 private:
  static void shorten(double& best, const std::function<void()>& work) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point begin = Clock::now();
    work();
    best = std::min(best, std::chrono::duration<double, std::nano>(Clock::now() - begin).count());
  }
  Work work_;
  double best_ = std::numeric_limits<double>::max(), without_ = best_;
};

constexpr int32_t kRounds = 2000;
constexpr int64_t kTimes = 400;

void measure(benchmark::State& state, double target, Work guest, Work native, double each = kRounds) {
  Best best(std::move(guest)), peer(std::move(native));
  for (auto _ : state) {
    best.run();
    peer.run();
  }
  state.counters["ns"] = best.nanoseconds() / each;
  state.counters["native"] = peer.nanoseconds() / each;
  state.counters["ratio"] = best.nanoseconds() / peer.nanoseconds();
  state.counters["target"] = target;
}

Work peer_calls() {
  return {[] { native_calls(kRounds); }, [] { native_loop(kRounds / 8); }};
}
/// Calls the exported loop, less an empty one in the same tier.
Work guest_loop(Guest& guest, const char* name) {
  vm::FuncRecord &calls = guest.record(name), &empty = guest.record("loop");
  return {[&] { guest.call(calls, kRounds); }, [&] { guest.call(empty, kRounds / 8); }};
}

// ---- host and guest -------------------------------------------------------------------------------------------------

void host_to_guest(benchmark::State& state, Tier tier) {
  Guest guest(tier, {"leaf"});
  vm::FuncRecord& leaf = guest.record("leaf");
  auto run = [&] {
    for (int32_t n = 0; n < kRounds; ++n) guest.call(leaf, n);
  };
  measure(state, 15, {run}, peer_calls());
}

/// The same through the embedding interface.
void host_to_guest_typed(benchmark::State& state, Tier tier) {
  Guest guest(tier, {"leaf"});
  auto leaf = ok(guest.func("leaf").typed<int32_t(int32_t)>());
  auto run = [&] {
    for (int32_t n = 0; n < kRounds; ++n) benchmark::DoNotOptimize(*leaf.call(n));
  };
  measure(state, 15, {run}, peer_calls());
}

void guest_to_host(benchmark::State& state, Tier tier) {
  Guest guest(tier, {"call_raw", "loop"});
  measure(state, 5, guest_loop(guest, "call_raw"), peer_calls());
}

void guest_to_host_typed(benchmark::State& state, Tier tier) {
  Guest guest(tier, {"call_typed", "loop"});
  measure(state, 5, guest_loop(guest, "call_typed"), peer_calls());
}

// ---- from tier to tier ----------------------------------------------------------------------------------------------

void interp_to_machine(benchmark::State& state, Tier tier) {
  Guest guest(tier, {"leaf"});
  measure(state, 10, guest_loop(guest, "call_leaf"), peer_calls());
}

void machine_to_interp(benchmark::State& state, Tier tier) {
  Guest guest(tier, {"call_leaf", "loop"});
  measure(state, 10, guest_loop(guest, "call_leaf"), peer_calls());
}

void direct_call_ratio(benchmark::State& state, Tier tier) {
  Guest guest(tier, {"call_leaf", "leaf", "loop"});
  measure(state, 1.2, guest_loop(guest, "call_leaf"), peer_calls());
}

void indirect_call_ratio(benchmark::State& state, Tier tier) {
  Guest guest(tier, {"call_indirect", "leaf", "other", "loop"});
  measure(state, 1.5, guest_loop(guest, "call_indirect"),
          {[] { native_indirect_calls(kRounds); }, [] { native_loop(kRounds / 8); }});
}

/// All there is to calls: parameters, frames, stack checks, results.
void fib_ratio(benchmark::State& state, Tier tier) {
  constexpr int32_t kFib = 14;
  constexpr double kCalls = 1219;
  Guest guest(tier, {"fib"});
  vm::FuncRecord& fib = guest.record("fib");
  measure(state, 1.2, {[&] { guest.call(fib, kFib); }}, {[] { benchmark::DoNotOptimize(native_fib(kFib)); }}, kCalls);
}

// ---- exceptions -----------------------------------------------------------------------------------------------------

[[gnu::noinline]] int32_t native_deep(int32_t depth, int32_t throws) {
  if (depth == 0) {
    if (throws != 0) throw 1;
    return 0;
  }
  int32_t result = native_deep(depth - 1, throws);
  asm volatile("" : "+r"(result));
  return result + 1;
}
void native_catch(int32_t rounds, int32_t depth, int32_t throws) {
  for (; rounds != 0; --rounds) {
    try {
      benchmark::DoNotOptimize(native_deep(depth, throws));
    } catch (int) {
    }
  }
}

constexpr int32_t kThrows = 50, kShallow = 4, kDeep = 68;

/// A throw to the caller and its catch, less a call that returns.
void throw_and_catch(benchmark::State& state, Tier tier) {
  Guest guest(tier, {"catch", "deep"});
  vm::FuncRecord& func = guest.record("catch");
  measure(state, 20, {[&] { guest.call(func, kThrows, 0, 1); }, [&] { guest.call(func, kThrows, 0, 0); }},
          {[] { native_catch(kThrows, 0, 1); }, [] { native_catch(kThrows, 0, 0); }}, kThrows);
}

/// What a frame more costs that is called and left by returning (`throws` 0), or by a throw from further down. The
/// target is for leaving it alone, so calls make the interpreter, which is slow at them, miss it.
void per_frame(benchmark::State& state, Tier tier, int32_t throws) {
  Guest guest(tier, {"catch", "deep"});
  vm::FuncRecord& func = guest.record("catch");
  measure(state, 5,
          {[&] { guest.call(func, kThrows, kDeep, throws); }, [&] { guest.call(func, kThrows, kShallow, throws); }},
          {[=] { native_catch(kThrows, kDeep, throws); }, [=] { native_catch(kThrows, kShallow, throws); }},
          double{kThrows} * (kDeep - kShallow));
}
void return_per_frame(benchmark::State& state, Tier tier) { per_frame(state, tier, 0); }
void throw_per_frame(benchmark::State& state, Tier tier) { per_frame(state, tier, 1); }

[[maybe_unused]] const bool registered = [] {
  struct Row {
    const char* name;
    void (*run)(benchmark::State&, Tier);
    bool interp;  // whether it is there for the interpreter
  };
  static constexpr Row rows[] = {
      {"host_to_guest", host_to_guest, true},
      {"host_to_guest_typed", host_to_guest_typed, true},
      {"guest_to_host", guest_to_host, true},
      {"guest_to_host_typed", guest_to_host_typed, true},
      {"interp_to_machine", interp_to_machine, false},
      {"machine_to_interp", machine_to_interp, false},
      {"direct_call_ratio", direct_call_ratio, true},
      {"indirect_call_ratio", indirect_call_ratio, true},
      {"fib_ratio", fib_ratio, true},
      {"throw_and_catch", throw_and_catch, true},
      {"return_per_frame", return_per_frame, true},
      {"throw_per_frame", throw_per_frame, true},
  };
  for (const Row& row : rows) {
    for (Tier tier : {Tier::interp, Tier::baseline, Tier::opt}) {
      if (tier == Tier::interp && !row.interp) continue;
      benchmark::RegisterBenchmark((std::string(row.name) + "/" + vm::to_string(tier)).c_str(),
                                   [run = row.run, tier](benchmark::State& state) { run(state, tier); })
          ->Iterations(kTimes);
    }
  }
  return true;
}();

}  // namespace
