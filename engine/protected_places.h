// What no guest may change, whatever directories it is granted: the caches of code, the plug-ins, the executable and the
// libraries that this process runs, the linker's files in /etc, and the folders in which
// this process looks for libraries. This process or a later one runs what is there as machine code.
//
// A place is protected by identity (device and inode), not by its path. `steps` has everything that the path goes through:
// the directories from the root down, symbolic links on the way, and the place itself. No guest may move, remove or replace
// a step, nor open one that is a file for writing. So the path goes on leading where it led when the places were looked up,
// and the check before a call cannot be outrun: what a name stands for becomes a step only if somebody moves that step.
// The steps' names in their directories are protected as well, so that no guest makes what is missing, or what somebody else
// removes meanwhile.
//
// Does not change once its adds are done; any thread.
#pragma once

#include <sys/stat.h>

#include <compare>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace vmrun {
class Engine;
}

namespace vmrun::engine {

/// A file or directory, by whatever path.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  auto operator<=>(const FileId&) const = default;
};
inline FileId id_of(const struct stat& info) { return {info.st_dev, info.st_ino}; }

class ProtectedPlaces {
 public:
  ProtectedPlaces() = default;
  /// `look_up` adds all there is, at the first question and not before: it looks at each library of the system, which takes
  /// longer than the rest of a start. Guests ask before they change anything, so nothing has changed by then.
  explicit ProtectedPlaces(std::function<void(ProtectedPlaces&)> look_up) : look_up_(std::move(look_up)) {}

  /// The directory at `path`, in which nothing is to be changed, be it there or not.
  void add_folder(const std::filesystem::path& path) { add(path, Kind::Folder); }
  /// The same for a folder of the cache. What is missing above it may be made: what a guest makes there is no entry, and a
  /// later run protects it.
  void add_cache(const std::filesystem::path& path) { add(path, Kind::Cache); }
  /// A directory in which no library is to be changed, nor what the linker takes for a folder of further ones. Such folders
  /// that are there, and what libraries that are symbolic links lead to, are protected too: by as many entries as
  /// kMostEntries says.
  void add_libraries(const std::filesystem::path& path) { add_libraries(path, kMostFolders); }
  /// The file at `path`, be it there or not.
  void add_file(const std::filesystem::path& path) { add(path, Kind::File); }

  bool is_folder(FileId id) const { return known().folders_.contains(id); }
  bool is_step(FileId id) const { return known().steps_.contains(id); }
  /// Whether that name in that directory, be there something or not, stays as it is.
  bool is_name(FileId folder, std::string_view name) const {
    known();
    if (libraries_.contains(folder) && is_library(name)) return true;
    const auto of_folder = names_.lower_bound({folder, {}});
    if (of_folder == names_.end() || of_folder->first != folder) return false;
    return names_.contains({folder, std::string(name)});
  }

 private:
  enum class Kind { File, Folder, Cache, Libraries };
  /// Of one folder. A system's folder has some thousands.
  static constexpr int kMostEntries = 65'536;
  /// A folder of further libraries has others in it up to tls/haswell/avx512_1/x86_64.
  static constexpr int kMostFolders = 5;

  const ProtectedPlaces& known() const {
    if (look_up_) std::call_once(looked_up_, look_up_, const_cast<ProtectedPlaces&>(*this));
    return *this;
  }
  /// Whether a directory was added that was not known as such before.
  bool add(const std::filesystem::path& path, Kind kind);
  void add_libraries(const std::filesystem::path& path, int depth);
  static bool is_library(std::string_view name);

  const std::function<void(ProtectedPlaces&)> look_up_;
  mutable std::once_flag looked_up_;
  std::set<FileId> steps_, folders_, libraries_;
  std::set<std::pair<FileId, std::string>> names_;
};

/// Those of an engine: its cache's folder, which is made if it is to be written, the user's default one, the plug-ins, and
/// the folders of libraries.
/// Any thread.
std::shared_ptr<const ProtectedPlaces> protected_places(const Engine& engine);

}  // namespace vmrun::engine
