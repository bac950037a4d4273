// --profile=FILE.json: the dump is what its schema says, whenever and however the guest ends, and nobody sees half of it.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/unit/tools/command.h"
#include "tests/unit/tools/image.h"

namespace vmrun::test {
namespace {

using Json = nlohmann::json;

/// Rounds of the guest that spins: some tenths of a second in any tier.
constexpr const char* kRounds = "300000000";

Json read_dump(const std::string& path) {
  std::ifstream file(path);
  Json out = Json::parse(file, nullptr, false);
  CHECK_MESSAGE(!out.is_discarded(), path << " is no JSON");
  return out;
}

void check_schema(const std::string& path) {
  if (run_script("command -v python3").status != 0) {
    MESSAGE("skipped: python3 is not installed");
    return;
  }
  const auto r = run_script("python3 \"$1/tests/unit/tools/check_schema.py\" \"$1/docs/profile.schema.json\" \"$2\"",
                            {VMRUN_SOURCE, path});
  CHECK(r.err == "");
  CHECK(r.status == 0);
}

CommandResult dump(const std::string& file, std::vector<std::string> more) {
  // From the cold start: what a cache has needs no compile.
  std::vector<std::string> args{"run", "-O", "cache=off", "-W", "unknown-imports-trap", "--profile", file};
  args.insert(args.end(), more.begin(), more.end());
  return run_vmrun(args);
}

const Json* find_function(const Json& dump, const std::string& name) {
  for (const Json& function : dump["modules"][0]["functions"]) {
    if (function["name"] == name) return &function;
  }
  return nullptr;
}

TEST_CASE("a dump says what the tiers did and where time went") {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/dump.json";
  const auto r = dump(file, {"-O", "profile", "--invoke", "spin", fixture("profile"), kRounds});
  CHECK(r.status == 0);
  CHECK(r.err == "");
  check_schema(file);
  const Json json = read_dump(file);
  CHECK(json["version"] == 1);
  CHECK(json["command"] == Json({fixture("profile"), kRounds}));
  CHECK(json["end"] == Json({{"by", "end"}, {"status", 0}}));
  CHECK(json["tier"] == "auto");
  CHECK(json["sampling"]["samples"] > 5);
  CHECK(json["process"]["peak_linear_memory_bytes"] == 1 << 20);
  CHECK(json["scheduler"].is_null());
  const Json* spin = find_function(json, "spin");
  REQUIRE(spin != nullptr);
  int64_t self = 0;
  for (const auto& [tier, time] : (*spin)["self_ns"].items()) self += time.get<int64_t>();
  CHECK(self > 20'000'000);
  bool to_baseline = false, to_opt = false;
  for (const Json& compile : json["compiles"]) {
    if (!compile["failure"].is_null()) continue;
    to_baseline |= compile["to"] == "baseline";
    if (compile["to"] != "opt") continue;
    to_opt = true;
    // It was weighed, waited, and made code.
    CHECK(compile["gain_ns"] > 0);
    CHECK(compile["cost_ns"] > 0);
    CHECK(compile["work"] == "a loop in registers");
    CHECK(compile["waited_ns"] > 0);
    CHECK(compile["compile_ns"] > 0);
    CHECK(compile["code_bytes"] > 0);
    CHECK(compile["background"] == true);
    CHECK(compile["begin_ns"] < json["duration_ns"]);
  }
  CHECK(to_baseline);
  CHECK(to_opt);
}

TEST_CASE("a dump counts what -O profile counts") {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/dump.json";
  CHECK(dump(file, {"-O", "profile,tier=baseline", "--invoke", "calls", fixture("profile"), "1000"}).status == 0);
  const Json json = read_dump(file);
  const Json* leaf = find_function(json, "leaf");
  REQUIRE(leaf != nullptr);
  CHECK((*leaf)["entries"] == 1000);
  const Json* calls = find_function(json, "calls");
  REQUIRE(calls != nullptr);
  CHECK((*calls)["conditions"][0]["count"] == 1);
  CHECK(json["compiles"][0]["reason"] == "first call");
}

TEST_CASE("a dump in every tier, and of guests at the same time") {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/dump.json";
  for (const char* tier : {"auto", "interp", "interp+baseline", "baseline", "opt", "steps"}) {
    CAPTURE(tier);
    const bool steps = std::string(tier) == "steps";
    CHECK(dump(file,
               {"-O", std::string("tier=") + tier, "--invoke", "calls", fixture("profile"), steps ? "50" : "100000"})
              .status == 0);
    check_schema(file);
    CHECK(read_dump(file)["tier"] == tier);
  }
  CHECK(dump(file, {"--instances", "3", "--workers", "2", "--invoke", "spin", fixture("profile"), "1000000"}).status ==
        0);
  check_schema(file);
  const Json json = read_dump(file);
  CHECK(json["scheduler"]["spawned"] == 3);
  CHECK(json["scheduler"]["workers"] == 2);
  CHECK(json["scheduler"]["finished"] == 3);
  CHECK(json["scheduler"]["io_waiting"] == 0);
  CHECK(json["scheduler"]["io_calls"]["read"] == 0);
}

TEST_CASE("a dump of many guests has how long they waited for their turn, and their calls") {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/dump.json";
  // Each reads its standard input, which is empty; the status says that.
  CHECK(dump(file, {"--instances", "200", "--workers", "1", fixture("cli_stdin")}).status == 10);
  check_schema(file);
  const Json scheduler = read_dump(file)["scheduler"];
  CHECK(scheduler["spawned"] == 200);
  CHECK(scheduler["io_calls"]["read"].get<int>() >= 1);
  const Json& latency = scheduler["queue_latency"];
  CHECK(latency["measured"].get<int>() >= 1);
  CHECK(latency["sum_ns"].get<int64_t>() > 0);
  CHECK(latency["half_ns"].get<int64_t>() <= latency["99_of_100_ns"].get<int64_t>());
  int measured = 0;
  for (const Json& range : latency["below_ns"]) measured += range[1].get<int>();
  CHECK(measured == latency["measured"]);
}

TEST_CASE("names that are no UTF-8 leave a dump, and profiles, that are") {
  const TemporaryDirectory folder;
  const std::string image = folder.path() + "/\xff\n\"<.wasm", file = folder.path() + "/dump.json";
  std::filesystem::copy_file(fixture("cli_exit"), image);  // has no name of its own
  const std::string scope = folder.path() + "/a.json";
  run_vmrun({"run", "--profile", file, "--profile", "guest," + scope + ",50us", image});
  check_schema(file);
  CHECK(read_dump(file)["modules"][0]["name"] == "\\xff\\x0a\"<.wasm");
  CHECK(!read_dump(scope).is_discarded());
}

TEST_CASE("how a guest ended is in its dump") {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/dump.json";
  const auto ends = [&](const std::vector<std::string>& more, int status, const char* by) {
    CAPTURE(by);
    CHECK(dump(file, more).status == status);
    check_schema(file);
    CHECK(read_dump(file)["end"] == Json({{"by", by}, {"status", status}}));
  };
  ends({"--invoke", "trap", fixture("profile"), "1000"}, 134, "failure");
  ends({"-W", "timeout=300ms", "--invoke", "memory", fixture("stop_spin")}, 134, "time limit");
  ends({fixture("cli_exit")}, run_vmrun({"run", fixture("cli_exit")}).status, "end");
  const auto r = run_vmrun_with_ctrl_c({"run", "--profile", file, "--invoke", "memory", fixture("stop_spin")}, 300);
  CHECK(r.status == 130);
  CHECK(read_dump(file)["end"]["by"] == "interrupt");
}

/// Waits until a dump says that it was written because of `by`.
bool dumped(const std::string& file, const std::string& by) {
  for (int i = 0; i < 3000; ++i) {
    if (std::filesystem::exists(file)) {
      const Json json = read_dump(file);  // whole at any moment
      if (!json.is_discarded() && json["end"]["by"] == by) return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

int end(const Child& child) {
  kill(child.pid, SIGKILL);
  int status = 0;
  waitpid(child.pid, &status, 0);
  close(child.out);
  close(child.err);
  return status;
}

TEST_CASE("a dump at SIGUSR2, again and again; one that is killed leaves the last") {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/dump.json";
  const Child child =
      start_child(VMRUN_COMMAND, {"run", "--profile", file, "--invoke", "memory", fixture("stop_spin")}, folder.path());
  REQUIRE(child.pid > 0);
  // Until the command has blocked the signal, it would end by it.
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  for (int i = 0; i < 3; ++i) {
    std::filesystem::remove(file);
    CHECK(kill(child.pid, SIGUSR2) == 0);
    CHECK(dumped(file, "signal"));
    CHECK(read_dump(file)["end"]["status"].is_null());
  }
  CHECK(WTERMSIG(end(child)) == SIGKILL);
  check_schema(file);
}

TEST_CASE("a dump at an interval is whole whenever it is read") {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/dump.json";
  const Child child = start_child(
      VMRUN_COMMAND, {"run", "--profile", file + ",10ms", "--invoke", "memory", fixture("stop_spin")}, folder.path());
  REQUIRE(child.pid > 0);
  CHECK(dumped(file, "interval"));
  for (int i = 0; i < 200; ++i) {
    CHECK(!read_dump(file).is_discarded());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  end(child);
}

TEST_CASE("a process that is killed in the middle of a dump leaves a whole one") {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/dump.json";
  for (int i = 0; i < 12; ++i) {
    CAPTURE(i);
    std::filesystem::remove(file);
    const Child child = start_child(
        VMRUN_COMMAND, {"run", "--profile", file + ",10ms", "--invoke", "memory", fixture("stop_spin")}, folder.path());
    REQUIRE(child.pid > 0);
    CHECK(dumped(file, "interval"));
    std::this_thread::sleep_for(std::chrono::microseconds(1'700 * i));  // at other moments of the ten milliseconds
    CHECK(WTERMSIG(end(child)) == SIGKILL);
    CHECK(!read_dump(file).is_discarded());
  }
}

TEST_CASE("an image of very many functions with long names leaves a dump that is bounded, and that can be read") {
  // Each is compiled; the last one spins, and is the one that must be told of.
  constexpr uint32_t kMany = 70'000, kTold = 65'536;
  const std::string odd = "<script>alert(1)</script>\x1b[31m" + std::string(600, 'x');
  std::vector<std::string> names;
  names.reserve(kMany);
  for (uint32_t i = 0; i < kMany; ++i) names.push_back(u32(i) + name(std::to_string(i) + odd));
  std::vector<std::string> bodies(kMany - 1, body(""));
  // A loop of 2^28 rounds: local 0 counts.
  const std::string spin = bytes({1, 1, 0x7f, 0x03, 0x40, 0x20, 0, 0x41, 1, 0x6a, 0x22, 0, 0x41}) +
                           "\x80\x80\x80\x80\x01" + bytes({0x48, 0x0d, 0, 0x0b, 0x0b});
  bodies.push_back(name(spin));
  const TemporaryDirectory folder;
  const std::string image = folder.write("many.wasm", kImageHead + section(1, vec({kNothingToNothing})) +
                                                          section(3, vec(std::vector<std::string>(kMany, u32(0)))) +
                                                          section(7, vec({name("run") + bytes({0}) + u32(kMany - 1)})) +
                                                          section(10, vec(bodies)) +
                                                          section(0, name("name") + bytes({1}) + name(vec(names))));
  const std::string file = folder.path() + "/dump.json";
  CHECK(dump(file, {"-O", "tier=baseline,eager=baseline", "--invoke", "run", image}).err == "");
  const Json json = read_dump(file);
  REQUIRE(!json.is_discarded());
  const Json& module = json["modules"][0];
  REQUIRE(module["functions"].size() == kTold);
  CHECK(module["functions_left_out"] == kMany - kTold);
  const Json& last = module["functions"].back();
  CHECK(last["index"] == kMany - 1);
  CHECK(last["self_ns"]["baseline"] > 0);
  CHECK(last["name"].get<std::string>().size() < 420);
  CHECK(std::filesystem::file_size(file) < size_t{128} << 20);
  const auto r = run_vmrun({"report", file});
  CHECK(r.status == 0);
  CHECK(r.err == "vmrun: wrote " + folder.path() + "/dump.html\n");
}

TEST_CASE("a dump and samples for another tool in one run") {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/dump.json", stacks = folder.path() + "/stacks.folded";
  CHECK(dump(file, {"--profile", "guest," + stacks + ",1ms", "--invoke", "spin", fixture("profile"), kRounds}).err ==
        "");
  CHECK(read_dump(file)["sampling"]["interval_ns"] == 1'000'000);
  CHECK(std::filesystem::file_size(stacks) > 0);
}

TEST_CASE("a dump that cannot be written is one message, and the guest runs all the same") {
  const TemporaryDirectory folder;
  const std::string missing = folder.path() + "/missing/dump.json", full = folder.path() + "/full.json";
  auto r = dump(missing, {"--invoke", "calls", fixture("profile"), "10"});
  CHECK(r.status == 0);
  CHECK(r.err == "vmrun: warning: cannot write '" + missing + "': No such file or directory; there will be no dump\n");
  std::filesystem::create_symlink("/dev/full", full);
  r = dump(full + ",10ms", {"--invoke", "spin", fixture("profile"), kRounds});  // often, but told once
  CHECK(r.status == 0);
  CHECK(r.err == "vmrun: warning: cannot write '" + full + "': No space left on device\n");
}

}  // namespace
}  // namespace vmrun::test
