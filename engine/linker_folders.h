// The folders of libraries that the linker's own files name, and no environment or run path: those of /etc/ld.so.conf, by
// which the next ldconfig finds libraries, and those of the libraries in /etc/ld.so.cache, where the linker finds them now.
#pragma once

#include <filesystem>

#include "engine/protected_places.h"

namespace vmrun::engine {

/// Adds these folders, the two files, and the files that the first one includes. Neither has to be there; what cannot be
/// read is left out.
void add_linker_folders(ProtectedPlaces& places, const std::filesystem::path& config,
                        const std::filesystem::path& cache);

}  // namespace vmrun::engine
