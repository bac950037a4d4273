// What a guest may write, so that vmrun runs no machine code from there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/run_options.h"

namespace vmrun::tools {

/// The host's name of a directory among `dirs` that the guest may write in and that `path` lies in, or is; nothing when
/// there is none. `path` need not exist.
std::optional<std::string> writable_above(const std::vector<RunOptions::Dir>& dirs, const std::string& path);

}  // namespace vmrun::tools
