// Where the modules of a series come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vmrun::test {

using Image = std::vector<uint8_t>;

/// A directory of its own for files that come and go: several series may run at once.
struct Scratch {
  std::string path = (std::filesystem::temp_directory_path() / "vmrun-fuzz-XXXXXX").string();
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
};

/// Names of makers: "own" (generate.h), those of aimed modules (generate_aimed.h), and "aimed" for all of the latter;
/// any other is the path of binaryen's wasm-opt.
std::vector<std::string> expand_makers(const std::vector<std::string>& names);

/// The maker's module number `index` of the series `seed`. With `small` most of them are: seven of eight, and aimed
/// ones anyway. Empty when it fails, which only binaryen's may.
Image make_module(const std::string& maker, uint64_t seed, size_t index, bool small,
                  const std::filesystem::path& scratch);

/// Whether all calls of the module end within moments, so that one that is interrupted hangs: by the name of its maker,
/// or of a file that begins with it.
bool ends_soon(const std::string& name);

Image read_image(const std::filesystem::path& path);
bool write_image(const std::filesystem::path& path, const Image& image);

}  // namespace vmrun::test
