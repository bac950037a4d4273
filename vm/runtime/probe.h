// Whether memory that somebody else has made is what he says, asked of the kernel: no answer is a fault.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vmrun::vm {

/// Whether the 8 bytes from `at` on can be read.
bool is_readable(const std::byte* at);
/// Whether a byte can be written. It is zero afterwards if so.
bool is_writable(std::byte* at);
/// Whether there are mappings, of any protection, for all of some whole pages.
bool is_mapped(const std::byte* base, uint64_t bytes);
/// Whether none of some whole pages can be read. Reads /proc, for builds with assertions; true where that cannot be
/// read.
bool is_all_inaccessible(const std::byte* base, uint64_t bytes);

}  // namespace vmrun::vm
