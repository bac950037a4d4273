// Finds and loads the optimising tier's library. LLVM takes 15 ms and tens of megabytes to load, so a process pays for it
// when a block is first worth it and not at its start.
//
// Threads: any; the first call loads, the others wait for it.
#include "jit/plugin.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>
#include <vector>

namespace vmrun::jit {
namespace {

constexpr const char* kFile = "vmrun-opt.so";

/// The directory of the running program, without the final slash.
std::string program_directory() {
  std::string path(4096, '\0');
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  if (length <= 0) return ".";
  path.resize(static_cast<size_t>(length));
  return path.substr(0, path.rfind('/'));
}

/// Where the library may be, best first.
std::vector<std::string> candidates() {
  if (const char* named = std::getenv("VMRUN_OPT_PLUGIN"); named != nullptr && *named != '\0') return {named};
  const std::string here = program_directory();
  return {here + "/" + kFile, here + "/../lib/vmrun/" + kFile, VMRUN_LIBRARY_DIR "/" + std::string(kFile)};
}

const PluginHost kHost = {
    .allocate = [](size_t size) { return CodeSpace::get().allocate(size); },
    .free = [](const CodeSpace::Block& block) { CodeSpace::get().free(block); },
    .publish = [](std::unique_ptr<CodeObject> object,
                  const CodeSpace::Block& block) { return CodeSpace::get().publish(std::move(object), block); },
};

const Plugin* try_load(std::string& why) {
  std::string looked;
  for (const std::string& path : candidates()) {
    if (access(path.c_str(), R_OK) != 0) {
      looked += (looked.empty() ? "" : ", ") + path;
      continue;
    }
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      const char* error = dlerror();
      why = error != nullptr ? error : path + " cannot be loaded";
      if (why.find("libLLVM") != std::string::npos) {
        why += " (the optimising tier needs LLVM 22: install the package libllvm22)";
      }
      return nullptr;
    }
    auto entry = reinterpret_cast<PluginEntry>(dlsym(library, kPluginEntry));
    const Plugin* plugin = entry != nullptr ? entry(&kHost) : nullptr;
    if (plugin == nullptr || plugin->version != kPluginVersion) {
      why = path + " belongs to another build of vmrun";
      return nullptr;
    }
    return plugin;
  }
  why = "the optimising tier's library is not installed (looked for " + looked + ")";
  return nullptr;
}

}  // namespace

const Plugin* load_plugin(std::string* why) {
  static std::once_flag once;
  static const Plugin* plugin = nullptr;
  static std::string reason;
  std::call_once(once, [] { plugin = try_load(reason); });
  if (plugin == nullptr && why != nullptr) *why = reason;
  return plugin;
}

Compiler* load_opt_compiler(std::string* why) {
  const Plugin* plugin = load_plugin(why);
  return plugin != nullptr ? plugin->compiler : nullptr;
}

}  // namespace vmrun::jit
