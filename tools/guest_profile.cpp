// --profile=guest; see guest_profile.h.
#include "tools/guest_profile.h"

#include "tools/output_file.h"
#include "tools/report.h"

namespace vmrun::tools {
namespace {

struct Ending {
  const char* text;
  ProfileFormat format;
};
/// By the ends of file names, the longest first.
constexpr Ending kEndings[] = {
    {".trace.json", ProfileFormat::Trace}, {".json", ProfileFormat::Speedscope}, {".folded", ProfileFormat::Folded},
    {".pprof", ProfileFormat::Pprof},      {".pb", ProfileFormat::Pprof},
};

std::optional<ProfileFormat> format_of(std::string_view file) {
  for (const Ending& ending : kEndings) {
    if (file.ends_with(ending.text)) return ending.format;
  }
  return std::nullopt;
}

}  // namespace

Result<void> set_guest_profile(RunOptions& o, std::string_view value) {
  RunOptions::GuestSamples samples;
  if (const size_t comma = value.find(','); comma != value.npos) {
    std::string_view rest = value.substr(comma + 1);
    // A file's name may hold a comma: what follows the last one is an interval if it can be one.
    const size_t last = rest.rfind(',');
    if (last != rest.npos) {
      const auto interval = parse_duration(rest.substr(last + 1));
      if (!interval) return interval.error();
      if (*interval < std::chrono::microseconds(50) || *interval > std::chrono::seconds(10)) {
        return usage_error("the interval must be between 50us and 10s");
      }
      samples.interval = *interval;
      rest = rest.substr(0, last);
    }
    samples.file = rest;
  }
  const auto format = format_of(samples.file);
  if (!format) {
    return usage_error("'" + samples.file +
                       "' says by its end what it is to be: .folded (stacks as text), .pprof or .pb (pprof), .json "
                       "(speedscope) or .trace.json (Perfetto)");
  }
  samples.format = *format;
  o.guest_samples = std::move(samples);
  return {};
}

GuestProfileFile::GuestProfileFile(const RunOptions& options) : options_(options) {
  if (!options.guest_samples) return;
  if (auto fine = check_writable(options.guest_samples->file); !fine) {
    warn(fine.error().message + "; there will be no profile");
    return;
  }
  auto profiler = GuestProfiler::start(options.guest_samples->interval);
  if (!profiler) {
    warn(profiler.error().message);
    return;
  }
  profiler_.emplace(std::move(*profiler));
}

void GuestProfileFile::write() {
  if (!profiler_) return;
  const GuestProfile profile = profiler_->take();
  profiler_.reset();
  if (auto done = write_whole_file(options_.guest_samples->file, profile_text(profile, options_.guest_samples->format));
      !done) {
    warn(done.error().message);
  }
}

}  // namespace vmrun::tools
