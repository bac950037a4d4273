// libFuzzer target: arbitrary bytes through decoding and validation, and through everything that looks at a module
// without running it.
#include <cstddef>
#include <cstdint>
#include <span>

#include "vmrun/vmrun.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const vmrun::Engine engine([] {
    vmrun::Config config;
    config.validation_threads = 1;  // threads would only make inputs slow and runs differ
    return config;
  }());
  vmrun::Result<vmrun::Module> module = vmrun::Module::compile(engine, std::span(data, size), "fuzz");
  if (!module) return 0;
  (void)module->imports();
  (void)module->exports();
  (void)module->sections();
  (void)module->types();
  (void)module->features_used();
  for (const vmrun::FuncBody& body : module->functions()) (void)module->disassemble(body.func_index);
  return 0;
}
