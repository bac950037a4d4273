// Running an image: the parts of `vmrun run` that are one idea each.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tools/deadline.h"
#include "tools/program.h"
#include "tools/run_options.h"
#include "vmrun/executor.h"
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

/// While it lives, Ctrl-C adds to the eventfd `event` and sets a flag. The second one ends the process.
class CtrlCEvent {
 public:
  explicit CtrlCEvent(int event);
  ~CtrlCEvent();
  CtrlCEvent(const CtrlCEvent&) = delete;
  CtrlCEvent& operator=(const CtrlCEvent&) = delete;
  bool pressed() const;

 private:
  bool active_ = false;
};

/// Guests on threads of a scheduler: what --workers, --pin, --instances and --also ask for. `deadline` is for loading;
/// each guest has a time limit of its own. Returns the exit status.
int run_many(const RunOptions& options, const Parsed& parsed, Args args, std::optional<Deadline>& deadline);

/// Makes `program` that of the command line: with --argv0, --invoke and `args`.
void give_arguments(Program& program, Args args);

/// Tells the tools of --profile and -D gdb about machine code. Before an engine is made.
Result<void> announce(const RunOptions& options);

/// Sockets for the guest: those that -S tcplisten asks for, opened here, and those that systemd passed on. Where there are
/// any, the process may have as many descriptors as its hard limit allows afterwards. Before anything else is opened:
/// what was passed has the numbers behind the standard streams. Errors: Io, Usage.
Result<std::vector<int>> open_listeners(const RunOptions& options);

/// How many descriptors a guest may have that listens, if nobody says.
uint32_t descriptors_of_server();

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

/// The same of guests on a scheduler.
struct ManyFigures {
  std::chrono::nanoseconds load{}, wall{};        // wall: from the first guest's start to the last one's end
  std::chrono::nanoseconds instantiate{}, run{};  // of all guests together, waiting included
  uint64_t guests = 0, failed = 0;
  uint64_t largest_memory = 0;  // bytes of the largest guest's linear memories
  ExecutorStats tasks{};
  const char* io = "";
};
void print_many_stats(const ManyFigures& figures, std::span<const Program> programs);

}  // namespace vmrun::tools
