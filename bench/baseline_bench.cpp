// How fast the baseline compiler is and how much memory it takes, on the image that VMRUN_BENCH_IMAGE names, such as the
// python.wasm that bench/fetch-images gets: bytes are bytes of function bodies, on one thread.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <thread>

#include "jit/code/install.h"
#include "jit/compiler.h"
#include "vm/wasm/image.h"
#include "vm/wasm/module.h"

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

/// All functions, compiled and installed; code is given back each time round. A few objects of the first round stay, and so does all the memory
/// around them: what the system takes for fresh pages is not the compiler's time.
void compile_all(benchmark::State& state) {
  auto module = load(state);
  if (!module) return;
  auto compiler = jit::make_baseline_compiler();
  jit::CodeSpace& space = jit::CodeSpace::get();
  int64_t bytes = 0, code = 0, functions = 0;
  std::map<std::string, int> unsupported;
  bool kept = false;
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
      code += result.code.text;
      const jit::CodeObject* object = jit::install(space, std::move(result.code), *module, nullptr);
      if (object == nullptr) return state.SkipWithError("no memory for code");
      made.push_back(object);
    }
    state.PauseTiming();
    if (!kept) std::erase_if(made, [n = 0](const jit::CodeObject*) mutable { return n++ % 64 == 0; });
    kept = true;
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

/// Bytes in use by malloc.
size_t in_use() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// What compiling the largest function takes beyond its code, by byte of the function: the most that malloc had in use,
/// as a thread sees it that looks every few microseconds.
void largest_function(benchmark::State& state) {
  auto module = load(state);
  if (!module) return;
  auto compiler = jit::make_baseline_compiler();
  jit::CompileRequest request;
  request.module = module.get();
  request.func_index = module->imported_funcs;
  for (uint32_t i = request.func_index; i < module->funcs.size(); ++i) {
    if (module->funcs[i].body.size() > module->funcs[request.func_index].body.size()) request.func_index = i;
  }
  const double size = module->funcs[request.func_index].body.size();
  size_t used = 0, tables = 0;
  for (auto _ : state) {
    std::thread thread([&] {
      const size_t before = in_use();
      std::atomic<bool> done{false};
      std::thread watch([&] {
        while (!done.load(std::memory_order_relaxed)) {
          const size_t now = in_use();
          if (now > before) used = std::max(used, now - before);
        }
      });
      jit::CompileResult result = compiler->compile(request);
      done.store(true, std::memory_order_relaxed);
      watch.join();
      if (result.status != jit::CompileResult::Status::done) return state.SkipWithError(result.reason.c_str());
      const jit::CompiledCode& code = result.code;
      tables = code.marks.capacity() * sizeof(jit::SourceMark) + code.pads.capacity() * sizeof(jit::PadMark) +
               code.preempt.capacity() * sizeof(jit::PreemptRange) + code.osr.capacity() * sizeof(jit::OsrEntry);
    });
    thread.join();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(size));
  state.counters["bytes"] = size;
  state.counters["tables_per_byte"] = static_cast<double>(tables) / size;
  state.counters["memory_per_byte"] = static_cast<double>(used) / size;
}
BENCHMARK(largest_function)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
