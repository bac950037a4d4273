// Files that exist in memory only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vmrun::vm {

/// A file of `bytes` zeros without a name, or -1. Its pages take memory once they are written or read.
int make_memory_file(uint64_t bytes);
/// Sees to it that nobody changes the file any more. There are no writable mappings of it. False: that cannot be had.
bool seal_memory_file(int file);

}  // namespace vmrun::vm
