// Runs one module in all ways and says where they part.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "counts.h"
#include "makers.h"
#include "oracle.h"
#include "ways.h"

namespace vmrun::test {

struct Comparison {
  const std::vector<Way>& ways;  // the first one is what the others are compared with
  bool canaries = true;
  /// Whether engines meter; none: for a third of the modules.
  std::optional<bool> fuel = {};
  Oracle* oracle = nullptr;  // that the way "node" asks
  std::string scratch;       // a folder
};

/// Compares all ways on one image, which people know as `name`, in a process of its own, so that a crash is a
/// difference like any other. With `soon` a run that is interrupted is one too.
bool agree(const Comparison& comparison, const std::string& name, const Image& image, uint64_t seed, bool soon);

}  // namespace vmrun::test
