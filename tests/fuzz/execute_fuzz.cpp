// libFuzzer target: whatever validates is instantiated and its exports called, within limits of time, memory and stack,
// by the quick and by the careful translation.
#include <cstddef>
#include <cstdint>
#include <span>

#include "exercise.h"

namespace {

vmrun::Engine make_engine(vmrun::Effort effort, bool dense) {
  vmrun::Config config;
  config.effort = effort;
  config.dense_memory = dense;
  config.validation_threads = 1;
  return vmrun::Engine(config);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const vmrun::Engine engines[] = {make_engine(vmrun::Effort::Quick, false),
                                          make_engine(vmrun::Effort::Careful, false),
                                          make_engine(vmrun::Effort::Quick, true)};
  vmrun::test::ExerciseOptions options;
  options.seed = size;
  options.time = std::chrono::milliseconds(20);
  options.memory_bytes = 8u << 20;
  options.stack_bytes = 64u << 10;
  for (const vmrun::Engine& engine : engines) {
    vmrun::Result<vmrun::Module> module = vmrun::Module::compile(engine, std::span(data, size), "fuzz");
    if (!module) return 0;
    vmrun::test::exercise(*module, options);
  }
  return 0;
}
