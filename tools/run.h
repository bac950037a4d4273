// Running an image: the parts of `vmrun run` that are one idea each.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tools/run_options.h"
#include "vmrun/vmrun.h"
#include "vmrun/wasi.h"

namespace vmrun::tools {

/// Interrupts `store` when `limit` is over, unless destroyed before. A guest that sits in a host call then (reading a
/// terminal, sleeping) cannot see the interrupt: the process ends as if it had trapped.
class Deadline {
 public:
  Deadline(Store& store, std::chrono::nanoseconds limit);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

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

/// Times and figures of one run for --stats and --repeat.
struct RunTimes {
  std::chrono::nanoseconds instantiate{}, run{};
  uint64_t peak_memory = 0;  // bytes of linear memory
};
void print_stats(std::chrono::nanoseconds load, const RunTimes& times, const Module& module);

}  // namespace vmrun::tools
