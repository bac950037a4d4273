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

/// The maker's module number `index` of the series `seed`. Empty when it fails, which only binaryen's may.
Image make_module(const std::string& maker, uint64_t seed, size_t index, const std::filesystem::path& scratch);

/// Whether all calls of the maker's modules end within moments, so that one that is interrupted hangs.
bool ends_soon(std::string_view maker);

Image read_image(const std::filesystem::path& path);
bool write_image(const std::filesystem::path& path, const Image& image);

}  // namespace vmrun::test
