// Whether a file may be loaded as a plug-in, looked at before any code of it runs.
#pragma once

#include <optional>
#include <string>

namespace vmrun::vm {

/// Why the file `path` is not to be loaded; nothing if it may be. It must be a regular file, and it and its folder must be
/// writable for nobody but root, this user and the owner of the file that this very code is in (who may change that as
/// well); group write access is refused but for root's group and a user's private one, whose number is the user's. The
/// file's note must name this build (vm::build_id): it is read from the file, which is not mapped. Any thread.
std::optional<std::string> plugin_refused(const std::string& path);

}  // namespace vmrun::vm
