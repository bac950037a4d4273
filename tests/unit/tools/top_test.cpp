// vmrun top: what it shows of a vmrun that runs, whatever that is at, and what it says where there is nothing to look at.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/unit/tools/background.h"
#include "tests/unit/tools/command.h"
#include "tests/unit/tools/pages.h"

namespace vmrun::test {
namespace {

using Json = nlohmann::json;

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
constexpr bool kHears = false;  // the sanitizer keeps signals from guests
#else
constexpr bool kHears = true;
#endif

Json look_at(int pid, std::vector<std::string> more = {}) {
  std::vector<std::string> args{"top", "--once", "--json", std::to_string(pid)};
  args.insert(args.end(), more.begin(), more.end());
  const auto r = run_vmrun(args);
  CHECK(r.err == "");
  CHECK(r.status == 0);
  return Json::parse(r.out, nullptr, false);
}

double number(const Json& answer, const std::string& name, const std::string& label) {
  for (const Json& metric : answer["metrics"]) {
    if (metric["name"] != name) continue;
    for (const Json& value : metric["values"]) {
      for (const auto& [key, text] : value["labels"].items()) {
        if (text == label) return value["value"];
      }
    }
  }
  return -1;
}

/// Waits until the guest's process answers, as one that has begun to run does.
void wait_for(int pid) {
  for (int i = 0; i < 60; ++i) {
    if (run_vmrun({"top", "--once", "--json", std::to_string(pid)}).status == 0) return;
  }
  FAIL("process " << pid << " does not answer");
}

TEST_CASE("a guest that was started without a thought of it is looked at, in each tier") {
  if (!kHears) return;
  for (const char* tier : {"interp", "baseline", "opt", "auto"}) {
    CAPTURE(tier);
    Background guest({"run", "-O", std::string("tier=") + tier, "--invoke", "calls", fixture("stop_spin")});
    wait_for(guest.pid());
    const Json answer = look_at(guest.pid());
    CHECK(answer["format"] == "vmrun-top");
    CHECK(answer["version"] == 1);
    CHECK(answer["pid"] == guest.pid());
    CHECK(answer["command"] == Json({fixture("stop_spin")}));
    CHECK(number(answer, "vmrun_guests", "running") == 1);
    CHECK(answer["tasks"][0]["name"] == "guest");
    CHECK(answer["sampling"].is_null());
    guest.signal(SIGINT);
    CHECK(guest.wait().status == 130);
  }
}

TEST_CASE("a guest that waits is looked at, and does not notice") {
  if (!kHears) return;
  // One that sleeps, and one that reads.
  Background sleeps({"run", fixture("cli_wait")});
  wait_for(sleeps.pid());
  for (int i = 0; i < 5; ++i) {
    CHECK(look_at(sleeps.pid())["tasks"][0]["state"] == "waits in a call of the system");
  }
  CHECK(kill(sleeps.pid(), 0) == 0);
  sleeps.signal(SIGINT);
  CHECK(sleeps.wait().status == 130);
  const auto reads = run_script(
      "(sleep 20 & echo $! > \"$2/writer\"; wait) | \"$vmrun\" run \"$1\" & "
      "for i in $(seq 100); do pid=$(pgrep -n -f \"$1\" -P $$) && \"$vmrun\" top --once --json $pid && break; done; "
      "kill $(cat \"$2/writer\"); wait $!; echo $?",
      {fixture("cli_stdin"), TemporaryDirectory().path()});
  CHECK(reads.out.find("\"waits in a call of the system\"") != reads.out.npos);
}

TEST_CASE("sampling shows the hottest functions, and ends when nobody asks") {
  if (!kHears) return;
  Background guest({"run", "-O", "tier=baseline", "--invoke", "calls", fixture("stop_spin")});
  wait_for(guest.pid());
  Json answer;
  for (int i = 0; i < 100; ++i) {
    answer = look_at(guest.pid(), {"--sample"});
    if (answer["sampling"].is_object() && answer["sampling"]["functions"].size() > 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  REQUIRE(answer["sampling"]["functions"].size() > 0);
  CHECK(answer["sampling"]["functions"][0]["module"] == "spin");
  CHECK(answer["sampling"]["functions"][0]["code"] == "baseline");
  CHECK(answer["sampling"]["self_ns"]["baseline"] > 0);
  for (int i = 0; i < 100 && !answer["sampling"].is_null(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    answer = look_at(guest.pid());
  }
  CHECK(answer["sampling"].is_null());
}

TEST_CASE("servers, and guests at the same time, are looked at with their tasks") {
  Background server({"serve", "--http", "127.0.0.1:0", "--quiet", fixture("serve_cgi")});
  const unsigned port = server.port("serving http on 127.0.0.1:");
  REQUIRE(port != 0);
  CHECK(get_page(port, "/page", "Connection: close\r\n").starts_with("HTTP/1.1 200"));
  const auto r = run_vmrun({"top", "--once", "--interval", "100ms", std::to_string(server.pid())});
  CHECK(r.status == 0);
  CHECK(r.out.find("\nserver    ") != r.out.npos);
  CHECK(r.out.find("; 200: 1\n") != r.out.npos);
  CHECK(r.out.find("\nI/O       ") != r.out.npos);
  CHECK(r.out.find("accept") != r.out.npos);
  CHECK(r.out.find('\x1b') == r.out.npos);  // plain text
  Background guests({"run", "--instances", "3", "--workers", "1", "--invoke", "memory", fixture("stop_spin")});
  wait_for(guests.pid());
  Json answer = look_at(guests.pid());
  for (int i = 0; i < 100 && answer["tasks"].size() != 3; ++i) answer = look_at(guests.pid());
  CHECK(answer["tasks"].size() == 3);
  CHECK(answer["tasks_left_out"] == 0);
}

TEST_CASE("the only vmrun need not be named; of several one must be") {
  if (!kHears) return;
  // Other tests run beside this one, so there may be more.
  Background a({"run", "--invoke", "memory", fixture("stop_spin")});
  Background b({"run", "--invoke", "memory", fixture("stop_spin")});
  wait_for(a.pid());
  wait_for(b.pid());
  const auto r = run_vmrun({"top", "--once"});
  CHECK(r.status == 1);
  CHECK(r.err.find("which one? These run:") != r.err.npos);
  CHECK(r.err.find(std::to_string(a.pid())) != r.err.npos);
  CHECK(r.err.find(std::to_string(b.pid())) != r.err.npos);
}

TEST_CASE("what cannot be looked at is named") {
  if (!kHears) return;
  const auto says = [](const std::string& pid) { return run_vmrun({"top", "--once", pid}); };
  auto r = says("soon");
  CHECK(r.status == 2);
  CHECK(r.err.starts_with("vmrun: 'soon' is no process: give its number"));
  r = says("999999999");
  CHECK(r.status == 1);
  CHECK(r.err == "vmrun: error: there is no process 999999999\n");
  r = says(std::to_string(getpid()));
  CHECK(r.status == 1);
  CHECK(r.err.find("is no vmrun: it runs ") != r.err.npos);
  if (geteuid() != 0) {
    r = says("1");
    CHECK(r.status == 1);
    CHECK(r.err.find("belongs to root, and only that user, or root, may look at it") != r.err.npos);
  }
  Background stopped({"run", "--invoke", "memory", fixture("stop_spin")});
  wait_for(stopped.pid());
  stopped.signal(SIGSTOP);
  r = run_vmrun({"top", "--once", std::to_string(stopped.pid())});
  CHECK(r.status == 1);
  CHECK(r.err.find("in time") != r.err.npos);
  stopped.signal(SIGCONT);
  CHECK(look_at(stopped.pid())["version"] == 1);
}

/// A process that is called vmrun, and answers with `answer` where a vmrun would.
std::string impostor(const std::string& answer) {
  const TemporaryDirectory folder;
  const auto r = run_script(
      "cp \"$(readlink -f \"$(command -v python3)\")\" \"$1/vmrun\" || exit\n"
      "PYTHONHOME=$(python3 -c 'import sys; print(sys.prefix)') \"$1/vmrun\" -c '\n"
      "import os, socket, sys\n"
      "s = socket.socket(socket.AF_UNIX)\n"
      "s.bind(chr(0) + \"vmrun/%d\" % os.getpid())\n"
      "s.listen()\n"
      "print(os.getpid(), flush=True)\n"
      "c, _ = s.accept()\n"
      "c.recv(1000)\n"
      "c.sendall(sys.argv[1].encode())\n"
      "' \"$2\" > \"$1/pid\" &\n"
      "for i in $(seq 200); do [ -s \"$1/pid\" ] && break; sleep 0.05; done\n"
      "\"$vmrun\" top --once $(cat \"$1/pid\"); kill $!",
      {folder.path(), answer});
  return r.err.substr(0, r.err.find('\n'));
}

TEST_CASE("another version, and answers that are none, are told from what is understood") {
  if (run_script("command -v python3").status != 0) {
    MESSAGE("skipped: python3 is not installed");
    return;
  }
  const std::string ok = "HTTP/1.1 200 OK\r\n\r\n";
  const auto says = [&](const std::string& answer, const std::string& message) {
    CAPTURE(answer);
    const std::string said = impostor(answer);
    CAPTURE(said);
    CHECK(said.find(message) != said.npos);
  };
  says(ok + R"({"format":"vmrun-top","version":7,"vmrun":"9.9"})", "is vmrun 9.9, which this one (");
  says(ok + R"({"format":"vmrun-top","version":1})", "gave an answer in which something is missing");
  says(ok + "{\"format\":", "gave no sensible answer");
  says("HTTP/1.1 404 Not Found\r\n\r\n", "gave no sensible answer: 'HTTP/1.1 404 Not Found'");
  says("", "gave no sensible answer");
}

TEST_CASE("on a terminal it draws, takes keys and puts the terminal back") {
  if (!kHears) return;
  if (run_script("command -v script").status != 0) {
    MESSAGE("skipped: script is not installed");
    return;
  }
  Background guest({"run", "--invoke", "memory", fixture("stop_spin")});
  wait_for(guest.pid());
  const auto r = run_script("(sleep 2; printf sp; sleep 3; printf q) | script -q -e -c \"$vmrun top $1\" /dev/null",
                            {std::to_string(guest.pid())});
  CHECK(r.status == 0);
  CHECK(r.out.find("\x1b[?1049h") != r.out.npos);
  CHECK(r.out.find("sort tasks (by state)") != r.out.npos);
  CHECK(r.out.find("sample guests (on)") != r.out.npos);
  CHECK(r.out.find("\x1b[?1049l") != r.out.npos);
}

TEST_CASE("a guest that sleeps does not notice a profiler either") {
  const TemporaryDirectory folder;
  const auto r = run_vmrun({"run", "--profile", "guest," + folder.path() + "/a.folded,1ms", fixture("wasi_time")});
  CHECK(r.status == 0);
  CHECK(r.out.find("failed") == r.out.npos);
}

}  // namespace
}  // namespace vmrun::test
