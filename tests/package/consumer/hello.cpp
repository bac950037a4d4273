// A function of a guest that calls one of the host, in optimised code. With an argument: the folder of the plug-ins.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "vmrun/vmrun.h"

namespace {

// (module (import "host" "add" (func (param i32 i32) (result i32)))
//   (func (export "twice") (param i32) (result i32)  local.get 0  local.get 0  call 0))
const std::vector<uint8_t> kImage = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x0c, 0x02, 0x60, 0x02, 0x7f, 0x7f, 0x01,
    0x7f, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x02, 0x0c, 0x01, 0x04, 0x68, 0x6f, 0x73, 0x74, 0x03, 0x61,
    0x64, 0x64, 0x00, 0x00, 0x03, 0x02, 0x01, 0x01, 0x07, 0x09, 0x01, 0x05, 0x74, 0x77, 0x69, 0x63,
    0x65, 0x00, 0x01, 0x0a, 0x0a, 0x01, 0x08, 0x00, 0x20, 0x00, 0x20, 0x00, 0x10, 0x00, 0x0b,
};

int fail(const vmrun::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.to_string().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) vmrun::set_plugin_folder(argv[1]);
  if (auto loaded = vmrun::load_optimiser(); !loaded) return fail(loaded.error());

  vmrun::Config config;
  config.tiers = vmrun::Tiers::Opt;
  config.count_runs = true;
  vmrun::Engine engine(config);
  auto module = vmrun::Module::compile(engine, kImage, "twice");
  if (!module) return fail(module.error());
  vmrun::Linker linker(engine);
  auto defined = linker.func_wrap("host", "add", [](int32_t a, int32_t b) { return a + b; });
  if (!defined) return fail(defined.error());
  vmrun::Store store(engine);
  auto instance = linker.instantiate(store, *module);
  if (!instance) return fail(instance.error());
  auto twice = instance->func("twice")->typed<int32_t(int32_t)>();
  if (!twice) return fail(twice.error());
  auto result = twice->call(21);
  if (!result) return fail(result.error());
  const vmrun::FunctionRuns runs = module->function_runs(1);
  std::printf("twice 21 is %d, in %s code\n", *result, runs.runs[2] == 1 ? "optimised" : "other");
  return *result == 42 && runs.runs[2] == 1 ? 0 : 1;
}
