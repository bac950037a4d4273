// -W timeout: what counts, what is said, and that the process ends whatever its streams are connected to.
#include <doctest/doctest.h>

#include "tests/unit/tools/command.h"

namespace vmrun::test {
namespace {

constexpr int kTrap = 134;

TEST_CASE("the time limit's end is told by its length") {
  const auto r = run_vmrun({"-W", "timeout=0.1s", "--invoke", "loop", fixture("stop_spin")});
  CHECK(r.status == kTrap);
  CHECK(r.err.starts_with("vmrun: trap: time limit of 100ms reached\n"));
  for (const auto& [given, told] :
       {std::pair("1ms", "1ms"), {"0.05", "50ms"}, {"1500us", "1500us"}, {"0.001m", "60ms"}}) {
    const auto other = run_vmrun({"-W", std::string("timeout=") + given, "--invoke", "loop", fixture("stop_spin")});
    CHECK(other.status == kTrap);
    CHECK(other.err.starts_with(std::string("vmrun: trap: time limit of ") + told + " reached"));
  }
}

TEST_CASE("a host call that does not return is ended too") {
  const auto waits = run_vmrun({"-W", "timeout=50ms", fixture("cli_wait")});
  CHECK(waits.status == kTrap);
  CHECK(waits.err.starts_with("vmrun: trap: time limit of 50ms reached"));
}

TEST_CASE("the time before the image is there counts") {
  // Nobody ever writes to the pipe.
  TemporaryDirectory dir;
  const auto r =
      run_script("mkfifo \"$1/pipe\"; exec 3<>\"$1/pipe\"; $vmrun -W timeout=100ms \"$1/pipe\"", {dir.path()});
  CHECK(r.status == kTrap);
  CHECK(r.err == "vmrun: trap: time limit of 100ms reached while the image was loaded\n");
}

TEST_CASE("a full pipe that nobody reads does not keep the process alive") {
  // Descriptor 3 is a pipe that is filled before; both streams go there. The status comes out by the script's own output.
  TemporaryDirectory dir;
  const std::string fill =
      "mkfifo \"$1/pipe\"; exec 3<>\"$1/pipe\"; timeout 1 dd if=/dev/zero of=\"$1/pipe\" bs=4096 2>/dev/null; ";
  const auto spins = run_script(fill + "$vmrun -W timeout=100ms --invoke loop \"$2\" >&3 2>&3; echo $?",
                                {dir.path(), fixture("stop_spin")});
  CHECK(spins.out == "134\n");
  TemporaryDirectory other;
  const auto writes =
      run_script(fill + "$vmrun -W timeout=100ms \"$2\" >&3 2>&3; echo $?", {other.path(), fixture("cli_guest")});
  CHECK(writes.out == "134\n");
  // A result that cannot be printed.
  TemporaryDirectory third;
  const auto prints = run_script(fill + "$vmrun -W timeout=100ms --invoke add \"$2\" 1 2 >&3 2>&3; echo $?",
                                 {third.path(), fixture("cli_values")});
  CHECK(prints.out == "134\n");
}

TEST_CASE("each repetition has its time") {
  const auto r = run_vmrun({"-W", "timeout=10s", "--repeat", "3", fixture("cli_empty")});
  CHECK(r.status == 0);
  const auto loops = run_vmrun({"-W", "timeout=200ms", "--repeat", "3", "--invoke", "loop", fixture("stop_spin")});
  CHECK(loops.status == kTrap);
  CHECK(loops.err.find("run 1 of 3") != std::string::npos);
  CHECK(loops.err.find("run 2 of 3") == std::string::npos);
}

}  // namespace
}  // namespace vmrun::test
