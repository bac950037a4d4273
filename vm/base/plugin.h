// Plug-in libraries: parts that are too costly to load at every start and so come when they are first needed.
#pragma once

#include <string>

namespace vmrun::vm {

/// Opens the plug-in `file` ("vmrun-opt.so"): beside the executable, in the folder above it, in ../lib/vmrun from there,
/// or in the one that VMRUN_PLUGINS names, which goes first. It stays loaded. Null, with the reason in `*why`, when there
/// is none or it does not load. Any thread.
void* open_plugin(const char* file, std::string* why);

}  // namespace vmrun::vm
