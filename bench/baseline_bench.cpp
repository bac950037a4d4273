// How fast the baseline compiler is, on the image that VMRUN_BENCH_IMAGE names: bytes are bytes of function bodies, on
// one thread.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <map>

#include "jit/compiler.h"
#include "vm/image.h"
#include "vm/module.h"

namespace {

using namespace vmrun;

std::shared_ptr<vm::Module> load(benchmark::State& state) {
  const char* path = std::getenv("VMRUN_BENCH_IMAGE");
  if (!path) return state.SkipWithError("set VMRUN_BENCH_IMAGE to a .wasm file"), nullptr;
  auto image = vm::Image::open(path);
  if (!image) return state.SkipWithError(image.error().message.c_str()), nullptr;
  auto module = vm::decode_module(*image, std::make_shared<vm::TypeRegistry>());
  if (!module) return state.SkipWithError(module.error().message.c_str()), nullptr;
  return *module;
}

/// All functions; code is given back each time round.
void compile_all(benchmark::State& state) {
  auto module = load(state);
  if (!module) return;
  auto compiler = jit::make_baseline_compiler();
  jit::CodeSpace& space = jit::CodeSpace::get();
  int64_t bytes = 0, code = 0, functions = 0;
  std::map<std::string, int> unsupported;
  for (auto _ : state) {
    bytes = code = functions = 0;
    unsupported.clear();
    std::vector<const jit::CodeObject*> made;
    for (uint32_t i = module->imported_funcs; i < module->funcs.size(); ++i) {
      jit::CompileRequest request;
      request.module = module.get();
      request.func_index = i;
      jit::CompileResult result = compiler->compile(request);
      if (result.status != jit::CompileResult::Status::done) {
        ++unsupported[result.reason.substr(0, result.reason.find(" at offset"))];
        continue;
      }
      ++functions;
      bytes += module->funcs[i].body.size();
      code += result.code->text;
      made.push_back(result.code);
    }
    state.PauseTiming();
    for (const jit::CodeObject* object : made) space.retire(object);
    space.reclaim(space.retirements(), {});
    state.ResumeTiming();
  }
  for (const auto& [reason, count] : unsupported) std::printf("unsupported: %d x %s\n", count, reason.c_str());
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * bytes);
  state.counters["functions"] = static_cast<double>(functions);
  state.counters["code_per_byte"] = static_cast<double>(code) / static_cast<double>(bytes);
}
BENCHMARK(compile_all)->Unit(benchmark::kMillisecond);

}  // namespace
