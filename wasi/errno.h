// The host's error numbers as WASI's, and their names.
#pragma once

#include <cstdint>

#include "wasi/abi.h"

namespace vmrun::wasi {

/// WASI's number for the host's errno value `host` (positive). What has no counterpart becomes `io`.
Errno errno_from_host(int host);

/// For the result of a system call in raw form: negative is a negated errno value, anything else success.
inline Errno errno_of(int64_t raw) { return raw >= 0 ? Errno::success : errno_from_host(static_cast<int>(-raw)); }

/// The name in the witx file, such as "noent"; "2big" for toobig.
const char* errno_name(Errno e);

}  // namespace vmrun::wasi
