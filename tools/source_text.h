// Lines of source files, for `vmrun report`. The files' names come from dumps, and so from images, which may name what they
// like: only what lies beneath a folder that the user has named is read.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "vmrun/base/result.h"

namespace vmrun::tools {

/// Gives each of the `lines` of the dump's modules its text, where `root` has the file: beneath it under the name that the
/// image has for it, or under the longest end of that name that is there. No link leads out of `root`, and only files are
/// read, not devices or pipes. Counts in `*found` the lines that have a text now. Errors: Io (no such folder),
/// Unsupported (a system without openat2).
Result<void> add_source_text(nlohmann::json& dump, const std::string& root, size_t* found);

}  // namespace vmrun::tools
