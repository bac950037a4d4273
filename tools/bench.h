// vmrun bench: what tiers make of an image from its cold start to its steady state.
//
// Each setting of -O tier is measured in a process of its own, which runs the image again and again, in a fresh instance
// each time, as `run --repeat` does. A run is an iteration. The parent measures nothing: it starts one process after the
// other and reads what they report (bench_worker.cpp). Other engines are measured alike (bench_peers.cpp).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/run_options.h"

namespace vmrun::tools {

/// What one process reported. Times are in nanoseconds since it was started.
struct BenchRun {
  std::string name;                      // "auto", "node"
  std::string failure;                   // not empty: it could not be measured, because
  int64_t first = 0;                     // the guest's first instruction
  std::optional<int64_t> baseline, opt;  // the first code of these tiers in force
  struct Iteration {
    int64_t begin = 0, end = 0;
  };
  std::vector<Iteration> iterations;
  std::vector<int64_t> pauses;  // lengths of compiles of 100 us and more that a guest waited for
  int64_t compile = 0;          // time of all compiles
  int64_t processor = 0;        // time of all threads
  bool each_in_a_process = false;
};

/// A pause that counts.
inline constexpr int64_t kPause = 100'000;

/// In the worker's process: runs, and reports on the descriptor that the parent has named. Returns its exit status.
int bench_worker(RunOptions& options, const Parsed& parsed, Args args, const char* instructions);
/// What the parent tells it, by this variable: "FD,START,TIER".
inline constexpr const char* kWorkerVariable = "VMRUN_BENCH_WORKER";

/// Nanoseconds of the clock that parent and children share.
int64_t bench_now();

/// Starts `argv` with a pipe as descriptor `fd`, standard output and input at nothing, and `variable` set, and reads what comes
/// out of the pipe. Errors: Io; a failure with the status and the last line on standard error.
Result<std::string> run_reporting(const std::vector<std::string>& argv, const std::string& variable,
                                  const std::string& value, int fd);
inline constexpr int kReportFd = 3;

/// The report of a process, or why there is none.
BenchRun parse_report(const std::string& name, const Result<std::string>& report);

/// The names of other engines that can be measured.
std::string peer_names();
bool is_peer(std::string_view name);
/// Measures another engine. `failure` says what to install where it is missing.
BenchRun bench_peer(const std::string& name, const RunOptions& options, const std::string& image, Args args);

/// Results as text for people, as JSON and as a picture of the work done against time.
std::string bench_text(const std::string& image, const std::vector<BenchRun>& runs);
std::string bench_json(const std::string& image, const std::vector<BenchRun>& runs);
std::string bench_svg(const std::string& image, const std::vector<BenchRun>& runs);

/// The options of `vmrun bench`.
std::span<const OptionRow<RunOptions>> bench_rows();

}  // namespace vmrun::tools
