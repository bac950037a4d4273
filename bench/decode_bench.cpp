// How fast images are decoded and validated. The image is the file that VMRUN_BENCH_IMAGE names; a real one of several
// megabytes tells most.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "vm/wasm/func_decoder.h"
#include "vm/wasm/image.h"
#include "vm/wasm/module.h"
#include "vm/wasm/validate.h"

namespace {

using namespace vmrun;

struct Loaded {
  std::shared_ptr<const vm::Image> image;
  std::shared_ptr<vm::Module> module;
  vm::ValidationState state;
  int64_t code_bytes = 0;
};

/// The image, decoded once; null when there is none, with the benchmark told why.
Loaded* load(benchmark::State& state) {
  static std::string why;
  static Loaded* loaded = []() -> Loaded* {
    const char* path = std::getenv("VMRUN_BENCH_IMAGE");
    if (!path) return why = "set VMRUN_BENCH_IMAGE to a .wasm file", nullptr;
    auto out = std::make_unique<Loaded>();
    auto image = vm::Image::open(path);
    if (!image) return why = image.error().message, nullptr;
    out->image = *image;
    auto module = vm::decode_module(*image, std::make_shared<vm::TypeRegistry>());
    if (!module) return why = module.error().message, nullptr;
    out->module = *module;
    out->state.has_data_count = true;
    out->state.declared_funcs.assign((*module)->funcs.size(), true);
    for (const vm::FuncDecl& f : (*module)->funcs) out->code_bytes += f.body.size();
    return out.release();
  }();
  if (!loaded) state.SkipWithError(why.c_str());
  return loaded;
}

/// Function bodies alone; bytes are bytes of code.
void validate_bodies(benchmark::State& state) {
  Loaded* loaded = load(state);
  if (!loaded) return;
  for (auto _ : state) {
    vm::OpsSeen seen;
    auto error = vm::validate_bodies(*loaded->module, loaded->state, static_cast<unsigned>(state.range(0)), seen);
    if (error) state.SkipWithError(error->message.c_str());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * loaded->code_bytes);
}
BENCHMARK(validate_bodies)->ArgName("threads")->Arg(1)->Arg(2)->Arg(0)->UseRealTime()->Unit(benchmark::kMillisecond);

/// The walk that translators make: types are tracked, nothing is checked.
void walk_bodies(benchmark::State& state) {
  Loaded* loaded = load(state);
  if (!loaded) return;
  const vm::Module& module = *loaded->module;
  for (auto _ : state) {
    vm::NullConsumer consumer;
    vm::FuncDecoder<vm::NullConsumer, false> decoder(module, consumer);
    for (uint32_t i = module.imported_funcs; i < module.funcs.size(); ++i) benchmark::DoNotOptimize(decoder.decode(i));
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * loaded->code_bytes);
}
BENCHMARK(walk_bodies)->Unit(benchmark::kMillisecond);

/// Everything from bytes to a module; bytes are those of the image.
void decode_module(benchmark::State& state) {
  Loaded* loaded = load(state);
  if (!loaded) return;
  vm::DecodeOptions options;
  options.threads = static_cast<unsigned>(state.range(0));
  auto registry = std::make_shared<vm::TypeRegistry>();
  for (auto _ : state) {
    auto module = vm::decode_module(loaded->image, registry, options);
    if (!module) state.SkipWithError(module.error().message.c_str());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) *
                          static_cast<int64_t>(loaded->image->bytes().size()));
}
BENCHMARK(decode_module)->ArgName("threads")->Arg(1)->Arg(0)->UseRealTime()->Unit(benchmark::kMillisecond);

/// The smallest module there is.
void decode_empty(benchmark::State& state) {
  static constexpr uint8_t kEmpty[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
  auto image = vm::Image::copy(kEmpty);
  auto registry = std::make_shared<vm::TypeRegistry>();
  for (auto _ : state) {
    auto module = vm::decode_module(*image, registry);
    benchmark::DoNotOptimize(module.ok());
  }
}
BENCHMARK(decode_empty);

}  // namespace
