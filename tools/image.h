// Loading an image named on the command line, with messages that say what to do when it is not one.
#pragma once

#include <string>

#include "vmrun/module.h"
#include "vmrun/result.h"

namespace vmrun::tools {

/// Module::compile_file, with every error's message naming the file and, where the bytes tell what they are instead of
/// an image, saying so.
Result<Module> load_image(const Engine& engine, const std::string& path);

}  // namespace vmrun::tools
