// Several guests at once: --instances, --also, --workers and --pin.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/unit/tools/background.h"

namespace vmrun::test {
namespace {

constexpr int kTrap = 134, kCtrlC = 130;

bool has(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

size_t times(const std::string& text, std::string_view part) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) ++count;
  return count;
}

void refused(const std::vector<std::string>& args, std::string_view message) {
  const auto r = run_vmrun(args);
  CAPTURE(r.err);
  CHECK(r.status == 2);
  CHECK(r.out.empty());
  CHECK(has(r.err, message));
}

TEST_CASE("one guest on a worker is run as without") {
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{}, {"--workers", "1"}, {"--pin"}, {"--instances", "1"}}) {
    const auto run = [&](std::vector<std::string> args) {
      args.insert(args.begin(), options.begin(), options.end());
      return run_vmrun(args);
    };
    auto r = run({fixture("cli_guest"), "a b", "exit:3"});
    CHECK(r.status == 3);
    CHECK(r.out == "arg cli_guest.wasm\narg a b\narg exit:3\n");
    CHECK(r.err.empty());
    r = run({"--invoke", "divide", fixture("cli_traps"), "6", "0"});
    CHECK(r.status == kTrap);
    CHECK(r.err.starts_with("vmrun: trap: integer divide by zero\n    0: "));
    r = run({"--invoke", "add", fixture("cli_values"), "1", "2"});
    CHECK(r.out == "3\n");
  }
}

TEST_CASE("guests wait for no other that has lost its processor in opening what all have") {
  // The first guest with an empty input opens the null device, which takes 0.3 s here: long enough for the monitor to give
  // its processor to the others. They once stood at the lock of a static that it was suspended with, with all threads.
  const auto r = run_script(
      "slow() { timeout -s KILL 60 strace -f -qq -o /dev/null -P /dev/null -e trace=openat -e "
      "inject=openat:delay_exit=300000 \"$@\"; }\n"
      "slow true || exit 99\n"
      "slow \"$1\" --instances 8 --workers \"$3\" \"$2\" exit:3 </dev/null",
      {VMRUN_COMMAND, fixture("cli_guest"), "2"});
  if (r.status == 99) {
    MESSAGE("skipped: no test of a slow null device, strace is not installed or may not trace");
    return;
  }
  CAPTURE(r.err);
  CHECK(r.status == 3);
  CHECK(times(r.out, "arg exit:3") == 8);
}

TEST_CASE("a start function that fails is run once") {
  const auto alone = run_vmrun({fixture("cli_start_spawn")});
  const auto on_worker = run_vmrun({"--workers", "1", fixture("cli_start_spawn")});
  CHECK(alone.out == "start\n");
  CHECK(alone.status == 1);
  CHECK(has(alone.err, "exports no function wasi_thread_start"));
  CHECK(on_worker.out == alone.out);
  CHECK(on_worker.status == alone.status);
  CHECK(on_worker.err == alone.err);
}

TEST_CASE("several guests of one image") {
  const auto r =
      run_vmrun({"--instances", "50", "--workers", "2", "--pin", "--invoke", "add", fixture("cli_values"), "1", "2"});
  CHECK(r.status == 0);
  CHECK(r.err.empty());
  CHECK(times(r.out, "3\n") == 50);
}

TEST_CASE("several images, each with arguments of its own") {
  const std::string guest = fixture("cli_guest");
  const auto r = run_vmrun({"--also", guest, "--arg", "--second", "--arg", "x", "--also", guest, "--arg", "third",
                            "--instances", "2", guest, "--first", "--also", "y"});
  CHECK(r.status == 0);
  CHECK(r.err.empty());
  // A guest writes each line for itself, and those of others come between.
  for (const char* line : {"--first", "--also", "y"}) CHECK(times(r.out, std::string("arg ") + line + "\n") == 2);
  for (const char* line : {"--second", "x", "third"}) CHECK(times(r.out, std::string("arg ") + line + "\n") == 1);
  CHECK(times(r.out, "arg cli_guest.wasm\n") == 4);
}

TEST_CASE("what of several guests cannot be meant") {
  const std::string image = fixture("cli_empty");
  refused({"--arg", "x", image}, "'--arg': is for the image of an --also before it");
  refused({"--instances", "0", image}, "must be from 1 to 1000000");
  refused({"--workers", "0", image}, "must be from 1 to 4096");
  refused({"--repeat", "2", "--instances", "2", image}, "--repeat runs a guest again and again");
  refused({"--also", "-", "-"}, "standard input is named as 2 images");
  refused({"--also", fixture("stop_spin"), image}, "stop_spin.wasm has no _start, but --also runs programs");
  // Of all guests alike, and told once.
  for (const std::vector<std::string>& args : {std::vector<std::string>{"--invoke", "nope", fixture("cli_values")},
                                               {"--invoke", "add", fixture("cli_values"), "1"},
                                               {fixture("stop_spin")}}) {
    std::vector<std::string> all{"--instances", "3"};
    all.insert(all.end(), args.begin(), args.end());
    const auto one = run_vmrun(args), three = run_vmrun(all);
    CHECK(three.status == 2);
    CHECK(three.err == one.err);
  }
}

TEST_CASE("a failure names its guest; the status is that of the first") {
  const std::string guest = fixture("cli_guest");
  auto r = run_vmrun({"--also", guest, "--arg", "exit:9", guest});
  CHECK(r.status == 9);
  CHECK(r.err == "vmrun: guest 2 (cli_guest.wasm): ended with status 9\n");
  r = run_vmrun({"--instances", "2000", "--invoke", "divide", fixture("cli_traps"), "6", "0"});
  CHECK(r.status == kTrap);
  CHECK(r.err.starts_with("vmrun: guest "));
  CHECK(has(r.err, "(cli_traps.wasm): trap: integer divide by zero\n    0: "));
  CHECK(r.err.ends_with("vmrun: 1999 more guests failed\n"));
  CHECK(times(r.err, "trap:") == 1);
  // The others run to their ends.
  r = run_vmrun({"--also", guest, "--arg", "exit:9", "--instances", "20", "--workers", "1", guest, "on"});
  CHECK(r.status == 9);
  CHECK(times(r.out, "arg on\n") == 20);
}

TEST_CASE("a time limit is each guest's own") {
  const auto r = run_vmrun({"-W", "timeout=1s", "--also", fixture("cli_guest"), "--arg", "in time", "--instances", "3",
                            "--invoke", "loop", fixture("stop_spin")});
  CHECK(r.status == kTrap);
  CHECK(has(r.out, "arg in time\n"));
  CHECK(has(r.err, "(stop_spin.wasm): trap: time limit of 1s reached\n    0: spin!loop @ 0x"));
  CAPTURE(r.err);
  CHECK(r.err.ends_with("vmrun: 2 more guests failed\n"));
  const auto waits = run_vmrun({"-W", "timeout=50ms", "--instances", "2", fixture("cli_wait")});
  CHECK(waits.status == kTrap);
  CHECK(has(waits.err, "time limit of 50ms reached\n    0: cli_wait.wasm!_start @ 0x"));
}

TEST_CASE("the first guest gets standard input, the others none") {
  const auto r = run_script("printf 12345 | $vmrun --instances 3 \"$1\" | sort", {fixture("many_input")});
  CHECK(r.out == "0\n0\n5\n");
}

TEST_CASE("what a guest writes in one call comes out in one piece") {
  const std::string image = fixture("many_blocks");
  std::vector<std::string> args;
  for (const char* letter : {"b", "c", "d"}) {
    for (const std::string& arg : {std::string("--also"), image, std::string("--arg"), std::string(letter),
                                   std::string("--arg"), std::string("20")}) {
      args.push_back(arg);
    }
  }
  args.insert(args.end(), {"--workers", "2", image, "a", "20"});
  const auto r = run_vmrun(args);  // a pipe holds a third of a block
  CHECK(r.status == 0);
  constexpr size_t kBlock = 200'000;
  REQUIRE(r.out.size() == 80 * kBlock);
  size_t whole = 0;
  for (size_t at = 0; at < r.out.size(); at += kBlock) {
    const std::string_view block = std::string_view(r.out).substr(at, kBlock);
    whole += block.find_first_not_of(block[0]) == kBlock - 1 && block.back() == '\n';
  }
  CHECK(whole == 80);
}

TEST_CASE("a guest that waits for its turn to write is interrupted") {
  // Nobody reads: one guest waits for the reader, the others for it. The one has written a part, and may end by itself
  // when it sees that.
  CommandResult r;
  for (int after = 50; after < 20'000 && !has(r.err, "waits for mutex"); after *= 4) {
    Background run({"--instances", "4", fixture("many_blocks"), "a", "1000"});
    CHECK(run.read_some(1) == "a");
    std::this_thread::sleep_for(std::chrono::milliseconds(after));
    run.signal(SIGINT);
    r = run.wait();
  }
  CAPTURE(r.err);
  CHECK(r.status == kCtrlC);
  CHECK(has(r.err, "many_blocks.wasm): waits for mutex"));
  CHECK(!has(r.err, "did not stop"));
}

/// Ctrl-C, pressed when all guests are likely to have begun; later, if they had not.
template <class Done>
CommandResult interrupted_when(const std::vector<std::string>& args, Done done) {
  for (int after = 200;; after *= 4) {
    CommandResult r = run_vmrun_with_ctrl_c(args, after);
    if (done(r) || after > 20'000) return r;
  }
}

TEST_CASE("Ctrl-C tells where each guest was") {
  const auto r = interrupted_when(
      {"--workers", "2", "--instances", "3", "--also", fixture("cli_wait"), "--invoke", "loop", fixture("stop_spin")},
      [](const CommandResult& r) {
        return times(r.err, "0: spin!loop @ 0x") != 0 && has(r.err, "cli_wait.wasm!_start");
      });
  CAPTURE(r.err);
  CHECK(r.status == kCtrlC);
  CHECK(r.err.starts_with("vmrun: interrupted: 4 guests\n"));
  CHECK(has(r.err, "(stop_spin.wasm): runs\n    0: spin!loop @ 0x"));
  CHECK(has(r.err, "vmrun: guest 4 (cli_wait.wasm): waits for its deadline\n    0: cli_wait.wasm!_start @ 0x"));
  CHECK(!has(r.err, "did not stop"));
}

TEST_CASE("Ctrl-C tells of 10,000 guests by their places") {
  const auto r = interrupted_when({"--instances", "10000", fixture("cli_wait")}, [](const CommandResult& r) {
    return has(r.err, "guests 1 to 10000 (cli_wait.wasm): waits");
  });
  CAPTURE(r.err.substr(0, 2000));
  CHECK(r.status == kCtrlC);
  CHECK(r.err.starts_with("vmrun: interrupted: 10000 guests\n"));
  CHECK(
      has(r.err, "vmrun: guests 1 to 10000 (cli_wait.wasm): waits for its deadline\n    0: cli_wait.wasm!_start @ 0x"));
  CHECK(std::ranges::count(r.err, '\n') == 3);
}

TEST_CASE("a second Ctrl-C ends the process at once") {
  // Its report goes to a full pipe that nobody reads.
  const auto r = run_script(R"(
    pipe=$(mktemp -u); mkfifo "$pipe"; trap 'rm -f "$pipe"' EXIT
    exec 9<>"$pipe"
    dd if=/dev/zero of="$pipe" bs=1 oflag=nonblock 2>/dev/null
    for times in 1 2; do
      env --default-signal=INT $vmrun --instances 2 "$1" 2>&9 & child=$!
      until awk '/^Threads/ { exit $2 < 3 }' /proc/$child/status; do sleep 0.01; done
      for i in $(seq $times); do kill -s INT $child; sleep 0.05; done
      wait $child; echo $?
    done)",
                            {fixture("cli_wait")});
  CHECK(r.out == "130\n130\n");
}

TEST_CASE("--stats tells what the scheduler did") {
  const auto r = run_vmrun({"--stats", "--workers", "2", "--instances", "30", fixture("cli_guest")});
  CHECK(r.status == 0);
  CHECK(has(r.err, "\nguests                       30, 0 failed\n"));
  CHECK(has(r.err, "\nscheduler                    2 workers, "));
  CHECK(has(r.err, "\ntasks                        30 spawned, "));
  for (const char* word : {" switches, ", " parks, ", " preemptions, ", " steals\n"}) CHECK(has(r.err, word));
  CHECK(!has(run_vmrun({"--stats", fixture("cli_guest")}).err, "scheduler"));
}

}  // namespace
}  // namespace vmrun::test
