// A host of plug-ins that are replaced while it runs. A file that has changed is compiled, tried and only then put in the old
// one's place; one that is broken changes nothing. Calls that run in the old one end there: a module and a store live as
// long as somebody uses them.
//
//   plugins [FILE]   without one it makes its own, three times: (func (export "price") (param i32) (result i32) ...)
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vmrun/vmrun.h"

namespace {

namespace fs = std::filesystem;

const std::vector<uint8_t> kSame = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x06, 0x01, 0x60, 0x01, 0x7f,
                                    0x01, 0x7f, 0x03, 0x02, 0x01, 0x00, 0x07, 0x09, 0x01, 0x05, 0x70, 0x72, 0x69, 0x63,
                                    0x65, 0x00, 0x00, 0x0a, 0x09, 0x01, 0x07, 0x00, 0x20, 0x00, 0x41, 0x01, 0x6c, 0x0b};
const std::vector<uint8_t> kDouble = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x06, 0x01,
                                      0x60, 0x01, 0x7f, 0x01, 0x7f, 0x03, 0x02, 0x01, 0x00, 0x07, 0x09,
                                      0x01, 0x05, 0x70, 0x72, 0x69, 0x63, 0x65, 0x00, 0x00, 0x0a, 0x09,
                                      0x01, 0x07, 0x00, 0x20, 0x00, 0x41, 0x02, 0x6c, 0x0b};

int fail(const vmrun::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.to_string().c_str());
  return 1;
}

/// A plug-in that is ready to be called. It owns its store, which knows nothing of its predecessor's.
struct Plugin {
  explicit Plugin(const vmrun::Engine& engine) : store(engine, limits()) {}
  static vmrun::StoreLimits limits() {
    vmrun::StoreLimits limits;
    limits.memory_bytes = 16 << 20;
    return limits;
  }
  vmrun::Store store;
  std::optional<vmrun::TypedFunc<int32_t(int32_t)>> price;
};

class Host {
 public:
  explicit Host(fs::path file) : file_(std::move(file)) {}

  /// Takes the file's plug-in when it is another than the one it has. On an error the old one stays.
  vmrun::Result<bool> reload() {
    std::error_code gone;
    const auto written = fs::last_write_time(file_, gone);
    if (gone || written == written_) return false;
    written_ = written;  // a broken one is reported once
    auto module = vmrun::Module::compile_file(engine_, file_);
    if (!module) return module.error();
    auto fresh = std::make_shared<Plugin>(engine_);
    auto instance = vmrun::Linker(engine_).instantiate(fresh->store, *module);
    if (!instance) return instance.error();
    auto func = instance->func("price");
    if (!func) return func.error();
    auto price = func->typed<int32_t(int32_t)>();
    if (!price) return price.error();
    fresh->price = *price;
    current_ = std::move(fresh);
    return true;
  }

  vmrun::Result<int32_t> price(int32_t amount) const {
    const std::shared_ptr<Plugin> plugin = current_;  // stays, whatever is loaded meanwhile
    if (plugin == nullptr) return vmrun::Error(vmrun::ErrorKind::Usage, "there is no plug-in yet");
    return plugin->price->call(amount);
  }

 private:
  const fs::path file_;
  vmrun::Engine engine_;
  fs::file_time_type written_{};
  std::shared_ptr<Plugin> current_;
};

/// Puts an image into the file's place in one step, as an editor or a build should.
void put(const fs::path& file, const std::vector<uint8_t>& image, int version) {
  const fs::path next = file.string() + ".next";
  std::ofstream(next, std::ios::binary)
      .write(reinterpret_cast<const char*>(image.data()), static_cast<long>(image.size()));
  fs::rename(next, file);
  fs::last_write_time(file, fs::file_time_type::clock::now() + std::chrono::seconds(version));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    Host host(argv[1]);
    if (auto loaded = host.reload(); !loaded) return fail(loaded.error());
    auto price = host.price(100);
    if (!price) return fail(price.error());
    std::printf("price of 100: %d\n", *price);
    return 0;
  }

  const fs::path folder = fs::temp_directory_path() / ("vmrun-plugins-" + std::to_string(getpid()));
  fs::create_directories(folder);
  const fs::path file = folder / "price.wasm";
  Host host(file);
  std::vector<int32_t> prices;
  std::vector<uint8_t> broken = kDouble;
  broken.resize(broken.size() - 3);
  int version = 0;
  for (const auto& image : {kSame, kDouble, broken}) {
    put(file, image, ++version);
    if (auto loaded = host.reload(); !loaded) std::printf("not loaded: %s\n", loaded.error().message.c_str());
    auto price = host.price(100);
    if (!price) return fail(price.error());
    std::printf("price of 100: %d\n", *price);
    prices.push_back(*price);
  }
  fs::remove_all(folder);
  return prices == std::vector<int32_t>{100, 200, 200} ? 0 : 1;
}
