// --profile: what is collected while guests run, and the files that are written of it.
//
// Two kinds, which may be asked for together: samples of guests for other tools (guest,FILE) and vmrun's own dump
// (FILE.json, docs/profiling.md), which has the samples too. A dump is written again at an interval and at SIGUSR2, by a
// thread that does nothing else, and at the end.
//
// What cannot be collected or written is told once, as a warning: the guests run all the same.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tools/run_options.h"
#include "vmrun/executor.h"
#include "vmrun/module.h"
#include "vmrun/profile.h"

namespace vmrun::tools {

/// A value of --profile that is neither perfmap nor jitdump. Errors: Usage.
Result<void> set_profile_file(RunOptions& options, std::string_view value);

/// Before there is a second thread: SIGUSR2 is for the thread that writes dumps, if there are to be any.
void keep_dump_signal(const RunOptions& options);

/// What a dump says besides what it measures.
struct DumpSubject {
  std::vector<std::string> command;
  std::vector<std::pair<std::string, Module>> modules;  // with their images as on the command line
  const Executor* executor = nullptr;                   // null: there is none
  uint64_t peak_memory = 0;                             // bytes of linear memory, once it is known
};

/// How far the guests were when a dump was written.
struct DumpEnd {
  const char* by;  // "end", "failure", "time limit", "interrupt", "signal" or "interval"
  std::optional<int> status;
};

/// The dump as JSON; docs/profile.schema.json says what is in it.
std::string dump_text(const RunOptions& options, const DumpSubject& subject, const GuestProfile* samples,
                      std::chrono::system_clock::time_point start, std::chrono::nanoseconds duration,
                      const DumpEnd& end);

/// From before the first module is compiled to the end of the last guest.
class Profiling {
 public:
  /// After the engine. `image` and `args` as on the command line.
  Profiling(const RunOptions& options, std::string_view image, Args args);
  ~Profiling();
  Profiling(const Profiling&) = delete;
  Profiling& operator=(const Profiling&) = delete;

  /// Adds a module that guests run.
  void add(const std::string& image, const Module& module);
  /// Whose counters belong into the dump; it outlives finish().
  void watch(const Executor& executor);
  /// What was sampled so far; none: nothing is sampled, or something is being written. Any thread.
  std::optional<GuestProfile> samples();
  /// Writes what there is to be, for the last time. Any thread, once.
  void finish(const DumpEnd& end, uint64_t peak_memory = 0);

 private:
  void serve();
  void write_dump(const DumpEnd& end);
  void complain(const Result<void>& done);
  /// What has been sampled, with its places in the source.
  GuestProfile take() const;

  const RunOptions& options_;
  std::timed_mutex mutex_;  // all below
  DumpSubject subject_;
  std::optional<GuestProfiler> profiler_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::chrono::system_clock::time_point start_ = std::chrono::system_clock::now();
  bool dumps_ = false, finished_ = false, complained_ = false;
  std::thread thread_;
};

}  // namespace vmrun::tools
