// See protected_places.h.
#include <fcntl.h>
#include <unistd.h>

#include <climits>
#include <cstring>
#include <deque>

#include "engine/cache_files.h"
#include "engine/engine_impl.h"
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

}  // namespace

bool ProtectedPlaces::is_library(std::string_view name) {
  // What the system's linker looks into before the folder itself.
  for (const std::string_view further : {"glibc-hwcaps", "tls", "haswell", "x86_64", "avx512_1"}) {
    if (name == further) return true;
  }
  return name.find(".so") != name.npos;
}

void ProtectedPlaces::add(const fs::path& path, std::set<FileId>* kind) {
  std::error_code failure;
  const fs::path whole = fs::absolute(path, failure);
  if (path.empty() || failure) return;
  std::deque<std::string> names;
  put_before(names, whole);
  Here here;
  steps_.insert(here.id());
  for (int links = 0; !names.empty();) {
    const std::string name = std::move(names.front());
    names.pop_front();
    if (name == "..") {
      if (!here.enter("..")) return;
      continue;
    }
    names_.emplace(here.id(), name);
    struct stat info;
    if (fstatat(here.file(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return;
    steps_.insert(id_of(info));
    if (S_ISLNK(info.st_mode)) {
      char target[PATH_MAX];
      const ssize_t size = readlinkat(here.file(), name.c_str(), target, sizeof target);
      if (size <= 0 || size == sizeof target || ++links > kMostLinks) return;
      const fs::path to(std::string(target, static_cast<size_t>(size)));
      if (to.is_absolute()) here.go_to_root();
      put_before(names, to);
    } else if (!S_ISDIR(info.st_mode) || !here.enter(name.c_str())) {
      return;
    }
  }
  if (kind != nullptr) kind->insert(here.id());
}

std::shared_ptr<const ProtectedPlaces> protected_places(const Engine& engine) {
  Engine::Impl& impl = *engine.impl();
  std::call_once(impl.places_known, [&] {
    auto places = std::make_shared<ProtectedPlaces>();
    if (const auto& cache = impl.config.cache; cache && !cache->folder.empty()) {
      if (cache->write) {
        Refusal refusal;
        const FileDescriptor made(open_cache_folder(cache->folder, true, refusal));
      }
      places->add_folder(cache->folder);
    }
    if (const fs::path usual = default_cache_folder(); !usual.empty()) places->add_folder(usual);
    for (const char* plugin : {"vmrun-opt.so", "vmrun-pool.so"}) {
      // Up to the one that is taken: no other may come before it.
      for (const std::string& folder : vm::plugin_folders()) {
        const fs::path file = fs::path(folder) / plugin;
        places->add_file(file);
        if (access(file.c_str(), R_OK) == 0) break;
      }
    }
    // What plug-ins need comes from there when they are loaded.
    for (const std::string& folder : vm::library_folders()) places->add_libraries(folder);
    impl.places = std::move(places);
  });
  return impl.places;
}

}  // namespace vmrun::engine
