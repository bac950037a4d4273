// What the system says of this process.
#pragma once

#include <cstdint>

namespace vmrun::engine {

struct ProcessFigures {
  double cpu_seconds = 0;    // user and system
  double start_seconds = 0;  // since 1970
  uint64_t resident_bytes = 0, virtual_bytes = 0;
  uint64_t open_descriptors = 0, most_descriptors = 0;
  uint64_t threads = 0;
};

/// What cannot be read is 0. Any thread. Takes longer the more descriptors are open, some ten microseconds for 100.
ProcessFigures process_figures();

}  // namespace vmrun::engine
