// Plug-in libraries: see plugin.h.
#include "vm/base/plugin.h"

#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

#include "vm/base/plugin_file.h"

// Where an installation keeps them: from an executable's folder, and by itself. vm/CMakeLists.txt says where.
#ifndef VMRUN_PLUGINS_BESIDE
#define VMRUN_PLUGINS_BESIDE "../lib/vmrun"
#endif
#ifndef VMRUN_PLUGINS_INSTALLED
#define VMRUN_PLUGINS_INSTALLED "/usr/local/lib/vmrun"
#endif

namespace vmrun::vm {
namespace {

std::mutex named_lock;
std::string named_folder;  // guarded by named_lock

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

std::string executable_folder() {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  if (size <= 0) return {};
  return folder_of(std::string(path, static_cast<size_t>(size)));
}

/// The folder of the shared library that this code is in; "" in an executable. The linker's own record: the name in
/// Dl_info is whatever the executable was called as.
std::string library_folder() {
  Dl_info info;
  link_map* map = nullptr;
  if (dladdr1(reinterpret_cast<void*>(&open_plugin), &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) == 0)
    return {};
  if (map == nullptr || map->l_name == nullptr || map->l_name[0] == 0) return {};
  char path[PATH_MAX];
  if (realpath(map->l_name, path) == nullptr) return {};
  return folder_of(path);
}

}  // namespace

std::vector<std::string> plugin_folders() {
  std::vector<std::string> folders;
  {
    std::lock_guard guard(named_lock);
    if (!named_folder.empty()) folders.push_back(named_folder);
  }
  // Not from the environment of a program that runs with other rights than its caller's.
  if (const char* named = secure_getenv("VMRUN_PLUGINS"); named != nullptr && *named != 0) folders.emplace_back(named);
  if (const std::string library = library_folder(); !library.empty()) {
    for (const char* at : {"", "/vmrun"}) folders.push_back(library + at);
  }
  if (const std::string beside = executable_folder(); !beside.empty()) {
    for (const char* at : {"", "/../lib/vmrun", "/" VMRUN_PLUGINS_BESIDE}) folders.push_back(beside + at);
  }
  for (const char* at : {VMRUN_PLUGINS_INSTALLED, "/usr/local/lib/vmrun", "/usr/lib/vmrun"}) folders.emplace_back(at);
  std::vector<std::string> once;
  for (std::string& folder : folders) {
    if (std::find(once.begin(), once.end(), folder) == once.end()) once.push_back(std::move(folder));
  }
  return once;
}

std::vector<std::string> library_folders() {
  std::vector<std::string> folders;
  void* const program = dlopen(nullptr, RTLD_LAZY);
  Dl_serinfo size;
  if (program == nullptr) return folders;
  if (dlinfo(program, RTLD_DI_SERINFOSIZE, &size) == 0) {
    std::vector<std::max_align_t> room(size.dls_size / sizeof(std::max_align_t) + 1);
    auto* all = reinterpret_cast<Dl_serinfo*>(room.data());
    *all = size;
    if (dlinfo(program, RTLD_DI_SERINFO, all) == 0) {
      for (unsigned i = 0; i < all->dls_cnt; ++i) folders.emplace_back(all->dls_serpath[i].dls_name);
    }
  }
  dlclose(program);
  return folders;
}

void name_plugin_folder(std::string folder) {
  std::lock_guard guard(named_lock);
  named_folder = std::move(folder);
}

void* open_plugin(const char* file, std::string* why) {
  std::vector<std::string> folders = plugin_folders();
  *why = std::string("there is no ") + file + " in";
  for (const std::string& folder : folders) *why += (&folder == folders.data() ? " " : ", ") + folder;
  *why += "; VMRUN_PLUGINS names a further folder";
  // The run path of a program with the static library counts.
  for (std::string& folder : library_folders()) folders.push_back(std::move(folder));
  for (const std::string& folder : folders) {
    const std::string path = folder + "/" + file;
    if (access(path.c_str(), R_OK) != 0) continue;
    if (std::optional<std::string> refused = plugin_refused(path)) {
      *why = std::move(*refused);
      return nullptr;
    }
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    *why = dlerror();
    return nullptr;
  }
  return nullptr;
}

}  // namespace vmrun::vm
