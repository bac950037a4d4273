// A file that is there as a whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "vmrun/base/result.h"

namespace vmrun::tools {

/// Whether `path` could be written now. Nothing is left behind. From now on write_whole_file writes where the path leads now:
/// a guest that may write in its folder cannot put a link there that leads elsewhere. Before guests run. Errors: Io.
Result<void> check_writable(const std::string& path);

/// Writes `bytes` to a temporary file beside `path`, which then takes its name; what cannot be written whole leaves
/// nothing, and an older file as it was. What exists and is no plain file (a device, a pipe) is written to as it is.
/// Errors: Io.
Result<void> write_whole_file(const std::string& path, std::string_view bytes);

}  // namespace vmrun::tools
