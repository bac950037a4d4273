// vmrun top: what it shows of a vmrun that runs, whatever that is at, and what it says where there is nothing to look at.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
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

TEST_CASE("each guest has its share of the processors, memory and age; those that use most come first") {
  Background guests({"run", "--instances", "3", "--workers", "1", "--invoke", "memory", fixture("stop_spin")});
  wait_for(guests.pid());
  Json answer = look_at(guests.pid());
  for (int i = 0; i < 100 && answer["tasks"].size() < 3; ++i) answer = look_at(guests.pid());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  answer = look_at(guests.pid());
  const double since = answer["tasks_since_ns"];
  CHECK(since >= 0.3e9);
  double all = 0;
  for (const Json& task : answer["tasks"]) {
    all += task["recent_ns"].get<double>();
    CHECK(task["name"] == "stop_spin.wasm");
    CHECK(task["age_ns"] >= 300'000'000);
    CHECK(task["memory_bytes"] >= 65536);
  }
  // One worker is always with one of them, as far as the machine lets it run.
  CHECK(all > 0);
  CHECK(all < 1.1 * since);
  const auto screen =
      run_vmrun({"top", "--once", "--interval", "300ms", "--sort", "memory", std::to_string(guests.pid())});
  CHECK(screen.err == "");
  CHECK(screen.out.find("    TASK   CPU %    MEMORY       AGE  NAME             STATE\n") != screen.out.npos);
  CHECK(screen.out.find(" stop_spin.wasm ") != screen.out.npos);
  CHECK(run_vmrun({"top", "--sort", "size"}).err.find("must be cpu, memory, age, state or name") != std::string::npos);

  // A guest alone in its process, by its thread's processor time.
  if (!kHears) return;
  Background one({"run", "--invoke", "memory", fixture("stop_spin")});
  wait_for(one.pid());
  look_at(one.pid());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  answer = look_at(one.pid());
  REQUIRE(answer["tasks"].size() == 1);
  CHECK(answer["tasks"][0]["recent_ns"] > 0);
  CHECK(answer["tasks"][0]["recent_ns"] <= 1.05 * answer["tasks_since_ns"].get<double>());
  CHECK(answer["tasks"][0]["memory_bytes"] >= 65536);
}

/// What a process of many tasks would say.
std::string answer_with_tasks(size_t count) {
  Json tasks = Json::array();
  for (size_t i = 1; i <= count; ++i) {
    tasks.push_back({{"id", i},
                     {"name", i == 3 ? "b\x1b[31mad" : "guest"},
                     {"state", i % 2 == 0 ? "runs" : "waits for its deadline"},
                     {"age_ns", (count - i) * 1'000'000'000},
                     {"recent_ns", i * 10},
                     {"memory_bytes", (i * 7 % count) * 65536}});
  }
  return tasks.dump();
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

/// A socket under the name at which `pid` would listen.
class Name {
 public:
  explicit Name(int pid) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const std::string name = "vmrun/" + std::to_string(pid);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path + 1, name.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    taken_ = ::bind(fd_, reinterpret_cast<sockaddr*>(&address), length) == 0;
  }
  ~Name() { ::close(fd_); }
  Name(const Name&) = delete;
  Name& operator=(const Name&) = delete;
  bool taken() const { return taken_; }
  int fd() const { return fd_; }

 private:
  int fd_;
  bool taken_ = false;
};

/// Listens as this process where a vmrun would. Gives the answers one after the other, and the last one again and again.
class Impostor {
 public:
  explicit Impostor(std::vector<std::string> answers) : answers_(std::move(answers)) {
    REQUIRE(name_.taken());
    REQUIRE(::listen(name_.fd(), 4) == 0);
    thread_ = std::thread([this] { run(); });
  }
  ~Impostor() {
    ::shutdown(name_.fd(), SHUT_RDWR);
    thread_.join();
  }

 private:
  void run() {
    for (size_t i = 0;; ++i) {
      const int client = ::accept(name_.fd(), nullptr, nullptr);
      if (client < 0) return;
      const std::string& answer = answers_[std::min(i, answers_.size() - 1)];
      char request[1000];
      if (::recv(client, request, sizeof request, 0) > 0) ::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
      ::close(client);
    }
  }
  const std::vector<std::string> answers_;
  const Name name_{getpid()};
  std::thread thread_;
};

const std::string kOk = "HTTP/1.1 200 OK\r\n\r\n";

/// An answer that is whole, with `member` in place of its own.
std::string answer_with(const std::string& member = "", const std::string& value = "") {
  Json json = Json::parse(R"({"format": "vmrun-top", "version": 1, "vmrun": "1", "pid": 7, "command": ["x"], "up_ns": 5,
    "metrics": [{"name": "vmrun_tasks", "values": []},
                {"name": "vmrun_scheduler_queue_latency_seconds",
                 "values": [{"labels": {}, "buckets": [[1, 2], [null, 3]], "count": 3, "sum": 1}]}],
    "tasks": [{"id": 1, "name": "guest", "state": "runs", "age_ns": 5, "recent_ns": 4, "memory_bytes": 65536}],
    "tasks_left_out": 0, "tasks_since_ns": 8, "sampling": null})");
  if (!member.empty()) json[member] = Json::parse(value);
  return kOk + json.dump();
}

TEST_CASE("another version, and answers that are none, are told from what is understood") {
  const auto says = [&](const std::string& answer, const std::string& message) {
    CAPTURE(answer.substr(0, 300));
    const Impostor impostor({answer});
    const auto r = run_vmrun({"top", "--once", "--interval", "100ms", std::to_string(getpid())});
    CAPTURE(r.err);
    CHECK(r.status == (message.empty() ? 0 : 1));
    CHECK(r.err.find(message) != r.err.npos);
  };
  says(answer_with(), "");
  says(kOk + R"({"format":"vmrun-top","version":7,"vmrun":"9.9"})", "is vmrun 9.9, which this one (");
  says(kOk + R"({"format":"vmrun-top","version":2,"vmrun":5})", "is vmrun ?, which this one (");
  says(kOk + R"({"format":"vmrun-top","version":1})", "gave an answer in which something is missing");
  says(kOk + "{\"format\":", "gave no sensible answer");
  says(kOk + "[]", "gave no sensible answer");
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  says(answer_with().insert(kOk.size() + 1, "\"x\":" + nested(10) + ","), "");
  says(answer_with().insert(kOk.size() + 1, "\"x\":" + nested(10'000'000) + ","), "gave no sensible answer");
  says("HTTP/1.1 404 Not Found\r\n\r\n", "gave no sensible answer: 'HTTP/1.1 404 Not Found'");
  says("", "gave no sensible answer");
}

TEST_CASE("tasks are sorted as the reader wants, in equal columns, and say nothing to the terminal") {
  const auto rows = [&](const char* sort) {
    const Impostor impostor({answer_with("tasks", answer_with_tasks(5))});
    const auto r = run_vmrun({"top", "--once", "--interval", "100ms", "--sort", sort, std::to_string(getpid())});
    CHECK(r.status == 0);
    CHECK(r.out.find('\x1b') == r.out.npos);
    std::string ids;
    std::istringstream lines(r.out.substr(r.out.find("    TASK ")));
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) ids += line.substr(7, 1);
    return ids;
  };
  CHECK(rows("cpu") == "54321");
  CHECK(rows("age") == "12345");
  CHECK(rows("memory") == "24135");
  CHECK(rows("state") == "24135");
  CHECK(rows("name") == "31245");
}

TEST_CASE("members of an answer that are of other types are an error") {
  const auto metric = [](const std::string& value) {
    return R"([{"name":"vmrun_tasks","values":[]},{"name":"vmrun_scheduler_queue_latency_seconds","values":[)" + value +
           "]}]";
  };
  const auto sampling = [](const std::string& functions) {
    return R"({"total_ns":5,"self_ns":{},"functions":)" + functions + "}";
  };
  const std::vector<std::pair<std::string, std::string>> members = {
      {"vmrun", "5"},
      {"up_ns", "1e300"},
      {"command", "{}"},
      {"metrics", "[5]"},
      {"metrics", R"([{"name":5,"values":[]}])"},
      {"metrics", R"([{"name":"vmrun_tasks","values":{}}])"},
      {"metrics", metric("5")},
      {"metrics", metric(R"({"labels":5,"value":1})")},
      {"metrics", metric(R"({"labels":{},"value":"1"})")},
      {"metrics", metric(R"({"labels":{},"count":5,"sum":1,"buckets":{"a":1,"b":2}})")},
      {"metrics", metric(R"({"labels":{},"count":5,"sum":1,"buckets":[{"a":1,"b":2}]})")},
      {"metrics", metric(R"({"labels":{},"count":"5","sum":1,"buckets":[[1,2]]})")},
      {"tasks", "[5]"},
      {"tasks", R"([{"id":"x","name":"y","state":"z"}])"},
      {"tasks", R"([{"id":1,"name":"y","state":"z"}])"},
      {"tasks", R"([{"id":1,"name":"y","state":"z","age_ns":1e300,"recent_ns":0,"memory_bytes":0}])"},
      {"tasks", R"([{"id":1,"name":"y","state":"z","age_ns":0,"recent_ns":-1,"memory_bytes":0}])"},
      {"tasks", R"([{"id":1,"name":"y","state":"z","age_ns":0,"recent_ns":0,"memory_bytes":"1"}])"},
      {"tasks_left_out", "\"x\""},
      {"tasks_since_ns", "null"},
      {"sampling", "5"},
      {"sampling", R"({"total_ns":5,"functions":[],"self_ns":3})"},
      {"sampling", sampling("5")},
      {"sampling", sampling("[5]")},
      {"sampling", sampling(R"([{"module":"m","function":"f","code":"opt","index":1e300,"self_ns":4}])")},
  };
  for (const auto& [name, value] : members) {
    CAPTURE(name);
    CAPTURE(value);
    const Impostor impostor({answer_with(name, value)});
    const auto r = run_vmrun({"top", "--once", "--interval", "100ms", std::to_string(getpid())});
    CHECK(r.status == 1);
    CHECK(r.err.find("something is missing, or is not of its type") != r.err.npos);
  }
}

TEST_CASE("the terminal is put back where an answer is none") {
  if (run_script("command -v script").status != 0) {
    MESSAGE("skipped: script is not installed");
    return;
  }
  const std::string bad = R"([{"name":"vmrun_tasks","values":[]},{"name":"vmrun_scheduler_queue_latency_seconds",
    "values":[{"labels":{},"count":5,"sum":1,"buckets":{"a":1,"b":2}}]}])";
  const Impostor impostor({answer_with(), answer_with("metrics", bad)});
  const auto r = run_script("sleep 5 | script -q -c \"$vmrun top $1; echo status \\$?; stty -a\" /dev/null",
                            {std::to_string(getpid())});
  CAPTURE(r.out);
  CHECK(r.out.find("\x1b[?1049h") != r.out.npos);
  CHECK(r.out.find("\x1b[?1049l") != r.out.npos);
  CHECK(r.out.find("status 1") != r.out.npos);
  CHECK(r.out.find(" icanon") != r.out.npos);
  CHECK(r.out.find("-icanon") == r.out.npos);
}

TEST_CASE("who answers under a process's name without being it is not taken for it") {
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const int wanted = getpid();
  const int other = ::fork();
  if (other == 0) {
    const Name name(wanted);
    const char ok = name.taken() && ::listen(name.fd(), 4) == 0 ? 'y' : 'n';
    if (::write(ready[1], &ok, 1) == 1) ::pause();
    ::_exit(1);
  }
  char ok = 0;
  CHECK(::read(ready[0], &ok, 1) == 1);
  CHECK(ok == 'y');
  const auto r = run_vmrun({"top", "--once", std::to_string(wanted)});
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  CHECK(r.status == 1);
  CHECK(r.err.find("another process answers in place of process " + std::to_string(wanted)) != r.err.npos);
}

TEST_CASE("a process that could not begin to listen can be asked again") {
  if (!kHears) return;
  Background guest({"run", "--invoke", "memory", fixture("stop_spin")});
  {
    const Name name(guest.pid());  // taken, and nobody listens
    REQUIRE(name.taken());
    const auto r = run_vmrun({"top", "--once", std::to_string(guest.pid())});
    CHECK(r.status == 1);
    CHECK(r.err.find("does not answer") != r.err.npos);
  }
  wait_for(guest.pid());
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
  CHECK(r.out.find("sort tasks (by memory)") != r.out.npos);
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
