// vmrun top: what a running vmrun is doing, by what it says of itself (tools/observer.h).
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "vmrun/base/result.h"

namespace vmrun::tools {

/// A process that may be looked at: the caller's own, and a vmrun by its executable's name.
struct RunningVmrun {
  int pid;
  std::string command;  // its command line
};
std::vector<RunningVmrun> running_vmruns();

enum class TopSort : uint8_t { Processor, Memory, Age, State, Name };
inline constexpr const char* kTopSorts[] = {"cpu", "memory", "age", "state", "name"};

/// What the process says of itself now. Knocks, where it does not listen yet. `sample`: its guests are to be sampled from now
/// on, for a few seconds. `sort`: which of more tasks than an answer has are wanted. Errors: Io (there is no such process, it is somebody else's, it does not answer), Unsupported
/// (another program, another version), Malformed.
Result<nlohmann::json> ask_vmrun(int pid, bool sample, TopSort sort);

struct TopLook {
  size_t width = 100;
  size_t height = 0;  // lines; 0: as many as there are
  TopSort sort = TopSort::Processor;
};
/// The screen as lines of text: `now`, with rates since `before`, which was asked `seconds` earlier. Nothing of what the
/// process says is taken as a command for the terminal.
std::vector<std::string> top_screen(const nlohmann::json& before, const nlohmann::json& now, double seconds,
                                    const TopLook& look);

}  // namespace vmrun::tools
