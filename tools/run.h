// Running an image: the parts of `vmrun run` that are one idea each.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tools/run_options.h"
#include "vmrun/vmrun.h"
#include "vmrun/wasi.h"

namespace vmrun::tools {

/// While it lives, Ctrl-C interrupts `store`, and ends the process if the guest sits in a host call that does not return.
class CtrlC {
 public:
  explicit CtrlC(Store& store);
  ~CtrlC();
  CtrlC(const CtrlC&) = delete;
  CtrlC& operator=(const CtrlC&) = delete;
  bool pressed() const;

 private:
  bool active_ = false;
};

/// Sockets for the guest: those that -S tcplisten asks for, opened here, and those that systemd passed on.
/// Errors: Io, Usage.
Result<std::vector<int>> open_listeners(const RunOptions& options);

/// What the guest is given through WASI. `argv` is its program name and arguments.
WasiConfig make_wasi_config(const RunOptions& options, std::vector<std::string> argv,
                            const std::vector<int>& listeners);

/// Adds what the options grant: arguments, variables, directories, limits. Not the streams.
void grant(WasiConfig& config, const RunOptions& options, std::vector<std::string> argv);

/// Times and figures of one run for --stats and --repeat.
struct RunTimes {
  std::chrono::nanoseconds instantiate{}, run{};
  uint64_t peak_memory = 0;  // bytes of linear memory
};
/// Of run number `run` of `runs`, on standard error.
void print_times(uint64_t run, uint64_t runs, const RunTimes& times);
void print_stats(std::chrono::nanoseconds load, const RunTimes& times, const Module& module);

}  // namespace vmrun::tools
