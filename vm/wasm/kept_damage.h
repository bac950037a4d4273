// Whether a copy of an image has turned out to be damaged, so that whoever keeps copies can make it anew.
#pragma once

#include <cstdint>

namespace vmrun::vm {

/// Pieces of mapped images (Image::map) that were damaged, and had from the image's own file, since the process began. The
/// log tells of the first one. Any thread.
uint64_t damaged_pieces();

}  // namespace vmrun::vm
