// Plug-in libraries: see plugin.h.
#include "vm/base/plugin.h"

#include <dlfcn.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <vector>

namespace vmrun::vm {
namespace {

std::string executable_folder() {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  if (size <= 0) return {};
  const std::string text(path, static_cast<size_t>(size));
  return text.substr(0, text.rfind('/'));
}

}  // namespace

void* open_plugin(const char* file, std::string* why) {
  std::vector<std::string> folders;
  if (const char* named = std::getenv("VMRUN_PLUGINS"); named != nullptr && *named != 0) folders.emplace_back(named);
  if (const std::string beside = executable_folder(); !beside.empty()) {
    for (const char* at : {"", "/..", "/../lib/vmrun"}) folders.push_back(beside + at);
  }
  *why = std::string("there is no ") + file + " in";
  for (const std::string& folder : folders) *why += (&folder == folders.data() ? " " : ", ") + folder;
  *why += "; VMRUN_PLUGINS names a further folder";
  for (const std::string& folder : folders) {
    const std::string path = folder + "/" + file;
    if (access(path.c_str(), R_OK) != 0) continue;
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    *why = dlerror();
    return nullptr;
  }
  return nullptr;
}

}  // namespace vmrun::vm
