// The runtime's own costs: making and dropping instances, and calls between host and guest.
//
//   bench_runtime --benchmark_filter=instantiate
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>

#include "vmrun/vmrun.h"

namespace {

using namespace vmrun;

/// (module
///   (import "env" "add1" (func (param i32) (result i32)))
///   (memory (export "memory") 1)
///   (data (i32.const 16) "hello, world")
///   (func (export "nop"))
///   (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
///   (func (export "calls") (param i32)           ;; calls the import that many times
///     (loop (drop (call 0 (i32.const 1)))
///           (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
///   (func (export "loop") (param i32)            ;; the same without the call
///     (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))
constexpr uint8_t kImage[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x13, 0x04, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x60, 0x00, 0x00,
    0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7f, 0x60, 0x01, 0x7f, 0x00, 0x02, 0x0c, 0x01, 0x03, 0x65, 0x6e, 0x76, 0x04, 0x61,
    0x64, 0x64, 0x31, 0x00, 0x00, 0x03, 0x05, 0x04, 0x01, 0x02, 0x03, 0x03, 0x05, 0x03, 0x01, 0x00, 0x01, 0x07, 0x25,
    0x05, 0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 0x02, 0x00, 0x03, 0x6e, 0x6f, 0x70, 0x00, 0x01, 0x03, 0x61, 0x64,
    0x64, 0x00, 0x02, 0x05, 0x63, 0x61, 0x6c, 0x6c, 0x73, 0x00, 0x03, 0x04, 0x6c, 0x6f, 0x6f, 0x70, 0x00, 0x04, 0x0a,
    0x2f, 0x04, 0x02, 0x00, 0x0b, 0x07, 0x00, 0x20, 0x00, 0x20, 0x01, 0x6a, 0x0b, 0x13, 0x00, 0x03, 0x40, 0x41, 0x01,
    0x10, 0x00, 0x1a, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x0b, 0x0e, 0x00, 0x03, 0x40, 0x20,
    0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x0b, 0x0b, 0x12, 0x01, 0x00, 0x41, 0x10, 0x0b, 0x0c, 0x68,
    0x65, 0x6c, 0x6c, 0x6f, 0x2c, 0x20, 0x77, 0x6f, 0x72, 0x6c, 0x64,
};

Module compile(const Engine& engine) {
  Result<Module> module = Module::compile(engine, kImage);
  if (!module) {
    std::fprintf(stderr, "%s\n", module.error().to_string().c_str());
    std::exit(1);
  }
  return *module;
}

Linker plain_linker(const Engine& engine) {
  Linker linker(engine);
  if (!linker.func_wrap("env", "add1", [](int32_t n) { return n + 1; })) std::exit(1);
  return linker;
}

void instantiate_and_drop(benchmark::State& state) {
  Config config;
  config.dense_memory = state.range(0) != 0;
  Engine engine(config);
  Module module = compile(engine);
  Linker linker = plain_linker(engine);
  for (auto _ : state) {
    Store store(engine);
    Result<Instance> instance = linker.instantiate(store, module);
    if (!instance) state.SkipWithError(instance.error().message.c_str());
    benchmark::DoNotOptimize(instance);
  }
}
BENCHMARK(instantiate_and_drop)->ArgName("dense")->Arg(0)->Arg(1);

void instantiate_call_and_drop(benchmark::State& state) {
  Engine engine;
  Module module = compile(engine);
  Linker linker = plain_linker(engine);
  for (auto _ : state) {
    Store store(engine);
    Result<Instance> instance = linker.instantiate(store, module);
    if (!instance->func("add")->typed<int32_t(int32_t, int32_t)>()->call(1, 2)) state.SkipWithError("call");
  }
}
BENCHMARK(instantiate_call_and_drop);

/// The same with imports that were resolved once, by several threads of one engine.
void prepared_call_and_drop(benchmark::State& state) {
  static const Engine engine;
  static const Module module = compile(engine);
  static const Prepared prepared = *plain_linker(engine).prepare(module);
  for (auto _ : state) {
    Store store(engine);
    Result<Instance> instance = prepared.instantiate(store);
    if (!instance->func("add")->typed<int32_t(int32_t, int32_t)>()->call(1, 2)) state.SkipWithError("call");
  }
}
BENCHMARK(prepared_call_and_drop)->ThreadRange(1, 2)->UseRealTime();

/// The image that VMRUN_BENCH_IMAGE names, whatever it imports: memories of megabytes, and their data.
void instantiate_image(benchmark::State& state) {
  const char* file = std::getenv("VMRUN_BENCH_IMAGE");
  if (file == nullptr) return state.SkipWithError("VMRUN_BENCH_IMAGE names no image");
  Engine engine;
  const Result<Module> module = Module::compile_file(engine, file);
  if (!module) return state.SkipWithError(module.error().message.c_str());
  Linker linker(engine);
  linker.unknown_imports_trap(true);
  const Result<Prepared> prepared = linker.prepare(*module);
  if (!prepared) return state.SkipWithError(prepared.error().message.c_str());
  for (auto _ : state) {
    Store store(engine);
    if (!prepared->instantiate(store)) state.SkipWithError("instantiate");
  }
}
BENCHMARK(instantiate_image)->Unit(benchmark::kMicrosecond);

/// An instance that the benchmarks of calls share.
struct Fixture {
  Engine engine;
  Store store{engine};
  Linker linker = plain_linker(engine);
  Instance instance = *linker.instantiate(store, compile(engine));
};

void call_guest_typed(benchmark::State& state) {
  Fixture f;
  auto add = *f.instance.func("add")->typed<int32_t(int32_t, int32_t)>();
  int32_t sum = 0;
  for (auto _ : state) sum = *add.call(sum, 1);
  benchmark::DoNotOptimize(sum);
}
BENCHMARK(call_guest_typed);

void call_guest_dynamic(benchmark::State& state) {
  Fixture f;
  Func add = *f.instance.func("add");
  for (auto _ : state) benchmark::DoNotOptimize(add.call({Val::i32(1), Val::i32(2)}));
}
BENCHMARK(call_guest_dynamic);

/// One host call from a guest's loop; `guest_loop` is the loop's own part of the time.
void call_host(benchmark::State& state) {
  Fixture f;
  auto calls = *f.instance.func("calls")->typed<void(int32_t)>();
  constexpr int32_t kCalls = 10000;
  while (state.KeepRunningBatch(kCalls)) {
    if (!calls.call(kCalls)) state.SkipWithError("call");
  }
}
BENCHMARK(call_host);

void guest_loop(benchmark::State& state) {
  Fixture f;
  auto loop = *f.instance.func("loop")->typed<void(int32_t)>();
  constexpr int32_t kRounds = 10000;
  while (state.KeepRunningBatch(kRounds)) {
    if (!loop.call(kRounds)) state.SkipWithError("call");
  }
}
BENCHMARK(guest_loop);

void grow_memory(benchmark::State& state) {
  Engine engine;
  for (auto _ : state) {
    Store store(engine);
    Memory memory = *Memory::create(store, MemoryType{});
    for (int i = 0; i < 16; ++i) benchmark::DoNotOptimize(memory.grow(1));
  }
}
BENCHMARK(grow_memory);

}  // namespace
