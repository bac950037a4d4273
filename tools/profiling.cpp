// Collecting and writing profiles; see profiling.h.
#include "tools/profiling.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>

#include "tools/output_file.h"
#include "tools/report.h"

namespace vmrun::tools {
namespace {

using std::chrono::nanoseconds;

/// How often a dump samples, where nobody says: some two hundred times a second.
constexpr nanoseconds kDumpInterval = std::chrono::microseconds(4900);

/// A dump that is being written keeps the process from ending for so long at most.
constexpr std::chrono::milliseconds kPatience{300};

constexpr int kDumpSignal = SIGUSR2;

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

/// Splits "FILE,TIME"; the time is empty where there is none. A file's name may hold commas before the last.
Result<std::optional<nanoseconds>> split_time(std::string_view& value, nanoseconds least, nanoseconds most,
                                              const char* bounds) {
  const size_t comma = value.rfind(',');
  if (comma == value.npos) return std::optional<nanoseconds>();
  const auto time = parse_duration(value.substr(comma + 1));
  if (!time) return time.error();
  if (*time < least || *time > most) return usage_error(std::string("the interval must be between ") + bounds);
  value = value.substr(0, comma);
  return std::optional(*time);
}

Result<void> set_guest_samples(RunOptions& o, std::string_view value) {
  RunOptions::GuestSamples samples;
  if (const size_t comma = value.find(','); comma != value.npos) {
    std::string_view file = value.substr(comma + 1);
    auto interval = split_time(file, std::chrono::microseconds(50), std::chrono::seconds(10), "50us and 10s");
    if (!interval) return interval.error();
    if (*interval) samples.interval = **interval;
    samples.file = file;
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

}  // namespace

Result<void> set_profile_file(RunOptions& o, std::string_view v) {
  if (v == "guest" || v.starts_with("guest,")) return set_guest_samples(o, v);
  std::string_view file = v;
  RunOptions::Dump dump;
  if (v.find(".json") != v.npos) {
    auto every = split_time(file, std::chrono::milliseconds(10), std::chrono::hours(24), "10ms and 24h");
    if (!every) return every.error();
    dump.every = *every;
  }
  if (!file.ends_with(".json")) {
    return usage_error("'" + std::string(v) +
                       "' is none of guest, perfmap, jitdump and a file's name that ends in .json");
  }
  dump.file = file;
  o.dump = std::move(dump);
  return {};
}

void keep_dump_signal(const RunOptions& options) {
  if (!options.dump) return;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, kDumpSignal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Profiling::Profiling(const RunOptions& options, std::string_view image, Args args) : options_(options) {
  if (!options.dump && !options.guest_samples) return;
  subject_.command = {std::string(image)};
  subject_.command.insert(subject_.command.end(), args.begin(), args.end());
  bool samples = false;
  if (options.guest_samples) {
    auto fine = check_writable(options.guest_samples->file);
    samples = static_cast<bool>(fine);
    if (!fine) warn(fine.error().message + "; there will be no profile");
  }
  if (options.dump) {
    auto fine = check_writable(options.dump->file);
    dumps_ = static_cast<bool>(fine);
    if (!fine) warn(fine.error().message + "; there will be no dump");
  }
  if (samples || dumps_) {
    auto profiler = GuestProfiler::start(options.guest_samples ? options.guest_samples->interval : kDumpInterval);
    if (profiler) {
      profiler_.emplace(std::move(*profiler));
    } else {
      warn(profiler.error().message);
    }
  }
  if (!dumps_) return;
  record_compiles();
  before_sudden_end([this] { finish({"time limit", kExitTrap}); });
  thread_ = std::thread([this] { serve(); });
}

Profiling::~Profiling() {
  before_sudden_end({});
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    finished_ = true;
  }
  pthread_kill(thread_.native_handle(), kDumpSignal);
  thread_.join();
}

void Profiling::add(const std::string& image, const Module& module) {
  if (!dumps_ && !profiler_) return;
  std::lock_guard lock(mutex_);
  const auto same = [&](const auto& known) { return known.second.impl() == module.impl(); };
  if (std::ranges::none_of(subject_.modules, same)) subject_.modules.emplace_back(image, module);
}

void Profiling::watch(const Executor& executor) {
  std::lock_guard lock(mutex_);
  subject_.executor = &executor;
}

/// The thread's: waits for the signal, for as long as the interval says.
void Profiling::serve() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, kDumpSignal);
  const std::optional<nanoseconds> every = options_.dump->every;
  while (true) {
    int got = kDumpSignal;
    if (every) {
      timespec time{};
      time.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(*every).count();
      time.tv_nsec = (*every % std::chrono::seconds(1)).count();
      got = sigtimedwait(&set, nullptr, &time);
    } else {
      sigwait(&set, &got);
    }
    std::lock_guard lock(mutex_);
    if (finished_) return;
    write_dump({got == kDumpSignal ? "signal" : "interval", std::nullopt});
  }
}

void Profiling::complain(const Result<void>& done) {
  if (done || complained_) return;
  complained_ = true;
  warn(done.error().message);
}

GuestProfile Profiling::take() const {
  GuestProfile profile = profiler_->take();
  for (const auto& [image, module] : subject_.modules) add_sources(profile, module);
  return profile;
}

void Profiling::write_dump(const DumpEnd& end) {
  std::optional<GuestProfile> samples;
  if (profiler_) samples = take();
  complain(write_whole_file(options_.dump->file, dump_text(options_, subject_, samples ? &*samples : nullptr, start_,
                                                           std::chrono::steady_clock::now() - begin_, end)));
}

std::optional<GuestProfile> Profiling::samples() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || !profiler_) return std::nullopt;
  return profiler_->take();
}

void Profiling::finish(const DumpEnd& end, uint64_t peak_memory) {
  std::unique_lock lock(mutex_, kPatience);
  if (!lock || finished_) return;
  finished_ = true;
  subject_.peak_memory = peak_memory;
  if (dumps_) write_dump(end);
  if (profiler_ && options_.guest_samples) {
    const RunOptions::GuestSamples& samples = *options_.guest_samples;
    complain(write_whole_file(samples.file, profile_text(take(), samples.format)));
  }
  profiler_.reset();
}

}  // namespace vmrun::tools
