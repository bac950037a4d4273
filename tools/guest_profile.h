// --profile=guest: samples the guests of a command and writes the profile at its end.
#pragma once

#include <optional>

#include "tools/run_options.h"
#include "vmrun/profile.h"

namespace vmrun::tools {

/// The value "guest[,FILE[,INTERVAL]]" of --profile. Errors: Usage.
Result<void> set_guest_profile(RunOptions& options, std::string_view value);

/// From the first engine on. What cannot be profiled or written is told once, as a warning: the guests run all the same.
class GuestProfileFile {
 public:
  explicit GuestProfileFile(const RunOptions& options);
  /// Writes the file; once. Any thread.
  void write();

 private:
  const RunOptions& options_;
  std::optional<GuestProfiler> profiler_;
};

}  // namespace vmrun::tools
