// Guests that never end by themselves: -W timeout and Ctrl-C.
#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <string>
#include <string_view>

#include "tests/unit/tools/command.h"

namespace vmrun::test {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr int kTrap = 134, kCtrlC = 130;

/// The options that choose how the guest runs.
const std::vector<std::vector<std::string>> kModes = {
    {},
    {"-O", "tier=steps"},
    {"-O", "tier=interp,effort=quick"},
    {"-O", "tier=interp,effort=careful"},
    {"-O", "tier=baseline"},
    {"-O", "tier=opt"},
};

std::vector<std::string> join(std::vector<std::string> args, const std::vector<std::string>& more) {
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

/// Stops a guest after `first` milliseconds, and later and later while it had not begun by then, so that `told` is not
/// on its standard error: loading the optimising compiler on a busy machine takes longer than a test wants to wait each
/// time.
template <class Stopped>
CommandResult stopped_in_the_guest(int first, const Stopped& stopped_after, const char* told = "0: spin!") {
  for (int after = first;; after *= 4) {
    CommandResult r = stopped_after(after);
    if (r.err.find(told) != std::string::npos || after > 20'000) return r;
  }
}

/// Whether guests are stopped by signals, as they are but where ThreadSanitizer keeps these back while code runs that it
/// does not know.
constexpr bool kSignals = !__has_feature(thread_sanitizer);

/// An exported function of stop_spin.wat, none of which returns.
const char* const kEndless[] = {"loop",   "nested", "calls",  "tail_calls", "indirect",
                                "memory", "grow",   "throws", "bulk",       "table"};

TEST_CASE("a guest that takes too long is interrupted, wherever it is") {
  for (const auto& mode : kModes) {
    for (const char* name : kEndless) {
      CAPTURE(name);
      const auto start = Clock::now();
      const auto r = stopped_in_the_guest(100, [&](int after) {
        const std::string timeout = "timeout=" + std::to_string(after) + "ms";
        return run_vmrun(join(mode, {"-W", timeout, "--invoke", name, fixture("stop_spin")}));
      });
      CHECK(r.status == kTrap);
      CHECK(r.err.find("vmrun: trap: time limit of ") == 0);
      CHECK(r.err.find("0: spin!") != std::string::npos);
      CHECK(r.err.find("@ 0x0\n") == std::string::npos);
      CHECK(Clock::now() - start >= 100ms);
    }
  }
}

TEST_CASE("an alarm of the parent's does what it does to any program") {
  const std::string alarm = "(sleep 0.5; kill -ALRM $$) & exec \"$vmrun\" -W timeout=20s --invoke loop \"$1\"";
  CommandResult r = run_script(alarm, {fixture("stop_spin")});
  CHECK(r.status == -SIGALRM);
  CHECK(r.err == "");
  r = run_script("trap '' ALRM; (sleep 0.5; kill -ALRM $$) & exec \"$vmrun\" -W timeout=2s --invoke loop \"$1\"",
                 {fixture("stop_spin")});
  CHECK(r.status == kTrap);
  CHECK(r.err.find("vmrun: trap: time limit of 2s reached") == 0);
}

TEST_CASE("a guest in the middle of an instruction that has gigabytes to do is interrupted there") {
  for (const auto& mode : kModes) {
    for (const std::string name : {"fill", "fill64", "copy", "copy64"}) {
      CAPTURE(name);
      const std::string frame = "0: spin!" + name + " @ 0x";
      const auto r = stopped_in_the_guest(
          100,
          [&](int after) {
            const std::string timeout = "timeout=" + std::to_string(after) + "ms";
            return run_vmrun(join(mode, {"-W", timeout, "--invoke", name, fixture("stop_bulk")}));
          },
          frame.c_str());
      CHECK(r.status == kTrap);
      CHECK(r.err.find("vmrun: trap: time limit of ") == 0);
      CHECK(r.err.find("did not return") == std::string::npos);
      CHECK(r.err.find(frame) != std::string::npos);
    }
  }
}

TEST_CASE("Ctrl-C ends a guest with a backtrace") {
  if (!kSignals) {
    MESSAGE("skipped: the signal would be kept back");
    return;
  }
  for (const auto& mode : kModes) {
    for (const char* name : {"loop", "calls"}) {
      CAPTURE(name);
      const auto r = stopped_in_the_guest(150, [&](int after) {
        return run_vmrun_with_ctrl_c(join(mode, {"--invoke", name, fixture("stop_spin")}), after);
      });
      CHECK(r.status == kCtrlC);
      CHECK(r.err.find("vmrun: trap: interrupted") != std::string::npos);
      CHECK(r.err.find("0: spin!") != std::string::npos);
      CHECK(r.err.find("spin!" + std::string(name) + " @ 0x") != std::string::npos);
    }
  }
}

TEST_CASE("a guest that waits in the host is given up on") {
  // Its time is up before it waits, on a busy machine: then it is not stopped in the host, and ends all the same.
  const auto late = stopped_in_the_guest(
      50, [](int after) { return run_vmrun({"-W", "timeout=" + std::to_string(after) + "ms", fixture("cli_wait")}); },
      "time limit");
  CHECK(late.status == kTrap);
  CHECK(late.err.find("vmrun: trap: time limit of ") == 0);
  const auto pressed = stopped_in_the_guest(
      100, [](int after) { return run_vmrun_with_ctrl_c({fixture("cli_wait")}, after); }, "interrupted");
  CHECK(pressed.status == kCtrlC);
  CHECK(pressed.err.find("interrupted") != std::string::npos);
}

TEST_CASE("a guest that is in time is left alone") {
  CHECK(run_vmrun({"-W", "timeout=1m", fixture("cli_empty")}).status == 0);
  CHECK(run_vmrun({"-W", "timeout=soon", fixture("cli_empty")}).status == 2);
}

}  // namespace
}  // namespace vmrun::test
