// See settings.h.
#include "jit/stored/settings.h"

namespace vmrun::jit::stored {

Settings settings_of(const CompileRequest& request, bool guarded, bool metered) {
  const uint32_t common = static_cast<uint32_t>(guarded) | static_cast<uint32_t>(request.count_runs) << 1 |
                          static_cast<uint32_t>(request.polls) << 2 | static_cast<uint32_t>(metered) << 3;
  return {common | static_cast<uint32_t>(request.count_heat) << 8 | static_cast<uint32_t>(request.sample_heat) << 9 |
              static_cast<uint32_t>(request.profile) << 10 | static_cast<uint32_t>(request.check_merges) << 11,
          common | static_cast<uint32_t>(request.inlining) << 8};
}

}  // namespace vmrun::jit::stored
