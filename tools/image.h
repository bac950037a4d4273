// Loading an image named on the command line, with messages that say what to do when it is not one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/run_options.h"
#include "vmrun/base/result.h"
#include "vmrun/module.h"

namespace vmrun::tools {

/// True for "-" and for the paths of standard input.
bool is_standard_input(std::string_view path);

/// What an image is called after its path: the base name, "stdin" for standard input.
std::string image_name(std::string_view path);

/// The module of the image at `path`: a file, a pipe or the like, or standard input, which is at its end then. Of what is
/// no file at most Config::max_image_bytes are accepted. Of a compiled image the code is run, if `trust` says so.
/// Errors: those of Module::compile_file and deserialize_file, with every message naming the image and, where the bytes
/// tell what they are instead of one, saying so.
Result<Module> load_image(const Engine& engine, const std::string& path, StoredTrust trust = StoredTrust::Image);
/// The same for a guest of `options`. With a key, what has no MAC that is right under it is refused. Without one, machine
/// code in a file is run only where the user says so, by the name NAME.cwasm or by --allow-precompiled, and no guest can
/// have written it; otherwise a warning tells, and the image alone is taken.
Result<Module> load_image_beside(const Engine& engine, const std::string& path, const RunOptions& options);

/// Whether the file at `path` is a compiled image.
bool is_compiled(const std::string& path);

}  // namespace vmrun::tools
