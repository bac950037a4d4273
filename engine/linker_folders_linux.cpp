// See linker_folders.h. The format of the configuration is ldconfig(8)'s; of the cache only the paths in it matter, each
// of which begins with a slash and ends with a zero.
#include <glob.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

#include "engine/linker_folders.h"

namespace vmrun::engine {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostBytes = 16 << 20;  // of a file; more is cut off
constexpr size_t kMostFiles = 1000;      // of the configuration
constexpr size_t kMostFolders = 10'000;

std::string linker_file(const fs::path& path) {
  std::error_code failure;
  if (!fs::is_regular_file(path, failure)) return {};
  const uintmax_t size = fs::file_size(path, failure);
  if (failure) return {};
  std::ifstream in(path, std::ios::binary);
  std::string text(static_cast<size_t>(std::min<uintmax_t>(size, kMostBytes)), '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

struct LinkerConfig {
  std::set<std::string> files, folders;

  void add(const fs::path& file) {
    if (files.size() >= kMostFiles || !files.insert(file).second) return;
    std::istringstream lines(linker_file(file));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line.substr(0, line.find('#')));
      std::string word;
      if (!(words >> word) || word == "hwcap") continue;
      if (word == "include") {
        while (words >> word) include(file.parent_path() / word);
      } else if (word[0] == '/' && folders.size() < kMostFolders) {
        folders.insert(word.substr(0, word.find('=')));  // "/usr/lib/libc5=libc5" names a kind of library
      }
    }
  }

 private:
  void include(const fs::path& pattern) {
    glob_t found = {};
    if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
      for (size_t i = 0; i < found.gl_pathc; ++i) add(found.gl_pathv[i]);
    }
    globfree(&found);
  }
};

}  // namespace

void add_linker_folders(ProtectedPlaces& places, const fs::path& config, const fs::path& cache) {
  LinkerConfig all;
  all.add(config);
  const std::string bytes = linker_file(cache);
  for (size_t at = bytes.find('/'); at < bytes.size() && all.folders.size() < kMostFolders;) {
    const size_t end = std::min(bytes.find('\0', at), bytes.size());
    const std::string_view path = std::string_view(bytes).substr(at, end - at);
    all.folders.emplace(path.substr(0, path.rfind('/')));
    at = bytes.find('/', end);
  }
  places.add_file(cache);
  for (const std::string& file : all.files) places.add_file(file);
  for (const std::string& folder : all.folders) {
    if (!folder.empty()) places.add_libraries(folder);
  }
}

}  // namespace vmrun::engine
