// Tiers: which code runs, what it took to make it, what baseline code has counted. The module is
//
//   (module (func $fib (export "fib") (param i32) (result i32)
//     (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
//       (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
//                      (call $fib (i32.sub (local.get 0) (i32.const 2))))))))
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "vmrun/vmrun.h"

namespace {

const std::vector<uint8_t> kImage = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x06, 0x01, 0x60, 0x01,
                                     0x7f, 0x01, 0x7f, 0x03, 0x02, 0x01, 0x00, 0x07, 0x07, 0x01, 0x03, 0x66, 0x69,
                                     0x62, 0x00, 0x00, 0x0a, 0x1e, 0x01, 0x1c, 0x00, 0x20, 0x00, 0x41, 0x02, 0x48,
                                     0x04, 0x7f, 0x20, 0x00, 0x05, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x10, 0x00, 0x20,
                                     0x00, 0x41, 0x02, 0x6b, 0x10, 0x00, 0x6a, 0x0b, 0x0b};

int fail(const vmrun::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.to_string().c_str());
  return 1;
}

vmrun::Result<int32_t> run(const vmrun::Module& module) {
  vmrun::Store store(module.engine());
  auto instance = vmrun::Instance::instantiate(store, module, {});
  if (!instance) return instance.error();
  return instance->func("fib")->typed<int32_t(int32_t)>()->call(24);
}

}  // namespace

int main() {
  // Each tier by itself. Optimised code is there when the plug-in is: docs/install.md.
  if (auto loaded = vmrun::load_optimiser(); !loaded) std::printf("%s\n", loaded.error().message.c_str());
  for (const vmrun::TiersName& name : vmrun::tiers_names()) {
    if (name.tiers == vmrun::Tiers::Steps) continue;  // for tests, and very slow
    vmrun::Config config;
    config.tiers = name.tiers;
    config.count_runs = true;
    auto module = vmrun::Module::compile(vmrun::Engine(config), kImage, "fib");
    if (!module) return fail(module.error());
    const auto begin = std::chrono::steady_clock::now();
    auto result = run(*module);
    if (!result) return fail(result.error());
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
    const vmrun::FunctionRuns runs = module->function_runs(0);
    std::printf("%-16s fib(24) = %d in %.1f ms", name.name, *result, time.count());
    if (name.tiers != vmrun::Tiers::Interp) {  // which counts nothing
      std::printf(", begun %llu times in the interpreter, %llu in baseline code, %llu in optimised code",
                  static_cast<unsigned long long>(runs.runs[0]), static_cast<unsigned long long>(runs.runs[1]),
                  static_cast<unsigned long long>(runs.runs[2]));
    }
    std::printf("\n");
    if (*result != 46368) return 1;
  }

  // What was compiled, and what it counts.
  vmrun::Config config;
  config.tiers = vmrun::Tiers::Baseline;
  config.profile = true;
  auto module = vmrun::Module::compile(vmrun::Engine(config), kImage, "fib");
  if (!module) return fail(module.error());
  if (auto result = run(*module); !result) return fail(result.error());
  const vmrun::TierStats stats = module->tier_stats(vmrun::Tier::Baseline);
  std::printf("%llu bytes of wasm became %llu bytes of baseline code\n",
              static_cast<unsigned long long>(stats.wasm_bytes), static_cast<unsigned long long>(stats.code_bytes));
  const vmrun::FunctionProfile profile = module->profile(0);
  std::printf("fib was entered %llu times\n", static_cast<unsigned long long>(profile.entries));
  for (const auto& condition : profile.conditions) {
    std::printf("the condition at %#llx was true %llu times\n", static_cast<unsigned long long>(condition.offset),
                static_cast<unsigned long long>(condition.count));
  }
  auto code = module->disassemble_code(0, vmrun::Tier::Baseline);
  if (!code) return fail(code.error());
  std::printf("its code begins with\n%.*s...\n", 240, code->c_str());
  return profile.entries == 150049 ? 0 : 1;
}
