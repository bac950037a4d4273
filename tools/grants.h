// What a guest may reach, so that vmrun runs no machine code that it may write and keeps from it what is secret.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/run_options.h"

namespace vmrun::tools {

/// What a guest may do in a directory that it is given.
enum class Access : uint8_t { read, write };

/// The host's name of a directory among `dirs` in which the guest may do so and that `path` lies in, or is; nothing when
/// there is none. `path` need not exist.
std::optional<std::string> granted_above(const std::vector<RunOptions::Dir>& dirs, const std::string& path,
                                         Access access);

}  // namespace vmrun::tools
