// See protected_places.h.
#include <dirent.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <unistd.h>

#include <charconv>
#include <climits>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

#include "engine/cache_files.h"
#include "engine/engine_impl.h"
#include "engine/linker_folders.h"
#include "engine/protected_places.h"
#include "vm/base/plugin.h"
#include "vmrun/stored.h"

namespace vmrun::engine {
namespace {

namespace fs = std::filesystem;

/// As many links as Linux follows in a path.
constexpr int kMostLinks = 40;
constexpr int kOnlyNames = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/// A directory on the way; it stays as it was where the next one cannot be opened.
class Here {
 public:
  Here() : file_(open("/", kOnlyNames)) {}
  ~Here() { leave(); }
  Here(const Here&) = delete;
  Here& operator=(const Here&) = delete;
  int file() const { return file_; }
  bool enter(const char* name) {
    const int next = openat(file_, name, kOnlyNames);
    if (next < 0) return false;
    leave();
    file_ = next;
    return true;
  }
  void go_to_root() {
    leave();
    file_ = open("/", kOnlyNames);
  }
  FileId id() const {
    struct stat info;
    return fstat(file_, &info) == 0 ? id_of(info) : FileId();
  }

 private:
  void leave() {
    if (file_ >= 0) close(file_);
  }

  int file_;
};

void put_before(std::deque<std::string>& names, const fs::path& path) {
  std::deque<std::string> first;
  for (const fs::path& part : path.relative_path()) {
    if (!part.empty() && part != ".") first.push_back(part);
  }
  names.insert(names.begin(), first.begin(), first.end());
}

/// glibc looked into further folders until its version 2.37.
bool looks_into_old_folders() {
  const std::string_view version = gnu_get_libc_version();
  if (!version.starts_with("2.")) return false;
  int minor = 0;
  std::from_chars(version.data() + 2, version.data() + version.size(), minor);
  return minor < 37;
}

/// Whether the linker looks into a folder of that name before the folder that it lies in.
bool is_further_folder(std::string_view name) {
  static const bool old = looks_into_old_folders();
  if (name == "glibc-hwcaps") return true;
  if (!old) return false;
  for (const std::string_view further : {"tls", "haswell", "xeon_phi", "avx512_1", "x86_64"}) {
    if (name == further) return true;
  }
  return false;
}

/// Whether a name is a library's: libz.so or libz.so.1.
bool names_library(std::string_view name) {
  constexpr std::string_view kEnd = ".so";
  if (name.ends_with(kEnd)) return true;
  for (size_t at = name.find(kEnd); at != name.npos; at = name.find(kEnd, at + 1)) {
    const std::string_view rest = name.substr(at + kEnd.size());
    if (rest.size() >= 2 && rest[0] == '.' && rest[1] >= '0' && rest[1] <= '9') return true;
  }
  return false;
}

/// What the link `name` of `folder` leads to; empty if it is none.
std::string target_of(int folder, const char* name) {
  char target[PATH_MAX];
  const ssize_t size = readlinkat(folder, name, target, sizeof target);
  return size <= 0 || size == sizeof target ? std::string() : std::string(target, static_cast<size_t>(size));
}

/// The files whose machine code this process runs now: the executable and the libraries that are loaded.
std::vector<fs::path> running_files() {
  std::vector<fs::path> files;
  std::error_code failure;
  if (fs::path executable = fs::read_symlink("/proc/self/exe", failure); !failure)
    files.push_back(std::move(executable));
  const auto add = [](dl_phdr_info* info, size_t, void* to) {
    // The executable has no name here, and what the kernel maps has no file.
    if (std::strchr(info->dlpi_name, '/') != nullptr)
      static_cast<std::vector<fs::path>*>(to)->push_back(info->dlpi_name);
    return 0;
  };
  dl_iterate_phdr(add, &files);
  return files;
}

}  // namespace

bool ProtectedPlaces::is_library(std::string_view name) { return is_further_folder(name) || names_library(name); }

void ProtectedPlaces::add_libraries(const fs::path& path, int depth) {
  if (!add(path, Kind::Libraries) || depth == 0) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path.c_str()), closedir);
  if (folder == nullptr) return;
  for (int entries = 0; entries < kMostEntries; ++entries) {
    const dirent* const entry = readdir(folder.get());
    if (entry == nullptr) return;
    const std::string_view name = entry->d_name;
    if (name == "glibc-hwcaps") {
      const fs::path at = path / name;
      add_folder(at);
      std::error_code failure;
      int levels = 0;
      for (fs::directory_iterator level(at, failure), end; !failure && level != end && levels < kMostEntries;
           ++levels) {
        add(level->path(), Kind::Libraries);
        level.increment(failure);
      }
    } else if (is_further_folder(name)) {
      add_libraries(path / name, depth - 1);
    } else if (names_library(name) && (entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN)) {
      // Another library's name in the same folder is protected already, and is looked at by itself.
      const std::string target = target_of(dirfd(folder.get()), entry->d_name);
      if (!target.empty() && (target.find('/') != target.npos || !names_library(target))) add_file(path / name);
    }
  }
}

bool ProtectedPlaces::add(const fs::path& path, Kind kind) {
  std::error_code failure;
  const fs::path whole = fs::absolute(path, failure);
  if (path.empty() || failure) return false;
  std::deque<std::string> names;
  put_before(names, whole);
  Here here;
  steps_.insert(here.id());
  for (int links = 0; !names.empty();) {
    const std::string name = std::move(names.front());
    names.pop_front();
    if (name == "..") {
      if (!here.enter("..")) return false;
      continue;
    }
    struct stat info;
    const bool there = fstatat(here.file(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
    if (there || names.empty() || kind != Kind::Cache) names_.emplace(here.id(), name);
    if (!there) return false;
    steps_.insert(id_of(info));
    if (S_ISLNK(info.st_mode)) {
      const fs::path to = target_of(here.file(), name.c_str());
      if (to.empty() || ++links > kMostLinks) return false;
      if (to.is_absolute()) here.go_to_root();
      put_before(names, to);
    } else if (!S_ISDIR(info.st_mode) || !here.enter(name.c_str())) {
      return false;
    }
  }
  if (kind == Kind::File) return false;
  return (kind == Kind::Libraries ? libraries_ : folders_).insert(here.id()).second;
}

namespace {

void add_all(ProtectedPlaces& places, const std::optional<CacheConfig>& cache) {
  if (cache) {
    if (cache->write) {
      Refusal refusal;
      const FileDescriptor made(open_cache_folder(cache->folder, true, refusal));
    }
    places.add_cache(cache->folder);
  }
  if (const fs::path usual = default_cache_folder(); !usual.empty()) places.add_cache(usual);
  for (const char* plugin : {"vmrun-opt.so", "vmrun-pool.so"}) {
    // Up to the one that is taken: no other may come before it.
    for (const std::string& folder : vm::plugin_folders()) {
      const fs::path file = fs::path(folder) / plugin;
      places.add_file(file);
      if (access(file.c_str(), R_OK) == 0) break;
    }
  }
  // What plug-ins need comes from there when they are loaded.
  for (const std::string& folder : vm::library_folders()) places.add_libraries(folder);
  add_linker_folders(places, "/etc/ld.so.conf", "/etc/ld.so.cache");
  places.add_file("/etc/ld.so.preload");
  places.add_folder("/etc/ld.so.conf.d");
  for (const fs::path& file : running_files()) places.add_file(file);
}

}  // namespace

std::shared_ptr<const ProtectedPlaces> protected_places(const Engine& engine) {
  Engine::Impl& impl = *engine.impl();
  std::call_once(impl.places_known, [&] {
    std::optional<CacheConfig> cache = impl.config.cache;
    if (cache && cache->folder.empty()) cache.reset();
    std::error_code failure;
    if (cache) cache->folder = fs::absolute(cache->folder, failure);
    impl.places = std::make_shared<const ProtectedPlaces>(
        [cache = std::move(cache)](ProtectedPlaces& places) { add_all(places, cache); });
  });
  return impl.places;
}

}  // namespace vmrun::engine
