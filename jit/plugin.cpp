// Finds and loads the optimising tier's library. LLVM takes 15 ms and tens of megabytes to load, so a process pays for
// it when a block is first worth it and not at its start.
//
// Threads: any; the first call loads, the others wait for it.
#include "jit/plugin.h"

#include <dlfcn.h>

#include <mutex>

#include "vm/base/plugin.h"

namespace vmrun::jit {
namespace {

const Plugin* try_load(std::string& why) {
  void* library = vm::open_plugin("vmrun-opt.so", &why);
  if (library == nullptr) {
    if (why.find("libLLVM") != std::string::npos) why += ": the optimising tier needs LLVM 22, the package libllvm22";
    return nullptr;
  }
  auto entry = reinterpret_cast<PluginEntry>(dlsym(library, kPluginEntry));
  const Plugin* plugin = entry != nullptr ? entry(kPluginVersion) : nullptr;
  if (plugin == nullptr || plugin->version != kPluginVersion) {
    why = "vmrun-opt.so belongs to another build";
    return nullptr;
  }
  return plugin;
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
