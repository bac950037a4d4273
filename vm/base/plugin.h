// Plug-in libraries: parts that are too costly to load at every start and so come when they are first needed.
#pragma once

#include <string>
#include <vector>

namespace vmrun::vm {

/// Opens the plug-in `file` ("vmrun-opt.so"), which stays loaded. It is looked for in the folder that name_plugin_folder
/// named, in the one that VMRUN_PLUGINS names, beside libvmrun.so and in vmrun/ there, beside the executable, in
/// ../lib/vmrun from there, where this build is installed, in /usr/local/lib/vmrun and /usr/lib/vmrun, and by
/// the executable's run path. The first that is there counts; one that plugin_refused (vm/base/plugin_file.h) names a reason
/// against is not loaded. Null, with the reason in `*why`, when there is none or it does not load. Any thread.
void* open_plugin(const char* file, std::string* why);

/// Those folders, without the run path, in this order; they need not exist. Any thread.
std::vector<std::string> plugin_folders();

/// The folders in which the linker looks for libraries of this process: LD_LIBRARY_PATH, the executable's run path and the
/// system's. Any thread.
std::vector<std::string> library_folders();

/// The folder to look in first; "": none. For plug-ins that are not loaded yet. Any thread.
void name_plugin_folder(std::string folder);

}  // namespace vmrun::vm
