// The interpreter: how fast it translates, what a dispatch, a call, and a throw cost.
//
// Translation reads the image that VMRUN_BENCH_IMAGE names; a real one of several megabytes tells most. The rest runs
// on a small module of its own, under each effort (0 quick, 1 careful).
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>

#include "interp/careful/careful.h"
#include "interp/code_store.h"
#include "interp/interp.h"
#include "interp/quick/quick.h"
#include "vm/wasm/image.h"
#include "vm/wasm/module.h"
#include "vmrun/vmrun.h"

namespace {

using namespace vmrun;

// ---- translation ----------------------------------------------------------------------------------------------------

struct Loaded {
  std::shared_ptr<vm::Module> module;
  int64_t code_bytes = 0;
};

Loaded* load(benchmark::State& state) {
  static std::string why;
  static Loaded* loaded = []() -> Loaded* {
    const char* path = std::getenv("VMRUN_BENCH_IMAGE");
    if (!path) return why = "set VMRUN_BENCH_IMAGE to a .wasm file", nullptr;
    auto image = vm::Image::open(path);
    if (!image) return why = image.error().message, nullptr;
    auto module = vm::decode_module(*image, std::make_shared<vm::TypeRegistry>());
    if (!module) return why = module.error().message, nullptr;
    auto out = std::make_unique<Loaded>();
    out->module = *module;
    for (const vm::FuncDecl& f : out->module->funcs) out->code_bytes += f.body.size();
    return out.release();
  }();
  if (!loaded) state.SkipWithError(why.c_str());
  return loaded;
}

/// From bytes to published code, all functions of the image; bytes are bytes of wasm code.
template <class Translator>
void translate(benchmark::State& state, Effort effort) {
  Loaded* loaded = load(state);
  if (!loaded) return;
  vm::Module& module = *loaded->module;
  int64_t cells = 0, declined = 0;
  for (auto _ : state) {
    interp::attach(module);
    Translator translator;
    interp::Draft draft;
    for (uint32_t i = module.imported_funcs; i < module.funcs.size(); ++i) {
      if (!translator.translate(module, i, interp::MemoryMode::guarded, draft)) {
        ++declined;
        continue;
      }
      cells += static_cast<int64_t>(draft.cells.size());
      benchmark::DoNotOptimize(interp::code_store(module).publish(module.code(i), draft, effort));
    }
    state.PauseTiming();
    interp::detach(module);
    state.ResumeTiming();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * loaded->code_bytes);
  state.counters["cells/byte"] =
      static_cast<double>(cells) / static_cast<double>(state.iterations()) / static_cast<double>(loaded->code_bytes);
  state.counters["declined"] = static_cast<double>(declined) / static_cast<double>(state.iterations());
}
void quick(benchmark::State& state) { translate<interp::QuickTranslator>(state, Effort::Quick); }
void careful(benchmark::State& state) { translate<interp::CarefulTranslator>(state, Effort::Careful); }
BENCHMARK(quick)->Name("translate/quick")->Unit(benchmark::kMillisecond);
BENCHMARK(careful)->Name("translate/careful")->Unit(benchmark::kMillisecond);

// ---- execution ------------------------------------------------------------------------------------------------------

/// (module
///   (type $ii (func (param i32) (result i32)))
///   (table 1 funcref) (elem (i32.const 0) $inc)
///   (tag $e)
///   (func $inc (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
///   (func $fibr (param i32) (result i32)
///     (if (result i32) (i32.lt_s (local.get 0) (i32.const 2))
///       (then (local.get 0))
///       (else (i32.add (call $fibr (i32.sub (local.get 0) (i32.const 1)))
///                      (call $fibr (i32.sub (local.get 0) (i32.const 2)))))))
///   (func (export "fib") (param i32) (drop (call $fibr (local.get 0))))
///   (func (export "loop") (param i32)
///     (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
///   (func (export "calls") (param i32)
///     (loop (drop (call $inc (local.get 0)))
///       (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
///   (func (export "indirect") (param i32)
///     (loop (drop (call_indirect (type $ii) (local.get 0) (i32.const 0)))
///       (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
///   (func $throw (throw $e))
///   (func $deep (param i32)
///     (if (i32.eqz (local.get 0)) (then (throw $e)))
///     (call $deep (i32.sub (local.get 0) (i32.const 1))))
///   (func (export "throws") (param i32)
///     (loop (try (do (call $throw)) (catch $e))
///       (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
///   (func (export "throws_deep") (param i32)
///     (loop (try (do (call $deep (i32.const 100))) (catch $e))
///       (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))
constexpr uint8_t kImage[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x0d, 0x03, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x60, 0x00, 0x00,
    0x60, 0x01, 0x7f, 0x00, 0x03, 0x0b, 0x0a, 0x00, 0x00, 0x02, 0x02, 0x02, 0x02, 0x01, 0x02, 0x02, 0x02, 0x04, 0x04,
    0x01, 0x70, 0x00, 0x01, 0x0d, 0x03, 0x01, 0x00, 0x01, 0x07, 0x38, 0x06, 0x03, 0x66, 0x69, 0x62, 0x00, 0x02, 0x04,
    0x6c, 0x6f, 0x6f, 0x70, 0x00, 0x03, 0x05, 0x63, 0x61, 0x6c, 0x6c, 0x73, 0x00, 0x04, 0x08, 0x69, 0x6e, 0x64, 0x69,
    0x72, 0x65, 0x63, 0x74, 0x00, 0x05, 0x06, 0x74, 0x68, 0x72, 0x6f, 0x77, 0x73, 0x00, 0x08, 0x0b, 0x74, 0x68, 0x72,
    0x6f, 0x77, 0x73, 0x5f, 0x64, 0x65, 0x65, 0x70, 0x00, 0x09, 0x09, 0x07, 0x01, 0x00, 0x41, 0x00, 0x0b, 0x01, 0x00,
    0x0a, 0xae, 0x01, 0x0a, 0x07, 0x00, 0x20, 0x00, 0x41, 0x01, 0x6a, 0x0b, 0x1c, 0x00, 0x20, 0x00, 0x41, 0x02, 0x48,
    0x04, 0x7f, 0x20, 0x00, 0x05, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x10, 0x01, 0x20, 0x00, 0x41, 0x02, 0x6b, 0x10, 0x01,
    0x6a, 0x0b, 0x0b, 0x07, 0x00, 0x20, 0x00, 0x10, 0x01, 0x1a, 0x0b, 0x0e, 0x00, 0x03, 0x40, 0x20, 0x00, 0x41, 0x01,
    0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x0b, 0x13, 0x00, 0x03, 0x40, 0x20, 0x00, 0x10, 0x00, 0x1a, 0x20, 0x00, 0x41,
    0x01, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x0b, 0x16, 0x00, 0x03, 0x40, 0x20, 0x00, 0x41, 0x00, 0x11, 0x00, 0x00,
    0x1a, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x0b, 0x04, 0x00, 0x08, 0x00, 0x0b, 0x11, 0x00,
    0x20, 0x00, 0x45, 0x04, 0x40, 0x08, 0x00, 0x0b, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x10, 0x07, 0x0b, 0x15, 0x00, 0x03,
    0x40, 0x06, 0x40, 0x10, 0x06, 0x07, 0x00, 0x0b, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x0b,
    0x18, 0x00, 0x03, 0x40, 0x06, 0x40, 0x41, 0xe4, 0x00, 0x10, 0x07, 0x07, 0x00, 0x0b, 0x20, 0x00, 0x41, 0x01, 0x6b,
    0x22, 0x00, 0x0d, 0x00, 0x0b, 0x0b,
};

/// Calls the exported function once per iteration with `n`; items are `n` times `per`.
void execute(benchmark::State& state, const char* name, int32_t n, int64_t items) {
  Config config;
  config.effort = state.range(0) == 0 ? Effort::Quick : Effort::Careful;
  Engine engine(config);
  Result<Module> module = Module::compile(engine, kImage);
  if (!module) return state.SkipWithError(module.error().to_string().c_str());
  Store store(engine);
  Result<Instance> instance = Linker(engine).instantiate(store, *module);
  if (!instance) return state.SkipWithError(instance.error().to_string().c_str());
  auto func = instance->func(name)->typed<void(int32_t)>();
  if (!func) return state.SkipWithError(func.error().to_string().c_str());
  for (auto _ : state) {
    Result<void> result = func->call(n);
    if (!result) return state.SkipWithError(result.error().to_string().c_str());
  }
  state.SetItemsProcessed(state.iterations() * items);
}
BENCHMARK_CAPTURE(execute, loop, "loop", 100000, 100000)->ArgName("careful")->Arg(0)->Arg(1);
BENCHMARK_CAPTURE(execute, calls, "calls", 100000, 100000)->ArgName("careful")->Arg(0)->Arg(1);
BENCHMARK_CAPTURE(execute, indirect, "indirect", 100000, 100000)->ArgName("careful")->Arg(0)->Arg(1);
BENCHMARK_CAPTURE(execute, throws, "throws", 10000, 10000)->ArgName("careful")->Arg(0)->Arg(1);
BENCHMARK_CAPTURE(execute, throws_deep, "throws_deep", 1000, 1000)->ArgName("careful")->Arg(0)->Arg(1);
BENCHMARK_CAPTURE(execute, fib, "fib", 25, 242785)->ArgName("careful")->Arg(0)->Arg(1);

}  // namespace
