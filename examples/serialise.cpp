// Serialisation: a module with its machine code, as bytes or as a file, which another process runs without compiling. The module
// is
//
//   (module
//     (import "env" "more" (func $more))
//     (func $count (export "count") (param $n i32) (result i32) ...)   counts to n
//     ...)
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "vmrun/vmrun.h"

namespace {

namespace fs = std::filesystem;

const std::vector<uint8_t> kImage = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x0d, 0x03, 0x60, 0x00, 0x00, 0x60, 0x01, 0x7f,
    0x01, 0x7f, 0x60, 0x00, 0x01, 0x7f, 0x02, 0x0c, 0x01, 0x03, 0x65, 0x6e, 0x76, 0x04, 0x6d, 0x6f, 0x72,
    0x65, 0x00, 0x00, 0x03, 0x03, 0x02, 0x01, 0x02, 0x07, 0x13, 0x02, 0x05, 0x63, 0x6f, 0x75, 0x6e, 0x74,
    0x00, 0x01, 0x07, 0x70, 0x61, 0x74, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x02, 0x0a, 0x23, 0x02, 0x17, 0x01,
    0x01, 0x7f, 0x03, 0x40, 0x20, 0x01, 0x41, 0x01, 0x6a, 0x21, 0x01, 0x20, 0x01, 0x20, 0x00, 0x49, 0x0d,
    0x00, 0x0b, 0x20, 0x01, 0x0b, 0x09, 0x00, 0x10, 0x00, 0x41, 0xe8, 0x07, 0x10, 0x01, 0x0b};

int fail(const vmrun::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.to_string().c_str());
  return 1;
}

/// Counts to a thousand in a fresh store.
bool counts(const vmrun::Module& module, const char* what) {
  vmrun::Store store(module.engine());
  vmrun::Linker linker(module.engine());
  if (!linker.func_wrap("env", "more", [] {})) return false;
  auto instance = linker.instantiate(store, module);
  if (!instance) return false;
  auto count = instance->func("count")->typed<int32_t(int32_t)>();
  auto counted = count->call(1000);
  const vmrun::TierStats stats = module.tier_stats(vmrun::Tier::Baseline);
  std::printf("%s: counted to %d; %llu functions compiled, %llu of them taken from what was stored\n", what,
              counted ? *counted : -1, static_cast<unsigned long long>(stats.functions),
              static_cast<unsigned long long>(stats.loaded));
  return counted && *counted == 1000;
}

}  // namespace

int main() {
  vmrun::Config config;
  config.tiers = vmrun::Tiers::Baseline;
  vmrun::Engine engine(config);
  auto module = vmrun::Module::compile(engine, kImage, "counting");
  if (!module) return fail(module.error());
  bool right = counts(*module, "compiled");

  // As bytes: kept wherever the program likes. They are trusted as the program itself is.
  vmrun::SerializeOptions options;
  options.code = vmrun::SerializeOptions::Code::Baseline;
  auto bytes = module->serialize(options);
  if (!bytes) return fail(bytes.error());
  vmrun::Engine other(config);  // as in another process of the same build, on the same processor
  auto again = vmrun::Module::deserialize(other, *bytes, "counting");
  if (!again) return fail(again.error());
  right &= counts(*again, "from bytes") && again->tier_stats(vmrun::Tier::Baseline).loaded == 1;

  // As a file, of which code is read when it is first called.
  const fs::path file = fs::temp_directory_path() / ("counting-" + std::to_string(getpid()) + ".cwasm");
  auto written = module->serialize_file(file, options);
  if (!written) return fail(written.error());
  auto info = vmrun::describe_compiled_image(file);
  if (info)
    std::printf("%s: %zu units of code, made by %s\n", file.filename().c_str(), info->units.size(),
                info->build.c_str());
  auto from_file = vmrun::Module::deserialize_file(other, file);
  fs::remove(file);
  if (!from_file) return fail(from_file.error());
  right &= counts(*from_file, "from a file");

  // Other settings, other code: what is stored is left alone, and compiled anew.
  config.dense_memory = true;
  auto compiled = vmrun::Module::deserialize(vmrun::Engine(config), *bytes, "counting");
  if (!compiled) return fail(compiled.error());
  right &= counts(*compiled, "with other settings") && compiled->tier_stats(vmrun::Tier::Baseline).loaded == 0;

  // Damage is found.
  std::vector<uint8_t> damaged = *bytes;
  damaged.resize(damaged.size() / 2);
  auto refused = vmrun::Module::deserialize(other, damaged);
  std::printf("half of it: %s\n", refused ? "taken?" : refused.error().message.c_str());
  return right && !refused ? 0 : 1;
}
